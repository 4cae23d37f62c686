// Several sorted runs as one: what segments are merged by. Runs come oldest first; records of equal
// first words keep that order.

import type { Records } from './record-block.ts';

/** First words by which records are ordered. */
const KEY_WORDS = 3;
/** Records handed on at once. */
const ROWS_MAX = 4096;

/** A place in a run. */
class Cursor {
  readonly #batches: AsyncIterator<Records>;
  readonly #width: number;
  words: Uint32Array = new Uint32Array(0);
  at = 0;
  #end = 0;

  constructor(run: AsyncIterable<Records>, width: number) {
    this.#batches = run[Symbol.asyncIterator]();
    this.#width = width;
  }

  /** Whether the next record is at hand; else `load` looks for more. */
  get isAtHand(): boolean {
    return this.at < this.#end;
  }

  /** False: the run has ended. */
  async load(): Promise<boolean> {
    while (!this.isAtHand) {
      const batch = await this.#batches.next();
      if (batch.done === true) return false;
      this.words = batch.value.words;
      this.at = 0;
      this.#end = batch.value.count * this.#width;
    }
    return true;
  }

  isBefore(other: Cursor): boolean {
    for (let i = 0; i < KEY_WORDS; i += 1) {
      const order = this.words[this.at + i]! - other.words[other.at + i]!;
      if (order !== 0) return order < 0;
    }
    return false;
  }
}

/** All records of runs, ascending. The arrays handed on are valid until the next one is asked for. */
export async function* mergedRuns(
  runs: readonly AsyncIterable<Records>[],
  width: number,
): AsyncGenerator<Records> {
  const words = new Uint32Array(ROWS_MAX * width);
  let count = 0;
  let cursors: Cursor[] = [];
  for (const run of runs) {
    const cursor = new Cursor(run, width);
    if (await cursor.load()) cursors.push(cursor);
  }
  while (cursors.length > 0) {
    let least = cursors[0]!;
    for (let i = 1; i < cursors.length; i += 1)
      if (cursors[i]!.isBefore(least)) least = cursors[i]!;
    const to = count * width;
    for (let i = 0; i < width; i += 1) words[to + i] = least.words[least.at + i]!;
    count += 1;
    least.at += width;
    if (count === ROWS_MAX) {
      yield { words, count };
      count = 0;
    }
    if (!least.isAtHand && !(await least.load()))
      cursors = cursors.filter((cursor) => cursor !== least);
  }
  if (count > 0) yield { words, count };
}
