// What commands print: tables for people, or newline-delimited JSON and nothing else.

import { escapedText } from '../rows/escaped-text.ts';
import { jsonLine, type Row } from '../rows/row.ts';
import { wrapped } from './wrapped-text.ts';

export interface Column {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: 'right';
  /** Left out where a terminal has no room for it, the greatest first; absent: never. */
  readonly leftOut?: number;
  /** Whether its cells may be cut, where a terminal has no room. */
  readonly isCut?: boolean;
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

/** `1 pack`, `2 packs`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet?: boolean;
  readonly write: (text: string) => void;
  /** Of the terminal that tables are to fit; absent: they are as wide as they are. */
  readonly columns?: number;
  /** Whether what is damaged or forgotten is coloured. */
  readonly isColoured?: boolean;
}

/** Where output goes; a reader that closes the pipe early ends the process quietly. */
export class Output {
  readonly isJson: boolean;
  readonly #isQuiet: boolean;
  readonly #write: (text: string) => void;
  readonly #columns: number;
  readonly #isColoured: boolean;
  readonly #startMs = performance.now();

  constructor(options: OutputOptions) {
    this.isJson = options.isJson;
    this.#isQuiet = options.isQuiet ?? false;
    this.#write = options.write;
    const { columns = 0 } = options;
    // A terminal that nobody has told its size has none.
    this.#columns = columns === 0 ? Infinity : columns;
    this.#isColoured = options.isColoured ?? false;
  }

  /** One object a line. */
  json(row: Row): void {
    this.#write(jsonLine(row));
  }

  /** A line for people; nothing under --json. */
  print(text: string): void {
    if (!this.isJson) this.#write(`${wrapped(escapedText(text), this.#columns)}\n`);
  }

  /** A row of its own for people, on one line of the terminal: what has no room is cut. */
  entry(text: string): void {
    this.print(cut(escapedText(text), this.#columns));
  }

  /** A sentence that tells people what was done; nothing under --json or --quiet. */
  say(text: string): void {
    if (!this.#isQuiet) this.print(text);
  }

  /** A command for people to copy: on one line, however long; nothing under --json or --quiet. */
  command(text: string): void {
    if (!this.#isQuiet && !this.isJson) this.#write(`${escapedText(text)}\n`);
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
    const table = fitted(rows, columns, this.#columns);
    this.#write(`${table.line(table.columns.map(({ title }) => title))}\n`);
    for (const [i, texts] of table.cells.entries())
      this.#write(`${this.#coloured(rows[i]!, table.line(texts))}\n`);
  }

  #coloured({ damaged, forgotten }: Row, line: string): string {
    if (!this.#isColoured) return line;
    if (damaged === true) return `${RED}${line}${PLAIN}`;
    return forgotten === true ? `${DIM}${line}${PLAIN}` : line;
  }
}

const RED = '\u001B[31m';
const DIM = '\u001B[2m';
const PLAIN = '\u001B[0m';
const GAP = '  ';

/** A table that was made to fit. */
interface Fitted {
  readonly columns: readonly Column[];
  readonly cells: readonly (readonly string[])[];
  /** Texts of a row as a line. */
  readonly line: (texts: readonly string[]) => string;
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(1, width - 3))}...`;

/** The columns and cells that a terminal has room for. */
function fitted(rows: readonly Row[], all: readonly Column[], room: number): Fitted {
  let columns = all;
  let cells = rows.map((row) => columns.map((column) => escapedText(column.cell(row))));
  const widthsNow = (): number[] =>
    columns.map((column, i) =>
      cells.reduce((width, line) => Math.max(width, line[i]!.length), column.title.length),
    );
  let widths = widthsNow();
  const excess = (): number =>
    widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1) - room;
  while (excess() > 0) {
    const last = Math.max(...columns.map(({ leftOut }) => leftOut ?? 0));
    if (last === 0) break;
    const kept = columns.map(({ leftOut }) => (leftOut ?? 0) !== last);
    columns = columns.filter((_, i) => kept[i]);
    cells = cells.map((line) => line.filter((_, i) => kept[i]));
    widths = widthsNow();
  }
  for (const [i, { isCut, title }] of columns.entries()) {
    if (isCut !== true || excess() <= 0) continue;
    const width = Math.max(title.length, CUT_MIN, widths[i]! - excess());
    cells = cells.map((line) => line.with(i, cut(line[i]!, width)));
    widths = widthsNow();
  }
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) =>
        columns[i]!.align === 'right' ? text.padStart(widths[i]!) : text.padEnd(widths[i]!),
      )
      .join(GAP)
      .trimEnd();
  return { columns, cells, line };
}

/** What is left of a cell at the least. */
const CUT_MIN = 13;

/** A column that a narrow terminal leaves out, those of the greatest number first. */
export const leftOut = (order: number, column: Column): Column => ({ ...column, leftOut: order });

/** A column whose cells a narrow terminal cuts. */
export const mayBeCut = (column: Column): Column => ({ ...column, isCut: true });

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
