// What the QEMUs of clones say, as people read it. A balloon, or a guest that reports its free pages, has
// QEMU punch them out of the memory's file, which a clone's base does not let happen: else the guest would
// have the base's content there again, where it may count on zeros. QEMU says so of each page.

import { escapedLines } from '../rows/escaped-text.ts';

const KEPT_PAGES = /ram_block_discard_range: Failed to fallocate/u;
/** A line that does not end is said in parts of this length. */
const LINE_CHARACTERS_MAX = 4096;

/** Where what is said goes. */
export interface CloneStderrWays {
  readonly write: (text: string) => void;
  /** Hears once, of all clones, that a guest gave pages back which its host keeps. */
  readonly onKeptPages: () => void;
}

/** The standard error of clones that one command started. */
export class CloneStderr {
  readonly #ways: CloneStderrWays;
  #isKeptTold = false;

  constructor(ways: CloneStderrWays) {
    this.#ways = ways;
  }

  #line(line: string): void {
    if (!KEPT_PAGES.test(line)) {
      this.#ways.write(`${escapedLines(line)}\n`);
      return;
    }
    if (!this.#isKeptTold) this.#ways.onKeptPages();
    this.#isKeptTold = true;
  }

  /** Takes what one clone says, in pieces of any length: gives a function of its own for each. */
  ofOne(): (text: string) => void {
    let begun = '';
    return (text) => {
      const lines = (begun + text).split(/\r?\n/u);
      begun = lines.pop()!;
      for (const line of lines) if (line !== '') this.#line(line);
      if (begun.length < LINE_CHARACTERS_MAX) return;
      this.#line(begun);
      begun = '';
    };
  }
}
