// Starts a QEMU from a recorded point and lets its guest run before its memory is there: it is the
// destination of a postcopy migration of which this process is the source. What it needs beside pages
// is made ready while QEMU starts. Where QEMU may not catch a guest's accesses (userfaultfd), all memory
// is sent before the guest runs, to the same QEMU.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { assert } from '../../../../domain/values/assert.ts';
import type { DeviceState } from '../../../../domain/values/device-state.ts';
import { isLedgerError, type LedgerError } from '../../../../domain/values/ledger-error.ts';
import type { MemoryMap } from '../../../../domain/values/memory-map.ts';
import type { ArrivingGuest } from '../../../../domain/ports/arriving-guest.ts';
import type { RestoredGuest } from '../../../../domain/ports/guests.ts';
import { deviceSectionsOf, runStateOf } from '../device-sections.ts';
import { attempt } from '../failure.ts';
import { delay } from '../migration-control.ts';
import { PrivateFolder } from '../../private-folder.ts';
import { hasOption } from '../qemu-options.ts';
import { connectQmp, type QmpClient } from '../qmp-client.ts';
import { sendGuest, timeoutOf, untilTaken } from '../resume-guest.ts';
import type { ResumedGuest, ResumeRequest } from '../resume-guest.ts';
import { checkCommand, connected, StartingQemu, whenUp } from '../starting-qemu.ts';
import { ArrivingQemu } from './arriving-qemu.ts';
import { connectionToKeep, endKeeper, startKeeper, type Keeper } from './keeper.ts';
import { removeNote, writeNote, type PointNote } from './point-note.ts';
import { INCOMING_SOCKET, MONITOR_SOCKET } from './sockets.ts';

export interface ArrivingRequest extends ResumeRequest {
  /** What the guest is, but for its pages; asked for while QEMU, which is this process, starts. */
  readonly guest: (process: number | null) => Promise<RestoredGuest>;
  /**
   * Gives the guest its pages, from before it runs: it asks for some already then. Ends when it has them
   * all, or is left; what it throws before the guest runs ends the guest.
   */
  readonly serve: (guest: ArrivingGuest) => Promise<unknown>;
  /** What the guest's first step waits for, for HEAD_START_MS at most: pages that it needs at once. */
  readonly headStart: () => Promise<void>;
  /** What is noted, when `guest` has told, for whoever goes on when this process has ended. */
  readonly note: () => PointNote;
}

/** A guest that runs and whose memory still arrives. */
export interface StartedGuest extends ResumedGuest {
  readonly _tag: 'arriving';
  readonly qmp: QmpClient;
  /** Where its QEMU is controlled, also when this process has ended. */
  readonly qmpPath: string;
  readonly keeper: Keeper;
}

/** A guest that has all its memory, because QEMU could not let it run before. */
export interface EagerGuest extends ResumedGuest {
  readonly _tag: 'eager';
  /** What QEMU said. */
  readonly reason: string;
}

/** A guest that has all its memory: its QEMU is as any other, and what was made beside it is removed. */
export async function forgetArrival({
  qmp,
  qmpPath,
  keeper,
}: Pick<StartedGuest, 'qmp' | 'qmpPath' | 'keeper'>): Promise<void> {
  // It may have ended by itself meanwhile.
  if (qmp.lost === null) await setPostcopy(qmp, false).catch(() => undefined);
  qmp.close();
  await endKeeper(qmpPath, keeper);
  removeNote(qmpPath);
}

const setPostcopy = (qmp: QmpClient, state: boolean): Promise<unknown> =>
  qmp.execute('migrate-set-capabilities', {
    capabilities: [{ capability: POSTCOPY, state }],
  });

/** Longest that a guest waits for pages before it runs: what it would ask for meanwhile comes at once. */
const HEAD_START_MS = 100;
/** QEMU's name for what makes a guest run before its memory is there. */
const POSTCOPY = 'postcopy-ram';

/** Starts a guest; right when it runs, or stands as it did when it was captured. */
export const startArriving = (
  request: ArrivingRequest,
): TaskEither<LedgerError, StartedGuest | EagerGuest> =>
  attempt('cannot resume the guest', async () => {
    checkCommand(request);
    const folder = new PrivateFolder();
    const started = performance.now();
    const qmpPath = folder.socket('qmp.sock');
    const words = [
      '-qmp',
      `unix:${qmpPath},server=on,wait=off`,
      '-qmp',
      `unix:${folder.socket(MONITOR_SOCKET)},server=on,wait=off`,
      '-incoming',
      'defer',
      // Whether it runs is said when that is known of it.
      '-S',
    ];
    const qemu = new StartingQemu({ ...request, isDetached: true }, words, folder);
    try {
      const ready = madeReady(request, qemu);
      // Its failure is met when it is waited for.
      ready.catch(() => undefined);
      const made = await startIn({ request, qemu, folder, qmpPath, ready });
      const startMs = performance.now() - started;
      if (made._tag === 'eager') folder.remove();
      return { ...made, process: qemu.release(), startMs };
    } catch (error) {
      throw await qemu.explain(error);
    }
  });

