// Points: places in a VM's history, as people write them.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { Refusal } from './refusals.ts';
import { isName } from '../events/streams.ts';
import { durationMs, instantMs, type InstantContext } from './instant.ts';

export type Point =
  | { readonly _tag: 'latest' }
  | { readonly _tag: 'capture'; readonly capture: number }
  | { readonly _tag: 'position'; readonly position: bigint }
  | { readonly _tag: 'time'; readonly timeMs: number }
  | { readonly _tag: 'checkpoint'; readonly name: string };

/** A point, and the VM that its text names beside it; null: none is named. */
export interface NamedPoint {
  readonly vm: string | null;
  readonly point: string;
}

/** Takes apart `web/@3`, `web@3` and `web/cp:NAME`; any other text is a point alone. */
export function splitPoint(text: string): NamedPoint {
  const slash = text.indexOf('/');
  if (slash > 0 && isName(text.slice(0, slash)))
    return { vm: text.slice(0, slash), point: text.slice(slash + 1) };
  const at = text.indexOf('@');
  if (at > 0 && isName(text.slice(0, at)) && /^@\d+$/u.test(text.slice(at)))
    return { vm: text.slice(0, at), point: text.slice(at) };
  return { vm: null, point: text };
}

/** The point that a text names. BadPoint says what is wrong with it. */
export function parsePoint(text: string, context: InstantContext): Either<Refusal, Point> {
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
      const timeMs = instantMs(value, context);
      return typeof timeMs === 'string' ? bad(timeMs) : either.right({ _tag: 'time', timeMs });
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
