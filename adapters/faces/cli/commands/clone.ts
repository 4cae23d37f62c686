// `clone`: starts guests from one point, all over one file of its memory, and sees to them until they end.

import { Option, type Command } from 'commander';
import { CLONE_HOLDINGS, type CloneHolding } from '../../../../domain/clone-regions.ts';
import { largeRegionsOf } from '../../../wiring/clones/clone-regions.ts';
import type { ClonesBudget } from '../../../wiring/clones/host-memory.ts';
import { publishMaster, startClone, tellerOf } from '../../../wiring/clones/clones.ts';
import type { CloneBase } from '../../../wiring/clones/clone-base.ts';
import type { FarGuest } from '../../../wiring/clones/far-point.ts';
import { lookOver, PageLooks } from '../../../wiring/clones/page-looks.ts';
import { cloneNamed, parkClone, parkedAs } from '../../../wiring/clones/parking.ts';
import { ToldLooks } from '../../nbd/told-looks.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { Limiter } from '../../../../domain/values/limiter.ts';
import { positiveNumber } from '../argument-values.ts';
import { ArrivingClones } from '../arriving-clones.ts';
import { farBase, otherBases, usedBase } from '../clone-bases.ts';
import { startFar } from '../far-clones.ts';
import { farServerOf, type Far } from '../far-server.ts';
import { RunningGuests, type MemoryLimit, type NumberedClone } from '../running-guests.ts';
import { pointText, stderrOf, tellStarted, untilEnded } from '../started-clones.ts';
import { UsageError } from '../failure.ts';
import { unlessInterrupted } from '../interruption.ts';
import { bytesText, type Output } from '../output.ts';
import { outputOf, tell, warn, withLedger } from '../session.ts';
import type { ParentPoint } from '../../../../domain/vm.ts';

interface CloneOptions {
  readonly vm?: string;
  readonly at: string;
  readonly from?: string;
  readonly key?: string;
  readonly count: number;
  readonly over?: string;
  readonly diskOk?: boolean;
  readonly memory?: number | typeof HOST;
  readonly park?: boolean;
  readonly large: CloneHolding;
  readonly postcopy?: boolean;
}

const MIB = 2 ** 20;
/** What clones may take where it is what their host has. */
const HOST = 'host';
/** Guests that are started at once. */
const STARTED_AT_ONCE = 4;
/** Stands for a clone's number in QEMU's words. */
const NUMBER = '{n}';

export const declare = (command: Command): Command =>
  command
    .argument('[command...]', `after --: QEMU's command line; ${NUMBER} in it is a clone's number`)
    .option('--vm <name>', 'the VM')
    .option(
      '--from <address>',
      'what `serve memory` serves there, instead of a point of the ledger',
    )
    .option('--key <file>', "of --from: the group's key, as `group export` wrote it")
    .option('--at <point>', 'the point', 'latest')
    .option('--count <n>', 'how many', positiveNumber, 1)
    .option(
      '--over <folder>',
      'where a point is mounted with `mount --block`, this one or one that is much like it (default: one is mounted for these clones)',
    )
    .option(
      '--memory <MiB>',
      'what all clones may take of the host together, or `host`, what it has: where little of it is free they drop what they can read again',
      (text) => (text === HOST ? HOST : positiveNumber(text)),
    )
    .addOption(
      new Option(
        '--large <which>',
        'regions of 2 MiB that each clone has for itself from the beginning: `all`, or those that `large-pages` did not split, as far as memory is there (`follow`)',
      )
        .choices(CLONE_HOLDINGS)
        .default('none'),
    )
    .option(
      '--postcopy',
      'with --from: map nothing; what a clone touches is sent to it alone, where nbdfuse is not',
    )
    .option('--park', 'where that is not enough, park the least active clones (`park`)')
    .option('--disk-ok', 'the disks are as they were at that moment');

/** QEMU's words for one of the clones. */
const wordsOf = (words: readonly string[], n: number): readonly string[] =>
  words.map((word) => word.replaceAll(NUMBER, String(n)));

/** Refuses words that would be the same where each clone needs its own. */
function checkWords({ args }: Command, count: number): void {
  if (args.length === 0)
    throw new UsageError(
      `a command line was expected after --, as -- qemu-system-x86_64 ARGS...; ${NUMBER} in it is a clone's number`,
    );
  const one = args.find((word) => /^(?:file|unix|pty|pipe):/u.test(word) && !word.includes(NUMBER));
  if (count > 1 && one !== undefined)
    throw new UsageError(
      `all ${count} clones would use ${one}: say ${NUMBER} in it, which is a clone's number`,
    );
}

