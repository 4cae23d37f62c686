// `forget`: gives points up that nothing keeps, and says of each why it stays or goes.

import type { Command } from 'commander';
import { BUCKETS, type KeepRules } from '../../../../domain/retention.ts';
import { durationMs } from '../../../../domain/values/instant.ts';
import { forgetPoints, type Forgotten, type ForgetRequest } from '../../../wiring/forget/forget.ts';
import { forgetHistory, type HistoryForgotten } from '../../../wiring/forget/history.ts';
import type { HeldHistory } from '../../../../domain/history.ts';
import { forgetRow, historyRow } from '../../rows/forget-rows.ts';
import { collected, positiveNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { bytesText, field, mayBeCut, numeric, type Column, type Output } from '../output.ts';
import { withLedger } from '../session.ts';

export function declare(command: Command): Command {
  command
    .option(
      '--vm <glob>',
      'VMs, by name or with * and ?; may be repeated (default: all)',
      collected,
    )
    .option('--keep-last <n>', 'keep the last N captures', positiveNumber);
  for (const bucket of BUCKETS)
    command.option(
      `--keep-${bucket} <n>`,
      `keep the last of each of N ${UNITS[bucket]}`,
      positiveNumber,
    );
  return command
    .option('--keep-within <duration>', 'keep what is not older')
    .option('--before <point>', 'forget what lies before; of a time, what is older')
    .option('--at <point>', 'forget this point; may be repeated', collected)
    .option('--history', 'let the log forget what was before the oldest kept captures, too')
    .option('--dry-run', 'say what would go, and change nothing');
}

const UNITS = {
  hourly: 'hours',
  daily: 'days',
  weekly: 'weeks',
  monthly: 'months',
  yearly: 'years',
} as const satisfies Readonly<Record<(typeof BUCKETS)[number], string>>;

interface ForgetOptions {
  readonly vm?: readonly string[];
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly keepWithin?: string;
  readonly before?: string;
  readonly at?: readonly string[];
  readonly history?: boolean;
  readonly dryRun?: boolean;
}

function withinMs(text: string): number {
  const ms = durationMs(text);
  if (ms !== null) return ms;
  throw new UsageError(`--keep-within ${text} is no duration: 90m, 24h or 7d were expected`);
}

function rulesOf(options: ForgetOptions): KeepRules | null {
  const { keepLast: last, keepHourly: hourly, keepDaily: daily, keepWithin } = options;
  const { keepWeekly: weekly, keepMonthly: monthly, keepYearly: yearly } = options;
  const within = keepWithin === undefined ? undefined : withinMs(keepWithin);
  const said = { last, hourly, daily, weekly, monthly, yearly, withinMs: within };
  const rules = Object.entries(said).filter(([, value]) => value !== undefined);
  return rules.length === 0 ? null : Object.fromEntries(rules);
}

/** Rules, a point before which all goes, or points that go: exactly one of these, or history alone. */
function requestOf(options: ForgetOptions): ForgetRequest | null {
  const { vm, before, at, dryRun: isDryRun = false } = options;
  const keep = rulesOf(options);
  const asked = [
    ...(keep === null ? [] : [{ keep }]),
    ...(before === undefined ? [] : [{ before }]),
    ...(at === undefined ? [] : [{ at }]),
  ];
  if (asked.length === 0 && options.history === true) return null;
  if (asked.length !== 1)
    throw new UsageError(
      `${asked.length === 0 ? 'nothing says what goes' : 'two things say what goes'}: rules (--keep-last, --keep-hourly, --keep-daily, --keep-weekly, --keep-monthly, --keep-yearly, --keep-within), --before or --at were expected, one of the three`,
    );
  return { ...(vm === undefined ? {} : { vm }), ...asked[0], isDryRun };
}

const COLUMNS: readonly Column[] = [
  mayBeCut(field('vm')),
  numeric('capture'),
  { title: '', cell: ({ keep }) => (keep === true ? 'stays' : 'goes') },
  field('reason', 'why'),
  {
    title: 'frees at least',
    align: 'right',
    cell: ({ keep, bytes }) => (keep === true || typeof bytes !== 'number' ? '' : bytesText(bytes)),
  },
];

const staysText = (count: number): string => (count === 1 ? 'stays' : 'stay');
const capturesText = (count: number): string => (count === 1 ? '1 capture' : `${count} captures`);

function say(output: Output, { forgotten, kept, bytes }: Forgotten, isDryRun: boolean): void {
  if (forgotten === 0)
    return output.say(`nothing to forget; ${capturesText(kept)} ${staysText(kept)}`);
  const freed = bytes === null ? '' : ` at least ${bytesText(bytes)} of`;
  output.say(
    `${capturesText(forgotten)} ${isDryRun ? 'would be ' : ''}forgotten, ${capturesText(kept)} ${staysText(kept)}; \`pageledger compact\` ${isDryRun ? 'would give' : 'gives'}${freed} their space back`,
  );
}

const NOTHING_ASKED: Forgotten = { rows: [], forgotten: 0, kept: 0, bytes: 0 };

function nameText({ vm, capture, checkpoints, leases }: HeldHistory): string {
  const keepers = [
    ...checkpoints.map((name) => `checkpoint ${name}`),
    ...leases.map((id) => `lease ${id}`),
  ];
  return `${vm}@${capture}${keepers.length === 0 ? '' : ` (${keepers.join(', ')})`}`;
}

function sayHistory(output: Output, history: HistoryForgotten, isDryRun: boolean): void {
  const { cuts, held, begins, logBytes } = history;
  for (const of of held)
    output.say(`${nameText(of)} is kept, and holds back what ${of.vm} has after it`);
  if (cuts.length === 0) {
    const where = begins === null ? '' : `; history begins after position ${begins}`;
    return output.say(`no more history goes${where}`);
  }
  const which = cuts.map(({ vm, capture }) => `${vm} up to @${capture}`).join(', ');
  if (isDryRun) return output.say(`history would go: ${which}`);
  output.say(
    `history went: ${which}; it begins after position ${begins}, and the log takes ${bytesText(logBytes)} less`,
  );
}

export async function run(command: Command): Promise<void> {
  const options = command.opts<ForgetOptions>();
  const request = requestOf(options);
  const { history: hasHistory = false, dryRun: isDryRun = false, vm } = options;
  await withLedger(command, isDryRun ? 'read' : 'write', async (ledger, output) => {
    let gone = 0;
    const told = (): string =>
      isDryRun
        ? 'nothing was changed'
        : `${capturesText(gone)} ${gone === 1 ? 'is' : 'are'} forgotten, which stays so; what else the words ask for is left: run them again`;
    const done = await interruptible(told, (step) => {
      const onVm = (forgotten: number): void => {
        gone = forgotten;
        step();
      };
      return request === null
        ? Promise.resolve(NOTHING_ASKED)
        : forgetPoints(ledger, { ...request, onVm });
    });
    const { rows, forgotten, kept, bytes } = done;
    if (output.isJson || rows.length > 0) output.rows(rows.map(forgetRow), COLUMNS);
    const asIfForgotten = isDryRun ? rows.filter(({ isKept }) => !isKept) : [];
    const history = hasHistory
      ? await forgetHistory(ledger, {
          ...(vm === undefined ? {} : { vm }),
          isDryRun,
          asIfForgotten,
        })
      : null;
    output.summary('forget', {
      captures: forgotten,
      kept,
      bytes,
      dryRun: isDryRun,
      history: history === null ? null : historyRow(history),
    });
    if (request !== null) say(output, done, isDryRun);
    if (history !== null) sayHistory(output, history, isDryRun);
  });
}
