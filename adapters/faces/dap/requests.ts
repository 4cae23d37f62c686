// What requests of the Debug Adapter Protocol say that are answered here; what else is in them is for
// others.

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

const Point = t.intersection([t.type({ vm: t.string }), t.partial({ at: t.string })]);

const Memory = t.intersection([
  t.type({ memoryReference: t.string, count: t.Int }),
  t.partial({ offset: t.Int }),
]);

const DataBreakpointInfo = t.intersection([
  t.type({ name: t.string }),
  t.partial({ variablesReference: t.Int, bytes: t.Int, asAddress: t.boolean }),
]);

const DataBreakpoints = t.type({ breakpoints: t.array(t.type({ dataId: t.string })) });

/** On code, of which there is none. */
const Breakpoints = t.partial({ breakpoints: t.array(t.unknown) });

const Evaluate = t.intersection([
  t.type({ expression: t.string }),
  t.partial({ context: t.string }),
]);

/** Arguments by the command that takes them. */
export const ARGUMENTS = {
  attach: Point,
  dataBreakpointInfo: DataBreakpointInfo,
  evaluate: Evaluate,
  readMemory: Memory,
  scopes: t.type({ frameId: t.Int }),
  setBreakpoints: Breakpoints,
  setDataBreakpoints: DataBreakpoints,
  source: t.type({ sourceReference: t.Int }),
  stackTrace: t.type({ threadId: t.Int }),
  variables: t.type({ variablesReference: t.Int }),
} as const;

/** A request cannot be answered as it was made; what it says is for the user. */
export class Unanswerable extends Error {}

/** The arguments of a request. Unanswerable where they are others than it takes. */
export function argumentsOf<A>(codec: t.Decoder<unknown, A>, given: unknown): A {
  const decoded = codec.decode(given);
  if (either.isRight(decoded)) return decoded.right;
  const fields = decoded.left.map(({ context }) => context.at(-1)?.key ?? '');
  throw new Unanswerable(
    `arguments that are missing, or others: ${[...new Set(fields)].join(', ')}`,
  );
}
