// Progress on a terminal: what is done, at what rate, and how long it will take. Goes to stderr, and
// only where that is a terminal.

import { bytesText } from './output.ts';

const REDRAW_MS = 200;
const CLEAR_LINE = '\r\u001B[K';

export interface Terminal {
  readonly isTTY: boolean;
  readonly write: (text: string) => void;
  readonly now: () => number;
}

const duration = (seconds: number): string =>
  seconds < 60
    ? `${Math.ceil(seconds)} s`
    : `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`;

export class Progress {
  readonly #terminal: Terminal;
  readonly #label: string;
  readonly #startMs: number;
  #drawnMs = 0;
  #isDrawn = false;

  constructor(label: string, terminal: Terminal) {
    this.#label = label;
    this.#terminal = terminal;
    this.#startMs = terminal.now();
  }

  /** Shows how many of how many bytes are done. */
  bytes(done: number, total: number): void {
    const now = this.#terminal.now();
    if (!this.#terminal.isTTY || now - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = now;
    const seconds = (now - this.#startMs) / 1000;
    const rate = seconds > 0 ? done / seconds : 0;
    const left = rate > 0 ? `, ${duration((total - done) / rate)} left` : '';
    const share = total > 0 ? Math.floor((100 * done) / total) : 100;
    this.#terminal.write(
      `${CLEAR_LINE}${this.#label}: ${share} % of ${bytesText(total)}, ${bytesText(rate)}/s${left}`,
    );
    this.#isDrawn = true;
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#isDrawn) this.#terminal.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}
