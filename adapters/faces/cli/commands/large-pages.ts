// `large-pages`: which parts of 2 MiB of a VM's memory are cold, what holding them small would bring, and
// what was decided of them; decides on them, or shows what other policies would have decided.

import { Option, type Command } from 'commander';
import type { AccessBits } from '../../../../domain/guest/accessed-pages.ts';
import type { Choice, Policy } from '../../../../domain/large-pages.ts';
import {
  decideLarge,
  hostPagesOfProcess,
  largePagesOf,
  replayLargeOf,
  SPLIT_FILE,
  splitProcess,
  type LargePagesDecided,
} from '../../../wiring/questions/large-pages.ts';
import { regionBits } from '../../../wiring/guest/region-bits.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../../wiring/ledger/vm-point.ts';
import { countIn, outcomeRow, regionRow } from '../../rows/large-page-rows.ts';
import { positiveNumber, wholeNumber } from '../argument-values.ts';
import { declareEnd, endAskedOf, endOf } from '../excerpt.ts';
import { UsageError } from '../failure.ts';
import { declareKernel, kernelChoiceOf, kernelChoiceWith } from '../guest-point.ts';
import {
  bytesText,
  counted,
  field,
  inBytes,
  leftOut,
  numeric,
  type Column,
  type Output,
} from '../output.ts';
import { COLD_BELOW } from '../sampled-regions.ts';
import { withLedger } from '../session.ts';

/** Pages looked at for the estimate. */
const ESTIMATE_SAMPLES = 100;
const MIB = 2 ** 20;

/** What tells of accesses: captures, or the guest's own page tables. */
const SOURCES = ['writes', 'bits'] as const;
/** A budget that is what this host has available. */
const HOST = 'host';

const declareOwn = (command: Command): Command =>
  declareEnd(command)
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point (default: latest)')
    .option('--since <point>', 'count accesses after this point')
    .option(
      '--threshold <n>',
      `cold is what has less activity (default: ${COLD_BELOW})`,
      wholeNumber,
    )
    .option('--coldest <n>', 'cold are so many of the least active', positiveNumber)
    .option('--total', 'activity is accesses, not pages that were accessed')
    .option('--decide', 'split the cold of those looked at, and look at the next ones')
    .option('--sample <n>', 'with --decide: how many to look at next (default: all)', wholeNumber)
    .option(
      '--budget <MiB>',
      'memory that may be held, of all VMs, or `host`, what this host has available; of the VM with --replay',
      (text) => (text === HOST ? HOST : positiveNumber(text)),
    )
    .addOption(
      new Option('--source <source>', "what tells of accesses: `bits` are the guest's page tables")
        .choices(SOURCES)
        .default('writes'),
    )
    .option('--replay <policies>', 'decide the whole history again, as 8,32,coldest:10')
    .option('--process <pid>', 'also how this host holds the memory of a QEMU', positiveNumber)
    .option(
      '--split',
      'with --process: tell this host to split the regions that are looked at or held small',
    )
    .option('--split-file <file>', 'with --split: where its kernel takes that', SPLIT_FILE)
    .option('--every <n>', 'with --replay: captures of an interval (default: 1)', positiveNumber);

export const declare = (command: Command): Command =>
  declareKernel(declareOwn(command), '--source bits');

interface LargePagesOptions {
  readonly source: (typeof SOURCES)[number];
  readonly vm: string;
  readonly at?: string;
  readonly since?: string;
  readonly threshold?: number;
  readonly coldest?: number;
  readonly total?: boolean;
  readonly decide?: boolean;
  readonly sample?: number;
  readonly budget?: number | typeof HOST;
  readonly replay?: string;
  readonly every?: number;
  readonly process?: number;
  readonly split?: boolean;
  readonly splitFile: string;
}

