// Moments of a ledger, as a user names them.

import { refuse } from '../../../domain/values/refused.ts';
import type { Moment } from '../../../projections/questions/moment.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** The moment that a text names: what `sharing --at` counts at. */
export function momentOf(ledger: Ledger, text: string): Moment {
  const point = ledger.point(text);
  switch (point._tag) {
    case 'position':
      return { position: point.position };
    case 'time':
      return { timeMs: point.timeMs };
    case 'latest':
      return { position: ledger.state.next };
    case 'capture':
    case 'checkpoint':
      throw refuse({
        _tag: 'BadPoint',
        text,
        why: 'no VM is meant here, so a capture or checkpoint names nothing',
      });
    default:
      return point satisfies never;
  }
}
