// Starts a QEMU whose guest maps a block of its memory from a file, copy-on-write: it is sent its devices,
// its other blocks, and what of the mapped one is otherwise. Many guests over one file have its pages once.

import type { ChildProcess } from 'node:child_process';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { attempt } from './failure.ts';
import { PrivateFolder } from '../private-folder.ts';
import { continueGuest, runStateNow } from './migration-control.ts';
import { hasOption, optionsOf, propertiesOf } from './qemu-options.ts';
import { connectQmp } from './qmp-client.ts';
import { sendGuest, type ResumedGuest, type ResumeRequest } from './resume-guest.ts';
import { checkCommand, StartingQemu } from './starting-qemu.ts';

/** A block of memory as it lies in a file. */
export interface MappedBlock {
  readonly block: string;
  readonly bytes: number;
  readonly path: string;
}

/** A QEMU that waits for its guest. */
export interface BegunGuest {
  /** Its process. */
  readonly pid: number;
  readonly qmpPath: string;
}

/** What of its memory it has from the file is said as `elsewhere`. */
export interface MappedRequest extends ResumeRequest {
  readonly mapped: MappedBlock;
  readonly elsewhere: Uint8Array;
  /** Is told of the guest before it is sent anything, and before it can run: it ends where that fails. */
  readonly onBegun: (guest: BegunGuest) => Promise<void>;
  /**
   * What is done while the guest has all of its own, and stands: it ends where that fails, and runs after
   * it where it ran when it was captured. Absent: it runs at once.
   */
  readonly whileStanding?: {
    readonly wasRunning: boolean;
    readonly work: () => Promise<void>;
  };
}

export interface MappedGuest extends ResumedGuest {
  /** Where its QEMU is controlled, for as long as it runs. */
  readonly qmpPath: string;
}

/** As QEMU reads values: a comma stands twice. */
const quotedValue = (value: string): string => value.replaceAll(',', ',,');

/** The words that make QEMU map the block. */
const mappingWords = ({ block, bytes, path }: MappedBlock): readonly string[] => [
  '-object',
  `memory-backend-file,id=${quotedValue(block)},size=${bytes},mem-path=${quotedValue(path)},share=off`,
  '-machine',
  `memory-backend=${quotedValue(block)}`,
];

/** Refuses a command that says itself where the guest's main memory lies. */
function checkMemory(command: readonly string[], { block }: MappedBlock): void {
  const own = optionsOf(command).find(({ name, value }) => {
    const properties = propertiesOf(value);
    return (
      (['machine', 'M'].includes(name) && properties.has('memory-backend')) ||
      (name === 'object' && properties.get('id') === block) ||
      name === 'mem-path'
    );
  });
  if (own === undefined) return;
  throw new LedgerError(
    'QEMU_FAILED',
    `the command says with -${own.name} ${own.value} where the memory ${block} lies, which a clone maps from its base: leave that out`,
    { option: own.name },
  );
}

/** A QEMU that begins with this does not run its guest by itself. */
const STANDING = 'S';

/** Sends a guest, and does what is to be done before it runs; its run state. */
async function send(
  request: MappedRequest,
  {
    qemu,
    incoming,
    qmpPath,
  }: {
    readonly qemu: StartingQemu;
    readonly incoming: string;
    readonly qmpPath: string;
  },
): Promise<string> {
  const { onBegun, whileStanding } = request;
  const control = () => connectQmp({ path: qmpPath });
  const restore: ResumeRequest['restore'] = async (target) => {
    await onBegun({ pid: qemu.process ?? 0, qmpPath });
    await request.restore(target);
  };
  const runState = await sendGuest({ request: { ...request, restore }, qemu, incoming, control });
  if (whileStanding === undefined) return runState;
  await whileStanding.work();
  if (!whileStanding.wasRunning || hasOption(request.command, STANDING)) return runState;
  const qmp = await qemu.whileAlive(control());
  try {
    await continueGuest(qmp);
    return await runStateNow(qmp);
  } finally {
    qmp.close();
  }
}

/** Starts a guest over a file; right when it has taken over its devices. A guest that fails is ended. */
export const startMapped = (request: MappedRequest): TaskEither<LedgerError, MappedGuest> =>
  attempt('cannot start the clone', async () => {
    checkCommand(request);
    checkMemory(request.command, request.mapped);
    const folder = new PrivateFolder();
    const started = performance.now();
    const incoming = folder.socket('incoming.sock');
    const qmpPath = folder.socket('qmp.sock');
    const words = [
      ...mappingWords(request.mapped),
      '-qmp',
      `unix:${qmpPath},server=on,wait=off`,
      '-incoming',
      `unix:${incoming}`,
      ...(request.whileStanding === undefined ? [] : [`-${STANDING}`]),
    ];
    const qemu = new StartingQemu({ ...request, isDetached: true }, words, folder);
    try {
      const runState = await send(request, { qemu, incoming, qmpPath });
      const child: ChildProcess = qemu.release();
      child.once('close', () => folder.remove());
      return { process: child, qmpPath, runState, startMs: performance.now() - started };
    } catch (error) {
      throw await qemu.explain(error);
    }
  });