/** Option that goes with others only. */
function checkTogether(options: LargePagesOptions): void {
  const { at, since, threshold, coldest, sample, budget, every } = options;
  const isDeciding = options.decide === true;
  const isReplay = options.replay !== undefined;
  if (threshold !== undefined && coldest !== undefined)
    throw new UsageError('--threshold and --coldest both say what is cold: say one');
  if (isDeciding && isReplay)
    throw new UsageError('--decide decides, --replay shows what would have been: say one');
  if (isDeciding && (at !== undefined || since !== undefined))
    throw new UsageError('--decide is at the newest capture: leave --at and --since out');
  if (isReplay && [at, since, threshold, coldest].some((of) => of !== undefined))
    throw new UsageError(
      '--replay is of the whole history, under the policies that it names: leave --at, --since, --threshold and --coldest out',
    );
  if (options.process !== undefined && (isDeciding || isReplay))
    throw new UsageError('--process is of a ranking: leave --decide and --replay out');
  if (options.source === 'bits' && (isReplay || since !== undefined || options.total === true))
    throw new UsageError(
      '--source bits tells of pages that were accessed at any time: leave --since, --total and --replay out',
    );
  if (options.split === true && (options.process === undefined || options.at !== undefined))
    throw new UsageError(
      '--split is of a QEMU that runs, by what was decided last: say --process, and leave --at out',
    );
  if (budget === HOST && isReplay)
    throw new UsageError('nobody knows what this host had available then: name a budget in MiB');
  if (sample !== undefined && !isDeciding) throw new UsageError('--sample goes with --decide');
  if (every !== undefined && !isReplay) throw new UsageError('--every goes with --replay');
  if (budget !== undefined && !isDeciding && !isReplay)
    throw new UsageError('--budget goes with --decide or --replay');
}

/** What is cold by a word: a threshold, or coldest:N. */
function choiceOf(text: string): Choice {
  const [, coldest, number] = /^(coldest:)?(\d{1,9})$/u.exec(text.trim()) ?? [];
  if (number === undefined || (coldest !== undefined && Number(number) < 1))
    throw new UsageError(
      `${JSON.stringify(text)} is no policy: a threshold as 16, or coldest:10, was expected`,
    );
  return coldest === undefined
    ? { _tag: 'below', threshold: Number(number) }
    : { _tag: 'coldest', count: Number(number) };
}

function policyOf({ threshold = COLD_BELOW, coldest, total }: LargePagesOptions): Policy {
  const choice: Choice =
    coldest === undefined ? { _tag: 'below', threshold } : { _tag: 'coldest', count: coldest };
  return { measure: total === true ? 'total' : 'distinct', choice };
}

const budgetBytes = ({ budget }: LargePagesOptions): number | typeof HOST | null =>
  budget === undefined || budget === HOST ? (budget ?? null) : budget * MIB;

/** What the guest's page tables say, where that is asked for. */
async function bitsAt(
  command: Command,
  ledger: Ledger,
  point: VmPoint,
): Promise<{ readonly bits?: readonly AccessBits[] }> {
  if (command.opts<LargePagesOptions>().source === 'writes') return {};
  return { bits: await regionBits(ledger, { ...point, ...kernelChoiceOf(command) }) };
}

const COLUMNS: readonly Column[] = [
  numeric('region'),
  numeric('activity'),
  numeric('shareable'),
  numeric('pattern'),
  inBytes('reclaimableBytes', 'reclaimable'),
  field('decision'),
  leftOut(1, numeric('decided', 'at capture')),
  inBytes('reclaimedBytes', 'reclaimed'),
];
const BITS: readonly Column[] = [
  leftOut(2, numeric('mapped')),
  leftOut(2, numeric('dirty')),
  leftOut(2, numeric('inLarge', 'in large')),
];

/** How a QEMU's host holds its memory. */
function showHost(
  output: Output,
  row: ReturnType<typeof hostPagesOfProcess> & { readonly vm: string; readonly process: number },
): void {
  const { process, residentBytes, largeBytes, mergedBytes } = row;
  if (output.isJson) return output.json({ ...row });
  const merged =
    mergedBytes === null ? 'what is merged it does not say' : `${bytesText(mergedBytes)} merged`;
  output.print(
    `of process ${process} this host holds ${bytesText(residentBytes)}: ${bytesText(largeBytes)} in large pages, ${merged}`,
  );
}

