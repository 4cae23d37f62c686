// The one place where a broken invariant is raised: our own bug, never a user's input. It is caught
// only at the edge of the process, where the ledger stops writing.

/** A broken invariant of the program itself. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Raises InvariantError with `sentence` unless `condition` holds. Always on. */
export function assert(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${sentence}`);
}
