// What commands print: tables for people, or newline-delimited JSON and nothing else.

import { escapedText } from '../rows/escaped-text.ts';
import { jsonLine, type Row } from '../rows/row.ts';

export interface Column {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: 'right';
}

/** 1536 -> `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]!}`;
}

/** Where output goes; a reader that closes the pipe early ends the process quietly. */
export class Output {
  readonly isJson: boolean;
  readonly #isQuiet: boolean;
  readonly #write: (text: string) => void;
  readonly #startMs = performance.now();

  constructor(options: {
    readonly isJson: boolean;
    readonly isQuiet?: boolean;
    readonly write: (text: string) => void;
  }) {
    this.isJson = options.isJson;
    this.#isQuiet = options.isQuiet ?? false;
    this.#write = options.write;
  }

  /** One object a line. */
  json(row: Row): void {
    this.#write(jsonLine(row));
  }

  /** A line for people; nothing under --json. */
  print(text: string): void {
    if (!this.isJson) this.#write(`${escapedText(text)}\n`);
  }

  /** A sentence that tells people what was done; nothing under --json or --quiet. */
  say(text: string): void {
    if (!this.#isQuiet) this.print(text);
  }

  /** The last row of a command that works: what was done, and how long it took. */
  summary(command: string, done: Row): void {
    const seconds = Math.round(performance.now() - this.#startMs) / 1000;
    if (this.isJson) this.json({ summary: command, ...done, seconds });
  }

  /** Rows as JSON lines, or as a table. */
  rows(rows: readonly Row[], columns: readonly Column[]): void {
    if (this.isJson) for (const row of rows) this.json(row);
    else this.#table(rows, columns);
  }

  #table(rows: readonly Row[], columns: readonly Column[]): void {
    const cells = rows.map((row) => columns.map((column) => escapedText(column.cell(row))));
    const widths = columns.map((column, i) =>
      Math.max(column.title.length, ...cells.map((line) => line[i]!.length)),
    );
    const line = (texts: readonly string[]): string =>
      texts
        .map((text, i) =>
          columns[i]!.align === 'right' ? text.padStart(widths[i]!) : text.padEnd(widths[i]!),
        )
        .join('  ')
        .trimEnd();
    this.#write(`${line(columns.map((column) => column.title))}\n`);
    for (const texts of cells) this.#write(`${line(texts)}\n`);
  }
}

/** A column that shows one field. */
export const field = (name: string, title = name): Column => ({
  title,
  cell: (row) => {
    const value = row[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '-';
  },
});

/** A column that shows a number of bytes. */
export const inBytes = (name: string, title = name): Column => ({
  title,
  align: 'right',
  cell: (row) => {
    const value = row[name];
    return typeof value === 'number' ? bytesText(value) : '-';
  },
});

/** The same, right-aligned: a number. */
export const numeric = (name: string, title = name): Column => ({
  ...field(name, title),
  align: 'right',
});