/** What is made ready while QEMU starts. */
interface Ready {
  readonly memoryMap: MemoryMap;
  readonly device: DeviceState;
  /** Whether the guest runs as soon as it can. */
  readonly isRunning: boolean;
}

async function madeReady(request: ArrivingRequest, qemu: StartingQemu): Promise<Ready> {
  const { memoryMap, device } = await request.guest(qemu.process);
  assert(device !== null, 'a guest that is resumed has its devices');
  const isRunning = !hasOption(request.command, 'S') && runsIn(device);
  return { memoryMap, device, isRunning };
}

interface Starting {
  readonly request: ArrivingRequest;
  readonly qemu: StartingQemu;
  readonly folder: PrivateFolder;
  readonly qmpPath: string;
  readonly ready: Promise<Ready>;
}

type Made<G> = Omit<G, 'process' | 'startMs'>;

async function startIn(parts: Starting): Promise<Made<StartedGuest> | Made<EagerGuest>> {
  const { request, qemu, folder, qmpPath } = parts;
  const timeoutMs = timeoutOf(request);
  const qmp = await whenUp(() => connectQmp({ path: qmpPath }), { qemu, timeoutMs });
  const refusal = await refusalOf(qmp);
  // Before QEMU has other things to do.
  const kept = refusal === null ? connectionToKeep(qmpPath) : Promise.resolve(null);
  const incoming = folder.socket(INCOMING_SOCKET);
  await qemu.whileAlive(qmp.execute('migrate-incoming', { uri: `unix:${incoming}` }));
  const { memoryMap, device, isRunning } = await qemu.whileAlive(parts.ready);
  if (refusal !== null) {
    if (isRunning) await qmp.execute('cont');
    const control = (): Promise<QmpClient> => Promise.resolve(qmp);
    const runState = await sendGuest({ request, qemu, incoming, control });
    return { _tag: 'eager', runState, reason: refusal };
  }
  const socket = await whenUp(() => connected(incoming), { qemu, timeoutMs });
  writeNote(qmpPath, request.note());
  const arriving = new ArrivingQemu({ socket, memoryMap, path: qmpPath });
  try {
    // What it needs to run goes first, whatever is given then.
    const begun = qemu.whileAlive(arriving.begin(device));
    const unserved = failureOf(request.serve(arriving));
    await Promise.race([begun, unserved]);
    const taken = untilTaken(qmp, timeoutMs);
    const ahead = Promise.race([request.headStart(), delay(HEAD_START_MS)]);
    // Starting a program takes a while, in which one of the two is waited for still.
    const keeping = Promise.race([taken, ahead]).then(async () => startKeeper(qmpPath, await kept));
    const runs = async (): Promise<string> => {
      const runState = await taken;
      if (!isRunning) return runState;
      await ahead;
      await qmp.execute('cont');
      return untilTaken(qmp, timeoutMs);
    };
    const running = Promise.all([runs(), keeping]);
    const [runState, keeper] = await Promise.race([qemu.whileAlive(running), unserved]);
    return { _tag: 'arriving', qmp, qmpPath, runState, keeper };
  } catch (error) {
    arriving.leave();
    throw error;
  }
}

/** Rejects where work fails, and says nothing where it does not. */
const failureOf = (work: Promise<unknown>): Promise<never> =>
  new Promise((_, reject) => {
    work.catch(reject);
  });

/** Makes QEMU ready; what it says where it cannot be. */
async function refusalOf(qmp: QmpClient): Promise<string | null> {
  try {
    await setPostcopy(qmp, true);
    return null;
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'QMP_REFUSED') throw thrown;
    return String(thrown.facts['description'] ?? thrown.message);
  }
}

/** Whether a guest ran when it was captured. Where that is not said it did. */
function runsIn(device: DeviceState): boolean {
  const sections = deviceSectionsOf(device, 'the device state');
  return (runStateOf(device, sections) ?? 'running') === 'running';
}
