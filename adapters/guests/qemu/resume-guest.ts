// Starts a QEMU from a recorded point: it waits for its memory on a socket of ours, is sent the whole
// stream, and runs.

import type { ChildProcess } from 'node:child_process';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { GuestTarget } from '../../../domain/ports/guests.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { sinkOfWritable } from '../byte-sink.ts';
import { attempt } from './failure.ts';
import { delay, progressOf, runStateNow } from './migration-control.ts';
import { PrivateFolder } from '../private-folder.ts';
import { connectQmp } from './qmp-client.ts';
import type { QmpClient } from './qmp-client.ts';
import {
  checkCommand,
  connected,
  StartingQemu,
  whenUp,
  type StartRequest,
} from './starting-qemu.ts';
import { streamTarget } from './stream-target.ts';

export interface ResumeRequest extends StartRequest {
  /** Restores the guest to the QEMU that waits for it. */
  readonly restore: (target: GuestTarget) => Promise<void>;
  /** Pages that the guest has from elsewhere: 1 at each. Absent: it is sent all. */
  readonly elsewhere?: Uint8Array;
  /** Limit for QEMU's start, and again for its taking over once it has the stream. */
  readonly timeoutMs?: number;
}

export interface ResumedGuest {
  /** The guest's process: killing it ends the guest. */
  readonly process: ChildProcess;
  /** QEMU's word for what the guest does now: `paused` where it was so when captured, or with -S. */
  readonly runState: string;
  /** From starting QEMU to its having taken over. */
  readonly startMs: number;
}

const TIMEOUT_MS = 30_000;
const RETRY_MS = 2;

/** Starts a guest; right when it has taken over its memory. A guest that fails is ended. */
export const resumeGuest = (request: ResumeRequest): TaskEither<LedgerError, ResumedGuest> =>
  attempt('cannot resume the guest', async () => {
    checkCommand(request);
    const folder = new PrivateFolder();
    const started = performance.now();
    const incoming = folder.socket('incoming.sock');
    const control = folder.socket('qmp.sock');
    const words = ['-qmp', `unix:${control},server=on,wait=off`, '-incoming', `unix:${incoming}`];
    const qemu = new StartingQemu(request, words, folder);
    try {
      const runState = await sendGuest({
        request,
        qemu,
        incoming,
        control: () => connectQmp({ path: control }),
      });
      return { process: qemu.release(), runState, startMs: performance.now() - started };
    } catch (error) {
      throw await qemu.explain(error);
    } finally {
      folder.remove();
    }
  });

/** Sends the stream and waits until the guest is QEMU's; its run state. */
export async function sendGuest(parts: {
  readonly request: ResumeRequest;
  readonly qemu: StartingQemu;
  /** Where QEMU listens for the stream. */
  readonly incoming: string;
  /** Connects to its control, when the stream is sent; closed here. */
  readonly control: () => Promise<QmpClient>;
}): Promise<string> {
  const { request, qemu } = parts;
  const timeoutMs = timeoutOf(request);
  const socket = await whenUp(() => connected(parts.incoming), { qemu, timeoutMs });
  // Without a listener an error between two writes would end the process; the writes report it.
  socket.on('error', () => qemu.note('the stream was cut'));
  try {
    const { elsewhere } = request;
    const target = streamTarget(
      sinkOfWritable(socket),
      elsewhere === undefined ? {} : { elsewhere },
    );
    await qemu.whileAlive(request.restore(target));
    const qmp = await qemu.whileAlive(parts.control());
    try {
      socket.end();
      return await qemu.whileAlive(untilTaken(qmp, timeoutMs));
    } finally {
      qmp.close();
    }
  } finally {
    socket.destroy();
  }
}

/** How long QEMU's start, and its taking over, may take. */
export const timeoutOf = ({ timeoutMs }: ResumeRequest): number => timeoutMs ?? TIMEOUT_MS;

/** Waits until a guest is QEMU's; what it does then. */
export async function untilTaken(qmp: QmpClient, timeoutMs: number): Promise<string> {
  const limit = performance.now() + timeoutMs;
  for (;;) {
    const runState = await runStateNow(qmp);
    if (runState !== 'inmigrate') return runState;
    const progress = await progressOf(qmp);
    if (progress.status === 'failed' || performance.now() > limit) {
      throw new LedgerError(
        'QEMU_FAILED',
        `QEMU did not take the guest over (${progress.status}: ${progress.error ?? 'no reason'})`,
        { status: progress.status },
      );
    }
    await delay(RETRY_MS);
  }
}
