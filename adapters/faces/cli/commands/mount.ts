// `mount`: a point as a file, served by a process of its own until it is unmounted.

import type { Command } from 'commander';
import { isLedgerError, LedgerError } from '../../../../domain/values/ledger-error.ts';
import { layoutNamed } from '../argument-values.ts';
import { startMount, wordsOfFar, wordsOfPart, type MountedRow } from '../background-mount.ts';
import { farServerOf, type Far } from '../far-server.ts';
import { UsageError } from '../failure.ts';
import { interruptions, tellOfInterruption, type Interruptions } from '../interruption.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { Exports } from '../../nbd/exports.ts';
import { farExports, FarMemory } from '../../nbd/far-memory.ts';
import { MASTER_EXPORT } from '../../nbd/master-exports.ts';
import type { OfferedExports } from '../../nbd/negotiation.ts';
import { checkFolder, mountExport, unmountFolder, type Mounted } from '../../nbd/fuse.ts';
import { uriOf } from '../../nbd/uri.ts';
import { forgetMount, hasDied, keepMount, mountAt, mountPlace } from '../../nbd/mounts.ts';
import { processMark } from '../../nbd/process-mark.ts';
import { NBD_SOCKET, serveNbd } from '../../nbd/server.ts';
import { HeldFolder } from '../../../wiring/processes.ts';
import { outputOf, warn, withLedger } from '../session.ts';
import { unknownOption } from '../unknown-option.ts';
import { farWaitingTold, waitingTold } from '../waiting.ts';

export const goesOnUnread = true;

interface MountOptions {
  readonly vm?: string;
  readonly at: string;
  readonly from?: string;
  readonly key?: string;
  readonly block?: string;
  readonly layout?: string;
  readonly foreground?: boolean;
  readonly unknown?: 'zero';
}

export const declare = (command: Command): Command =>
  command
    .argument('<folder>', 'an empty folder, in which the file is `memory`')
    .option('--vm <name>', 'the VM')
    .option(
      '--from <address>',
      'what `serve memory` serves there, instead of a point of the ledger',
    )
    .option('--key <file>', "of --from: the group's key, as `group export` wrote it")
    .option('--at <point>', 'the point', 'latest')
    .option(
      '--block <name>',
      'one block of memory, as a VMM maps it (default: all RAM, as restored)',
    )
    .option('--layout <layout>', 'of all RAM: physical or packed (default: as tools expect it)')
    .addOption(unknownOption())
    .option('--foreground', 'stay until it is unmounted; Ctrl-C unmounts it');

/** The part of a point that is mounted; null: all RAM. */
function partOf({ block, layout }: MountOptions): string | null {
  if (block !== undefined && layout !== undefined)
    throw new UsageError('--layout is of all RAM: give it, or --block');
  return block ?? (layout === undefined ? null : layoutNamed(layout));
}

/** Refuses a place where something is mounted. */
function checkPlace(place: string): void {
  const there = mountAt(place);
  if (there !== null && hasDied(there))
    throw new LedgerError(
      'TARGET_EXISTS',
      `${there.vm}@${there.capture} was mounted at ${place}, and its process ${there.server.pid} has died: nothing can be read there; run \`pageledger unmount ${place}\` first`,
      { folder: place },
    );
  if (there !== null)
    throw new LedgerError(
      'TARGET_EXISTS',
      `${there.vm}@${there.capture} is mounted at ${place}; give another folder, or unmount it`,
      { folder: place },
    );
  checkFolder(place);
}

/** Waits until it is unmounted; an interruption unmounts it, unless somebody uses it. */
async function untilUnmounted(
  command: Command,
  of: { readonly place: string; readonly signals: Interruptions } & Pick<Mounted, 'ended'>,
): Promise<void> {
  const { place, signals, ended } = of;
  for (;;) {
    const end = await Promise.race([
      ended.then(() => 'ended' as const),
      signals.next().then(() => 'asked' as const),
    ]);
    if (end === 'ended') return;
    try {
      await unmountFolder(place, 'when free');
    } catch (thrown) {
      if (!isLedgerError(thrown)) throw thrown;
      warn(command, thrown.message);
      continue;
    }
    await ended;
    return;
  }
}

/** What is mounted: a point that stays what it is, and a part of it. */
interface Meant {
  readonly vm: string;
  readonly capture: number;
  readonly part: string | null;
  /** What made the point in its ledger; null: it is a memory server's. */
  readonly commit: string | null;
}

const nameOf = ({ vm, capture, part }: Omit<Meant, 'commit'>): string =>
  [vm, `@${capture}`, ...(part === null ? [] : [part])].join('/');

const exportsOf = (
  command: Command,
  ledger: Ledger,
  of: { readonly vm: string; readonly place: string },
): Exports =>
  new Exports({
    ledger,
    vm: of.vm,
    listed: 'named',
    use: { kind: 'mount', restored: { how: 'mount', to: of.place } },
    waiting: waitingTold(command),
    areUnknownZeros: command.opts<MountOptions>().unknown !== undefined,
  });

/** What is meant by a point and a part of it, which may not be there. */
function meantBy(command: Command, ledger: Ledger): Meant {
  const options = command.opts<MountOptions>();
  const { vm } = options;
  if (vm === undefined) throw new UsageError('--vm or --from was expected');
  const part = partOf(options);
  const { capture, id: commit } = ledger.resolve(ledger.vm(vm), options.at);
  return { vm, capture, part, commit };
}

