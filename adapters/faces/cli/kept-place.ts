// The place that a consumer has come to, in a file of its own: where `subscribe --cursor` goes on.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { UsageError } from './failure.ts';

/** How often it is written while rows come. */
const EVERY_MS = 200;
/** Far more than a place has. */
const PLACE_CHARACTERS_MAX = 256;

export class KeptPlace {
  readonly #path: string;
  #place: string | null;
  #isWritten = true;
  #writtenMs = -Infinity;

  /** Reads the file; none there: nothing was seen yet. */
  constructor(path: string) {
    this.#path = path;
    this.#place = placeIn(path);
  }

  get place(): string | null {
    return this.#place;
  }

  /** What was printed and taken, up to here. */
  came(place: string): void {
    this.#place = place;
    this.#isWritten = false;
    if (performance.now() - this.#writtenMs >= EVERY_MS) this.keep();
  }

  /** Writes it where that was not done. */
  keep(): void {
    if (this.#isWritten || this.#place === null) return;
    const path = `${this.#path}.new`;
    try {
      writeFileSync(path, `${this.#place}\n`);
      renameSync(path, this.#path);
    } catch (thrown) {
      throw unkept(this.#path, thrown);
    }
    this.#isWritten = true;
    this.#writtenMs = performance.now();
  }
}

const unkept = (path: string, thrown: unknown): UsageError =>
  new UsageError(
    `--cursor ${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}; a file that can be read and written was expected`,
  );

function placeIn(path: string): string | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return null;
    throw unkept(path, thrown);
  }
  const place = text.trim();
  if (/^[\w/@]+$/u.test(place) && place.length <= PLACE_CHARACTERS_MAX) return place;
  throw new UsageError(`--cursor ${path} holds no place of a row; remove it to begin anew`);
}