/** What is said of where activity is known from. */
const ACTIVITY = {
  writes:
    'activity is what captures wrote and resumed guests asked for; reading is seen of those that `resume --sample` looks at',
  bits: 'activity is pages whose bit in the page tables of processes is set: accessed at some time since they were mapped, or since the kernel cleared it; a large page has one bit, and counts whole',
} as const;

async function show(command: Command, ledger: Ledger, output: Output): Promise<void> {
  const options = command.opts<LargePagesOptions>();
  const { vm, at = 'latest', since: from, process } = options;
  if (process !== undefined) hostPagesOfProcess(process);
  const entry = ledger.vm(vm);
  const row = ledger.locate(entry, at);
  const policy = policyOf(options);
  const { measure, choice } = policy;
  const of = from === undefined ? null : ledger.locate(entry, from).capture;
  if (of !== null && of >= row.capture)
    throw new UsageError(`--since ${from} is not before the point: @${of} and @${row.capture}`);
  const asked = await bitsAt(command, ledger, { entry, row });
  const { since, regions, restPages } = await largePagesOf(
    ledger,
    { entry, row },
    { since: of, measure, ...asked },
  );
  const cold = regions.filter(({ activity }, i) =>
    choice._tag === 'below'
      ? activity !== null && activity < choice.threshold
      : activity !== null && i < choice.count,
  );
  const isCold = new Set(cold);
  const rows = regions.map((region) => ({
    ...regionRow(vm, region, region.activity === null ? null : isCold.has(region)),
    ...asked.bits?.[region.region],
  }));
  output.rows(
    endOf(rows, endAskedOf(command)),
    asked.bits === undefined ? COLUMNS : [...COLUMNS, ...BITS],
  );
  const known = regions.some(({ activity }) => activity !== null);
  const reclaimable = cold.reduce((sum, { reclaimableBytes }) => sum + reclaimableBytes, 0);
  output.print(
    known
      ? `${vm}@${row.capture}: ${counted(regions.length, 'region')} of 2 MiB, ${cold.length} of them cold${asked.bits === undefined ? ` after @${since}` : ''}: splitting these would bring up to ${bytesText(reclaimable)}; ${ACTIVITY[options.source]}`
      : `${vm}@${row.capture}: ${counted(regions.length, 'region')} of 2 MiB; ${asked.bits === undefined ? `no capture of the interval after @${since} tells of accesses` : 'no process has half of any of them mapped'}`,
  );
  if (restPages > 0)
    output.print(
      `${counted(restPages, 'page')} behind the last whole region ${restPages === 1 ? 'belongs' : 'belong'} to none`,
    );
  const done = {
    vm,
    capture: row.capture,
    since: known && asked.bits === undefined ? since : null,
    regions: regions.length,
    cold: cold.length,
    reclaimableBytes: reclaimable,
    restPages,
  };
  if (process !== undefined) showProcess(output, { entry, row, regions, process, options });
  output.summary('large-pages', done);
}

/** How this host holds the memory of a QEMU, which it is told to split where that is asked for. */
function showProcess(
  output: Output,
  of: VmPoint & {
    readonly regions: Parameters<typeof splitProcess>[1];
    readonly process: number;
    readonly options: LargePagesOptions;
  },
): void {
  const { entry, row, regions, process, options } = of;
  const { vm } = entry;
  if (options.split === true) {
    const split = splitProcess({ entry, row }, regions, { process, file: options.splitFile });
    if (output.isJson) output.json({ vm, process, ...split });
    output.print(
      `memory of this host is ${split.memory}: it was told to split ${counted(split.regions, 'region')} of process ${process}`,
    );
  }
  showHost(output, { vm, process, ...hostPagesOfProcess(process) });
}

