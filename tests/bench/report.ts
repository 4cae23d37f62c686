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
  /**
   * The most resident memory of the bench's own process, what it keeps to compare with included, and the
   * programs that it starts left out. Absent: not noted.
   */
  readonly peakMib?: number;
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
function markdownTable(lines: readonly (readonly string[])[]): string {
  const [head, ...rows] = lines as [readonly string[], ...(readonly string[])[]];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** The rows of a bench as a Markdown table. */
export const tableText = (rows: readonly Row[]): string =>
  markdownTable([HEAD, ...rows.map(cells)]);

const noteText = (rows: readonly Row[]): string =>
  rows
    .filter((row) => row.note !== null)
    .map((row) => `- ${row.what}: ${row.note}`)
    .join('\n');

const peakText = ({ peakMib }: Result): string =>
  peakMib === undefined
    ? ''
    : ` At most ${Math.round(peakMib)} MiB resident in the bench's own process.`;

/** A bench's section of the summary. */
export function sectionText(result: Result): string {
  const notes = noteText(result.rows);
  return [
    `## ${result.title} (\`${result.bench}\`)`,
    tableText(result.rows),
    ...(notes === '' ? [] : [notes]),
    `Load before: ${result.loadBefore.toFixed(2)}.${peakText(result)}`,
  ].join('\n\n');
}

/** Node's oldest version that is supported: what the summary is of. */
const FLOOR = 'v20';
/** Folders, in that of the results, of those of newer versions. */
const NEWER_FOLDER = /^node-v\d+$/u;

const majorOf = (version: string): string => version.slice(0, version.indexOf('.'));

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

/** What newer versions of Node measured, beside the floor's. */
function besideText(results: readonly Result[], newer: readonly Result[]): string {
  const other = newer[0]!.machine.node;
  const lines = newer.flatMap(({ bench, rows }) => {
    const known = results.find((result) => result.bench === bench)?.rows ?? [];
    return rows.flatMap(({ what, measured, value, unit }) => {
      const row = known.find((one) => one.what === what);
      if (row === undefined) return [];
      const of = (figure: Figure, ratio: number): string =>
        unit === 'x' ? `${figureText(figure)}: ${digits(ratio)} x` : figureText(figure);
      return [[`${bench}: ${what}`, of(row.measured, row.value), of(measured, value)]];
    });
  });
  return [
    `## Beside Node ${other}`,
    'What was measured, and its ratio to the limit of the same run.',
    markdownTable([['what', `Node ${results[0]!.machine.node}`, `Node ${other}`], ...lines]),
  ].join('\n\n');
}

/** The summary of results, and of those of newer versions of Node. */
function summaryText(
  results: readonly Result[],
  newer: readonly (readonly Result[])[] = [],
): string {
  const [first] = results;
  if (first === undefined) return `${INTRODUCTION}\n\nNone yet.\n`;
  const { processor, cores, memoryMib, node } = first.machine;
  const where = `Machine: ${processor}, ${cores} cores, ${memoryMib} MiB; Node ${node}.`;
  const beside = newer.map((of) => besideText(results, of));
  return `${[INTRODUCTION, where, ...results.map(sectionText), ...beside].join('\n\n')}\n`;
}

/** The results in a folder, in the order of the benches. */
function resultsIn(folder: string, order: readonly string[]): readonly Result[] {
  return (
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Partial<Result>)
      // Figures that a test keeps beside them have another form.
      .filter((kept): kept is Result => kept.machine !== undefined)
      .toSorted((a, b) => order.indexOf(a.bench) - order.indexOf(b.bench))
  );
}

/**
 * Writes a bench's result file and the summary of all of them. Those of a version of Node above the floor
 * lie in a folder of their own, and stand beside the floor's.
 */
export function writeResult(folder: string, result: Result, order: readonly string[]): void {
  const version = majorOf(result.machine.node);
  const own = version === FLOOR ? folder : join(folder, `node-${version}`);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, `${result.bench}.json`), `${JSON.stringify(result, null, 2)}\n`);
  const newer = readdirSync(folder)
    .filter((name) => NEWER_FOLDER.test(name))
    .toSorted()
    .map((name) => resultsIn(join(folder, name), order));
  writeFileSync(join(folder, 'README.md'), summaryText(resultsIn(folder, order), newer));
}