/** Parks a clone, and says so; gives the pages that were written out. Where that fails it runs on, and none were. */
async function parkOne(
  command: Command,
  { ledger, output }: { readonly ledger: Ledger; readonly output: Output },
  id: string,
): Promise<number> {
  const onWarning = (sentence: string): void => warn(command, sentence);
  try {
    const clone = cloneNamed(ledger, id);
    const parked = await parkClone(ledger, clone, { as: parkedAs(clone), onWarning });
    const { as, row, privatePages } = parked;
    if (output.isJson)
      output.json({ id, parked: true, vm: as, capture: row.capture, privatePages });
    else tell(command, `clone ${id} is parked as ${as}@${row.capture}`);
    return privatePages;
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    onWarning(`clone ${id} could not be parked: ${thrown.message}`);
    return 0;
  }
}

/** The budget that is named; null: none is. */
const budgetOf = ({ memory }: CloneOptions): ClonesBudget | null =>
  memory === undefined
    ? null
    : memory === HOST
      ? { _tag: 'host' }
      : { _tag: 'limit', bytes: memory * MIB };

/** What clones may take together; null: all there is. */
function limitOf(command: Command, output: Output, ledger: Ledger | null): MemoryLimit | null {
  const { memory, park = false } = command.opts<CloneOptions>();
  if (park && (memory === undefined || ledger === null))
    throw new UsageError('--park is of clones of a ledger that are held to a limit: say --memory');
  const budget = budgetOf(command.opts<CloneOptions>());
  if (budget === null) return null;
  const of = memory === HOST ? 'memory that this host has' : `${memory} MiB that they may take`;
  return {
    of: budget,
    ...(park && ledger !== null
      ? { park: (id: string) => parkOne(command, { ledger, output }, id) }
      : {}),
    onExcess: (bytes) =>
      warn(
        command,
        `of the ${of} too little is free, by ${bytesText(bytes)} that clones wrote: that is nowhere else, so it stays in memory`,
      ),
  };
}

/** What clones are started from, and how each is. */
interface Origin {
  readonly ledger: Ledger | null;
  readonly master: ParentPoint;
  /** The point that all of them map, and where it lies. */
  readonly base: ParentPoint;
  readonly path: string;
  /** At what each has of their base. */
  readonly looks: PageLooks;
  readonly start: (
    request: Pick<Parameters<FarGuest['start']>[0], 'command' | 'isAccounted' | 'onStderr'>,
  ) => Promise<Pick<NumberedClone, 'clone' | 'teller'>>;
}

/** Starts the clones, all or none: none where that is broken off. */
async function startAll(
  command: Command,
  output: Output,
  { ledger, master, base, looks, start: started }: Origin,
  abort: AbortSignal,
): Promise<RunningGuests> {
  const { count } = command.opts<CloneOptions>();
  const limit = limitOf(command, output, ledger);
  const running = new RunningGuests(limit, looks);
  const limiter = new Limiter(STARTED_AT_ONCE);
  const stderr = stderrOf(command);
  const start = async (n: number): Promise<void> => {
    abort.throwIfAborted();
    const booked = await started({
      command: wordsOf(command.args, n),
      isAccounted: limit !== null,
      onStderr: stderr.ofOne(),
    });
    running.add({ n, master, ...booked });
    tellStarted(command, output, { n, master, ...booked, base });
  };
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const all = await Promise.allSettled(numbers.map((n) => limiter.run(() => start(n))));
  const failed = all.find((each) => each.status === 'rejected');
  if (failed === undefined && !abort.aborted) return running;
  await running.end();
  abort.throwIfAborted();
  throw failed!.reason;
}

/** Starts the clones over a file, and stays until they have ended. */
async function runAll(
  command: Command,
  output: Output,
  of: Origin,
  abort: AbortSignal,
): Promise<void> {
  const { count } = command.opts<CloneOptions>();
  const running = await startAll(command, output, of, abort);
  const base = pointText(of.base);
  if (!output.isJson)
    tell(command, `${count} clones run over ${of.path} (${base}); Ctrl-C ends them`);
  await untilEnded(running, abort);
  output.summary('clone', { ...of.master, base, clones: count, ...running.pages });
}

const baseOf = ({ point: { entry, row } }: CloneBase): ParentPoint => ({
  vm: entry.vm,
  capture: row.capture,
});

