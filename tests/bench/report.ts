// How results are told: a table on the terminal, a result file for each bench, and a summary of the
// result files in results/README.md.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Figure, Row, Target } from './measure.ts';

/** A bench's result as it stands in its file. */
export interface Result {
  readonly bench: string;
  readonly title: string;
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryMib: number;
    readonly node: string;
  };
  /** Of the minute before the bench began: above about half a core, figures are of a busy machine. */
  readonly loadBefore: number;
  readonly rows: readonly Row[];
}

export const machine = (): Result['machine'] => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memoryMib: Math.round(totalmem() / 2 ** 20),
  node: process.version,
});

export const loadNow = (): number => Number(loadavg()[0]!.toFixed(2));

/** A number with three significant digits, and no exponent. */
export function digits(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(places, 6));
}

const figureText = ({ median, min, max, unit, samples }: Figure): string =>
  samples === 1
    ? `${digits(median)} ${unit}`
    : `${digits(median)} ${unit} (${digits(min)} to ${digits(max)}, n = ${samples})`;

const targetText = (target: Target | null, unit: string): string =>
  target === null ? '' : `${target.sense} ${digits(target.bound)} ${unit}`;

const verdictText = (row: Row): string => {
  if (row.isMet === null) return 'told';
  return row.isMet ? 'met' : 'missed';
};

const HEAD = ['what', 'measured', 'limit', 'value', 'target', 'verdict'];

const cells = (row: Row): readonly string[] => [
  row.what,
  figureText(row.measured),
  row.limit === null ? '' : `${row.limit.what}: ${figureText(row.limit.figure)}`,
  `${digits(row.value)} ${row.unit}`,
  targetText(row.target, row.unit),
  verdictText(row),
];

/** A Markdown table, its columns padded. */
export function tableText(rows: readonly Row[]): string {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(HEAD), rule, ...rows.map((row) => line(cells(row)))].join('\n');
}

const noteText = (rows: readonly Row[]): string =>
  rows
    .filter((row) => row.note !== null)
    .map((row) => `- ${row.what}: ${row.note}`)
    .join('\n');

/** A bench's section of the summary. */
export function sectionText(result: Result): string {
  const notes = noteText(result.rows);
  return [
    `## ${result.title} (\`${result.bench}\`)`,
    tableText(result.rows),
    ...(notes === '' ? [] : [notes]),
    `Load before: ${result.loadBefore.toFixed(2)}.`,
  ].join('\n\n');
}

/** The folder of the result files in the sources, wherever this is compiled to. */
export function resultsFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return join(folder, 'tests', 'bench', 'results');
}

const INTRODUCTION = `# Results of the benches

Written by \`npm run bench\`; not edited by hand. Every value is a ratio to a limit that was measured
warm in the same run, or stands against a stated bound (docs/performance.md). Figures are medians,
with the least and the most of n samples.`;

/** The summary of results. */
function summaryText(results: readonly Result[]): string {
  const [first] = results;
  if (first === undefined) return `${INTRODUCTION}\n\nNone yet.\n`;
  const { processor, cores, memoryMib, node } = first.machine;
  const where = `Machine: ${processor}, ${cores} cores, ${memoryMib} MiB; Node ${node}.`;
  return `${[INTRODUCTION, where, ...results.map(sectionText)].join('\n\n')}\n`;
}

/** Writes a bench's result file and the summary of all of them. */
export function writeResult(folder: string, result: Result, order: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${result.bench}.json`), `${JSON.stringify(result, null, 2)}\n`);
  const results = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Partial<Result>)
    // Figures that a test keeps beside them have another form.
    .filter((kept): kept is Result => kept.machine !== undefined)
    .toSorted((a, b) => order.indexOf(a.bench) - order.indexOf(b.bench));
  writeFileSync(join(folder, 'README.md'), summaryText(results));
}