/** The same; refused where it is not there. */
async function foundBy(command: Command, ledger: Ledger, place: string): Promise<Meant> {
  const meant = meantBy(command, ledger);
  (await exportsOf(command, ledger, { vm: meant.vm, place }).open(nameOf(meant))).close();
  return meant;
}

/** Serves exports, of which one is what is meant, at a place until it is unmounted. */
async function serveExports(
  command: Command,
  of: {
    readonly place: string;
    readonly meant: Meant;
    /** The export that is mounted, and all of them. */
    readonly name: string;
    readonly exports: OfferedExports;
    readonly bytes: number;
    readonly signals: Interruptions;
    readonly onMounted: (row: MountedRow) => void;
  },
): Promise<void> {
  const { place, meant, exports, bytes, signals } = of;
  /** What is to be undone, the last first. */
  const undone: (() => unknown)[] = [];
  try {
    const own = new HeldFolder();
    undone.push(() => own.remove());
    const address = { kind: 'unix', path: own.socket(NBD_SOCKET) } as const;
    const server = await serveNbd(address, {
      exports: {
        names: () => exports.names(),
        // VMMs map the file as their guest's memory: they open it for writing.
        open: async (asked) => ({ ...(await exports.open(asked)), isForWriting: true }),
      },
      onFailure: (message) => warn(command, message),
      onTurnedAway: () => undefined,
    });
    undone.push(() => server.close());
    const { file, ended, process: fuse } = await mountExport(place, uriOf(address, of.name));
    // Before this nothing is known of it, and who started it reads why it failed.
    undone.push(() => forgetMount(place));
    keepMount({
      ...meant,
      folder: place,
      file,
      socketFolder: own.path,
      server: processMark(process.pid),
      fuse: processMark(fuse.pid ?? 0),
    });
    const { vm, capture } = meant;
    of.onMounted({ vm, capture, folder: place, file, bytes, pid: process.pid });
    await untilUnmounted(command, { place, signals, ended });
  } finally {
    for (const undo of undone.toReversed()) await undo();
  }
}

interface MountWays {
  readonly place: string;
  /** Hears when the file is there. */
  readonly onMounted: (row: MountedRow) => void;
}

/** Serves a point at a place until it is unmounted. */
async function serveMount(command: Command, ledger: Ledger, ways: MountWays): Promise<void> {
  const { place } = ways;
  const meant = meantBy(command, ledger);
  const exports = exportsOf(command, ledger, { vm: meant.vm, place });
  // From before there is anything that only this process can take away again.
  const signals = interruptions();
  try {
    const name = nameOf(meant);
    const opened = await exports.open(name);
    try {
      await opened.hold();
      const bytes = opened.served.sizeBytes;
      await serveExports(command, { ...ways, meant, name, exports, bytes, signals });
    } finally {
      opened.close();
    }
  } finally {
    await exports.settled();
    signals.end();
  }
}

/** Serves what a memory server gives at a place until it is unmounted. */
async function serveFar(command: Command, far: Far, ways: MountWays): Promise<void> {
  const signals = interruptions();
  try {
    const memory = await FarMemory.open(far.server, {
      check: far.check,
      waiting: farWaitingTold(command),
    });
    try {
      const { vm, capture, block } = memory.master;
      const meant = { vm, capture, part: block, commit: null };
      const name = MASTER_EXPORT.memory;
      const bytes = memory.sizeBytes;
      const exports = farExports(memory);
      await serveExports(command, { ...ways, meant, name, exports, bytes, signals });
    } finally {
      memory.close();
    }
  } finally {
    signals.end();
  }
}

const shown = ({ vm, capture, file }: MountedRow): string => `${vm}@${capture} is ${file}`;

/** The memory server that is meant; null: the ledger is. */
function farOf(command: Command): Promise<Far | null> {
  const options = command.opts<MountOptions>();
  const { from, vm, block, layout, unknown } = options;
  if (from !== undefined && (vm ?? block ?? layout ?? unknown) !== undefined)
    throw new UsageError(
      '--from is of one block of one point: leave --vm, --block, --layout and --unknown out',
    );
  return farServerOf(options);
}

export async function run(command: Command): Promise<void> {
  const { foreground } = command.opts<MountOptions>();
  const place = mountPlace(command.args[0]!);
  checkPlace(place);
  const far = await farOf(command);
  const output = outputOf(command);
  if (foreground === true) {
    const onMounted = (row: MountedRow): void => {
      if (output.isJson) output.json(row);
      else output.print(`${shown(row)}; Ctrl-C unmounts it`);
    };
    const ways = { place, onMounted };
    if (far === null)
      await withLedger(command, 'use', (ledger) => serveMount(command, ledger, ways));
    else await serveFar(command, far, ways);
    return;
  }
  const meant =
    far === null
      ? await withLedger(command, 'read', (ledger) => foundBy(command, ledger, place))
      : null;
  tellOfInterruption(() => `nothing is mounted at ${place}`);
  const options = command.opts<MountOptions>();
  const what = meant === null ? wordsOfFar(options) : wordsOfPart({ ...options, ...meant });
  const row = await startMount(command, place, what);
  if (output.isJson) output.json(row);
  else output.print(`${shown(row)}; \`pageledger unmount ${place}\` ends it`);
}