/** Clones of a point of the ledger. */
const cloneHere = (command: Command, abort: AbortSignal): Promise<void> =>
  withLedger(command, 'use', async (ledger, output) => {
    const { vm, at, count, over, diskOk = false } = command.opts<CloneOptions>();
    if (vm === undefined) throw new UsageError('--vm or --from was expected');
    const entry = ledger.vm(vm);
    const point = { entry, row: ledger.resolve(entry, at) };
    const wanted = { point, clones: count, ...(over === undefined ? {} : { over }) };
    const used = await usedBase(command, ledger, wanted);
    try {
      const { base } = used;
      await publishMaster(ledger, base);
      const others = otherBases(base);
      if (others > 0)
        tell(
          command,
          `${others} more ${others === 1 ? 'point is' : 'points are'} mounted here: what they have in common with ${pointText(baseOf(base))} is in memory once for each`,
        );
      const master = { vm, capture: point.row.capture };
      const options = command.opts<CloneOptions>();
      const of = { holding: options.large, clones: count, budget: budgetOf(options) };
      const large = await largeRegionsOf(ledger, point, of);
      const start: Origin['start'] = async (request) => {
        const ways = { ...request, base, large, isDiskOk: diskOk };
        const clone = await startClone(ledger, point, ways);
        return { clone, teller: tellerOf(ledger, point, clone.id) };
      };
      const { path } = base;
      const looks = PageLooks.ofPoint(ledger, point, base);
      const origin = { ledger, master, base: baseOf(base), path, looks, start };
      await runAll(command, output, origin, abort);
    } finally {
      await used.letGo();
    }
  });

/** Refuses what is of a point of the ledger alone. */
function checkFar({ vm, over, large }: CloneOptions): void {
  if (large !== 'none')
    throw new UsageError('--large is of a point of the ledger, which says what was split');
  if ((vm ?? over) !== undefined)
    throw new UsageError('--from is of one point: leave --vm and --over out');
}

/** Clones of what a memory server serves. */
async function cloneFar(command: Command, far: Far, abort: AbortSignal): Promise<void> {
  const { diskOk = false } = command.opts<CloneOptions>();
  checkFar(command.opts<CloneOptions>());
  const { server } = far;
  const used = await farBase(command, far);
  try {
    const { guest, master, path } = used;
    const { gfn, pages } = guest.mapped;
    const file = { base: { ...master, file: path }, gfn, pages };
    const told = new ToldLooks(server, file.base);
    const start: Origin['start'] = (request) =>
      startFar(command, { server, kind: 'mapped', told }, (name) =>
        guest.start({ ...request, name, path, isDiskOk: diskOk }),
      );
    const looks = new PageLooks(lookOver(file), told);
    const origin = { ledger: null, master, base: master, path, looks, start };
    await runAll(command, outputOf(command), origin, abort);
  } finally {
    await used.letGo();
  }
}

/** Clones of what a memory server serves, which is sent to each as it touches it. */
async function cloneArriving(command: Command, far: Far, abort: AbortSignal): Promise<void> {
  const { memory, diskOk = false } = command.opts<CloneOptions>();
  checkFar(command.opts<CloneOptions>());
  if (memory !== undefined)
    throw new UsageError(
      '--postcopy: clones can drop nothing that they were sent; leave --memory out',
    );
  const arriving = await ArrivingClones.open(command, far);
  try {
    const { master, looks } = arriving;
    const start: Origin['start'] = ({ command: words, onStderr }) =>
      arriving.start({
        command: words,
        isDiskOk: diskOk,
        ...(onStderr === undefined ? {} : { onStderr }),
      });
    const path = 'what the memory server sends them';
    const origin = { ledger: null, master, base: master, path, looks, start };
    await runAll(command, outputOf(command), origin, abort);
  } finally {
    await arriving.close();
  }
}

export async function run(command: Command): Promise<void> {
  const { count, postcopy = false } = command.opts<CloneOptions>();
  checkWords(command, count);
  const far = await farServerOf(command.opts<CloneOptions>());
  if (far === null && postcopy)
    throw new UsageError(
      '--postcopy is of a memory server: `resume` is that of a point of a ledger',
    );
  await unlessInterrupted('no clone runs, and nothing is mounted for them', (abort) => {
    if (far === null) return cloneHere(command, abort);
    return postcopy ? cloneArriving(command, far, abort) : cloneFar(command, far, abort);
  });
}
