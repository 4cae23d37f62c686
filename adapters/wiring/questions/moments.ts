// Moments of a ledger, as a user names them.

import { refuse } from '../../../domain/values/refused.ts';
import type { Moment } from '../../../projections/questions/moment.ts';
import { splitPoint, type Point } from '../../../domain/values/point.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Whether a point has a meaning in the history of one VM only. */
const isOfVm = ({ _tag }: Point): boolean => _tag === 'capture' || _tag === 'checkpoint';

/**
 * The moment that a text names: what `sharing --at` counts at. A capture or a checkpoint is one where a VM
 * is meant, by the text (`web@3`) or beside it: that of its commit.
 */
export function momentOf(ledger: Ledger, text: string, vm: string | null = null): Moment {
  const named = splitPoint(text);
  const point = ledger.point(named.point);
  const meant = named.vm ?? vm;
  if (meant !== null && (named.vm !== null || isOfVm(point)))
    return { position: ledger.locate(ledger.vm(meant), named.point).position };
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
