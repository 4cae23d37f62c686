// Progress on a terminal: what is done, at what rate, and how long it will take. Goes to stderr, and
// only where that is a terminal.

import { bytesText, counted } from './output.ts';

const REDRAW_MS = 200;
/** Of a terminal that has room for a line of progress. */
const COLUMNS_MIN = 60;
const CLEAR_LINE = '\r\u001B[K';

export interface Terminal {
  readonly isTTY: boolean;
  /** Below COLUMNS_MIN nothing is shown: lines would wrap, and leave a trail. */
  readonly columns: number;
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
    this.#draw(done, total, bytesText);
  }

  /** Shows how many of how many things are done, by their name in the singular. */
  count(done: number, total: number, thing: string): void {
    this.#draw(done, total, (count) => counted(Math.round(count), thing));
  }

  #draw(done: number, total: number, text: (amount: number) => string): void {
    const { isTTY, columns } = this.#terminal;
    const now = this.#terminal.now();
    if (!isTTY || columns < COLUMNS_MIN || now - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = now;
    const seconds = (now - this.#startMs) / 1000;
    const rate = seconds > 0 ? done / seconds : 0;
    const left = rate > 0 ? `, ${duration(Math.max(0, total - done) / rate)} left` : '';
    // More than was foreseen may come: what others record meanwhile.
    const share = total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 100;
    this.#terminal.write(
      `${CLEAR_LINE}${this.#label}: ${share} % of ${text(total)}, ${text(rate)}/s${left}`.slice(
        0,
        columns + CLEAR_LINE.length - 1,
      ),
    );
    this.#isDrawn = true;
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#isDrawn) this.#terminal.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}
