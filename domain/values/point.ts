// Points (brief, section 2): places in a VM's history, as people write them.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { Refusal } from './refusals.ts';
import { isName } from '../events/streams.ts';

export type Point =
  | { readonly _tag: 'latest' }
  | { readonly _tag: 'capture'; readonly capture: number }
  | { readonly _tag: 'position'; readonly position: bigint }
  | { readonly _tag: 'time'; readonly timeMs: number }
  | { readonly _tag: 'checkpoint'; readonly name: string };

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const INSTANT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/u;

/** Milliseconds of a duration such as `10s`, `500ms`, `1.5h`; null where it is none. */
export function durationMs(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/u.exec(text);
  return match === null ? null : Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** Milliseconds since 1970 of an ISO 8601 instant (UTC where it names no zone); null where it is none. */
export function instantMs(text: string, parse: (iso: string) => number): number | null {
  if (!INSTANT.test(text)) return null;
  const zoned = text.includes('T') && !/(Z|[+-]\d{2}:?\d{2})$/u.test(text) ? `${text}Z` : text;
  const ms = parse(zoned);
  return Number.isFinite(ms) ? ms : null;
}

export interface PointContext {
  /** Now, milliseconds since 1970: what `ago:` counts from. */
  readonly nowMs: number;
  /** Milliseconds of an ISO 8601 string, NaN where it is none. */
  readonly parseInstant: (iso: string) => number;
}

/** The point that a text names. BadPoint says what is wrong with it. */
export function parsePoint(text: string, context: PointContext): Either<Refusal, Point> {
  const bad = (why: string): Either<Refusal, Point> => either.left({ _tag: 'BadPoint', text, why });
  if (text === 'latest') return either.right({ _tag: 'latest' });
  if (text.startsWith('@')) {
    const capture = /^@\d{1,15}$/u.test(text) ? Number(text.slice(1)) : 0;
    return capture >= 1
      ? either.right({ _tag: 'capture', capture })
      : bad('a capture is @N with N from 1');
  }
  const colon = text.indexOf(':');
  const value = text.slice(colon + 1);
  switch (colon < 0 ? '' : text.slice(0, colon)) {
    case 'pos':
      return /^\d{1,39}$/u.test(value)
        ? either.right({ _tag: 'position', position: BigInt(value) })
        : bad('a position is a whole number');
    case 'time': {
      const timeMs = instantMs(value, context.parseInstant);
      return timeMs === null
        ? bad('the time is no ISO 8601 instant')
        : either.right({ _tag: 'time', timeMs });
    }
    case 'ago': {
      const ms = durationMs(value);
      return ms === null
        ? bad('a duration is a number and one of ms, s, m, h, d')
        : either.right({ _tag: 'time', timeMs: context.nowMs - ms });
    }
    case 'cp':
      return isName(value)
        ? either.right({ _tag: 'checkpoint', name: value })
        : bad('that is no name of a checkpoint');
    default:
      return bad('its form is unknown');
  }
}