function sayDecided(output: Output, decided: LargePagesDecided): void {
  const { events, since, capture, heldBefore, heldAfter, bytes, estimate, memory, remedies } =
    decided;
  const split = countIn(events, 'LargePageSplit');
  const restored = countIn(events, 'LargePageRestored');
  const sampled = countIn(events, 'LargePageSampled');
  output.print(
    since === null
      ? `nothing was looked at before @${capture}`
      : `${since === capture ? `by what its page tables say at @${capture}` : `after @${since} up to @${capture}`}: ${counted(split, 'region')} split, ${restored} held large`,
  );
  output.print(
    `${bytesText(heldBefore - heldAfter)} reclaimed: of ${bytesText(bytes)} of memory ${bytesText(heldAfter)} are held`,
  );
  if (estimate !== null)
    output.print(
      `estimated before, by ${counted(estimate.samples, 'page')}: splitting all would bring ${bytesText(estimate.bytes)} (${bytesText(estimate.leastBytes)} to ${bytesText(estimate.mostBytes)})`,
    );
  if (memory !== 'high')
    output.print(
      `memory is ${memory}: ${remedies.map((step) => `${step.remedy} ${bytesText(step.bytes)}`).join(', then ')}`,
    );
  if (since !== capture)
    output.print(`${counted(sampled, 'region is', 'regions are')} looked at from @${capture} on`);
}

async function decide(command: Command, ledger: Ledger, output: Output): Promise<void> {
  const options = command.opts<LargePagesOptions>();
  const entry = ledger.vm(options.vm);
  const row = ledger.resolve(entry, 'latest');
  const decided = await decideLarge(ledger, entry, {
    policy: policyOf(options),
    sample: options.sample ?? Number.MAX_SAFE_INTEGER,
    budgetBytes: budgetBytes(options),
    estimateSamples: ESTIMATE_SAMPLES,
    ...(await bitsAt(command, ledger, { entry, row })),
  });
  sayDecided(output, decided);
  const { events, ...rest } = decided;
  output.summary('large-pages', {
    vm: options.vm,
    ...rest,
    split: countIn(events, 'LargePageSplit'),
    restored: countIn(events, 'LargePageRestored'),
    sampled: countIn(events, 'LargePageSampled'),
    reclaimedBytes: rest.heldBefore - rest.heldAfter,
  });
}

const OUTCOMES: readonly Column[] = [
  field('name', 'policy'),
  numeric('splits'),
  leftOut(2, numeric('wronglySplit', 'wrongly')),
  numeric('writesToSmall', 'writes to small'),
  leftOut(1, numeric('splitRegions', 'small at the end')),
  inBytes('reclaimedBytes', 'reclaimed'),
  leftOut(3, inBytes('meanReclaimedBytes', 'on average')),
  leftOut(4, field('memory')),
];

async function replay(ledger: Ledger, output: Output, options: LargePagesOptions): Promise<void> {
  const { vm, replay: list = '', every = 1 } = options;
  const { measure } = policyOf(options);
  const policies = list.split(',').map((text) => {
    const choice = choiceOf(text);
    const name = choice._tag === 'below' ? `below ${choice.threshold}` : `coldest ${choice.count}`;
    return { name, policy: { measure, choice } };
  });
  const entry = ledger.vm(vm);
  const budget = budgetBytes(options);
  const request = { entry, policies, every, budgetBytes: budget === HOST ? null : budget };
  const outcomes = await replayLargeOf(ledger, request);
  output.rows(
    outcomes.map((outcome) => outcomeRow(vm, outcome)),
    OUTCOMES,
  );
}

export const run = (command: Command): Promise<void> => {
  const options = command.opts<LargePagesOptions>();
  checkTogether(options);
  kernelChoiceWith(command, { isAsked: options.source === 'bits', goesWith: '--source bits' });
  const mode = options.decide === true ? 'write' : 'read';
  return withLedger(command, mode, async (ledger, output) => {
    if (options.decide === true) await decide(command, ledger, output);
    else if (options.replay !== undefined) await replay(ledger, output, options);
    else await show(command, ledger, output);
  });
};
