// `clones`: the guests that were started from points and run, and those that are parked; those that have died on
// this host are ended. Or what other ways to choose what is dropped would have made of what they touched.

import type { Command } from 'commander';
import { EVICTION_POLICIES, type EvictionPolicy } from '../../../../domain/eviction-policies.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { replayClonesOf } from '../../../wiring/clones/clones.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { positiveNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { clonesOf } from '../../../wiring/clones/clones.ts';
import { parkedClonesOf } from '../../../wiring/clones/parking.ts';
import { cloneRow, parkedRow, replayedRow } from '../../rows/running-clone-rows.ts';
import { endedLeases } from '../ended-leases.ts';
import { declareExcerpt, excerptByTime, excerptOf } from '../excerpt.ts';
import { field, inBytes, leftOut, mayBeCut, numeric, type Column, type Output } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareExcerpt(command.option('--vm <name>', 'those of one master'))
    .option(
      '--what-if <policies>',
      `what the clones of each host would have fetched under other policies: ${EVICTION_POLICIES.join(', ')}, or all`,
    )
    .option(
      '--memory <MiB>',
      'with --what-if: what of their bases a host has room for (default: three, two and one quarter of what they touched)',
      positiveNumber,
    );

interface ClonesOptions {
  readonly vm?: string;
  readonly whatIf?: string;
  readonly memory?: number;
  readonly last?: number;
  readonly since?: string;
  readonly reverse?: boolean;
}

const COLUMNS: readonly Column[] = [
  field('id'),
  mayBeCut(field('vm')),
  numeric('capture'),
  field('kind'),
  leftOut(3, field('host')),
  leftOut(1, numeric('process')),
  leftOut(5, field('since')),
  numeric('privatePages', 'private pages'),
  leftOut(2, numeric('serverPages', 'fetched')),
  leftOut(4, numeric('droppedPages', 'dropped')),
  leftOut(4, numeric('refetchedPages', 'again')),
  mayBeCut(field('as', 'parked as')),
  leftOut(6, field('qmp')),
];

const MIB = 2 ** 20;

const isPolicy = (word: string): word is EvictionPolicy =>
  (EVICTION_POLICIES as readonly string[]).includes(word);

/** The policies that words name, and the best one, which the others are held against. */
function policiesOf(text: string): readonly EvictionPolicy[] {
  if (text === 'all') return EVICTION_POLICIES;
  const words = text.split(',').map((word) => word.trim());
  const other = words.find((word) => !isPolicy(word));
  if (other !== undefined)
    throw new UsageError(
      `${JSON.stringify(other)} is no policy: ${EVICTION_POLICIES.join(', ')} or all were expected`,
    );
  return EVICTION_POLICIES.filter((policy) => policy === 'best' || words.includes(policy));
}

const REPLAYED_COLUMNS: readonly Column[] = [
  field('host'),
  inBytes('memoryBytes', 'memory'),
  field('policy'),
  numeric('references'),
  numeric('fetchedPages', 'fetched'),
  numeric('evictedPages', 'evicted'),
  numeric('refetchedPages', 'again'),
  numeric('overBest', 'x best'),
];

async function replay(ledger: Ledger, output: Output, options: ClonesOptions): Promise<void> {
  const { vm, whatIf = 'all', memory, last, since, reverse } = options;
  if ([last, since, reverse].some((given) => given !== undefined))
    throw new UsageError('--what-if is of all clones: leave --last, --since and --reverse out');
  if (vm !== undefined)
    throw new UsageError('--what-if is of all clones of a host: leave --vm out');
  const capacity = memory === undefined ? null : Math.floor((memory * MIB) / PAGE_BYTES);
  const replayed = await replayClonesOf(ledger, { policies: policiesOf(whatIf), capacity });
  output.rows(
    replayed.map((row) => replayedRow(row, replayed)),
    REPLAYED_COLUMNS,
  );
  if (replayed.length === 0)
    output.print('no event tells what clones fetched: they are of ledger format 6');
  if (replayed.some(({ isCut }) => isCut))
    output.print('there is more than is replayed: what clones touched last is left out');
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'use', async (ledger, output) => {
    const options = command.opts<ClonesOptions>();
    const { vm, whatIf, memory } = options;
    if (whatIf !== undefined) return replay(ledger, output, options);
    if (memory !== undefined) throw new UsageError('--memory goes with --what-if');
    const entries = vm === undefined ? ledger.vms() : [ledger.vm(vm)];
    await endedLeases(command, ledger);
    const all = [
      ...clonesOf(ledger, entries).map((one) => ({ row: cloneRow(one), timeMs: one.timeMs })),
      ...parkedClonesOf(ledger, entries).map((one) => ({
        row: parkedRow(one),
        timeMs: one.timeMs,
      })),
    ];
    const asked = excerptByTime(all, excerptOf(command, ledger), ({ timeMs }) => timeMs);
    output.rows(
      asked.map(({ row }) => row),
      COLUMNS,
    );
  });
