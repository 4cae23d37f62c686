// Guests that stand while it is decided who runs them: one that is stopped where it runs, and one that was
// started elsewhere and is let go, or ended.

import type { ChildProcess } from 'node:child_process';
import { connectMonitor } from './monitors.ts';
import type { Qmp } from './qmp.ts';
import { connectQmp } from './qmp-client.ts';
import { continueGuest } from './migration-control.ts';
import { PrivateFolder } from '../private-folder.ts';
import { resumeGuest, type ResumeRequest } from './resume-guest.ts';
import { run } from '../../../domain/ports/run.ts';

/** A guest that was started and stands. */
export interface StandingGuest {
  readonly pid: number;
  /** Lets it run, and go on beyond this process. */
  letGo(): Promise<void>;
  /** Ends it, before it ran. */
  end(): void;
}

/** Starts a guest that stands, whatever it did when it was captured. */
export async function startStanding(request: ResumeRequest): Promise<StandingGuest> {
  const folder = new PrivateFolder();
  const path = folder.socket('control.sock');
  const [program = '', ...words] = request.command;
  const command = [program, ...words, '-S', '-qmp', `unix:${path},server=on,wait=off`];
  // Its own group: what is typed at the terminal of who takes guests is not for them.
  const started = resumeGuest({ ...request, command, isDetached: true });
  const { process } = await run(started).catch((thrown: unknown) => {
    folder.remove();
    throw thrown;
  });
  process.once('exit', () => folder.remove());
  return standingGuest(process, path);
}

/** A guest that stands, of the QEMU that is controlled at a socket. */
export const standingGuest = (process: ChildProcess, path: string): StandingGuest => ({
  pid: process.pid ?? 0,
  letGo: async () => {
    const qmp = await connectQmp({ path });
    try {
      await continueGuest(qmp);
    } finally {
      qmp.close();
    }
    // It goes on without this process.
    process.unref();
    process.stderr?.destroy();
  },
  end: () => void process.kill('SIGKILL'),
});

/** What is done to a guest that runs, or stands, where it is. */
export interface GuestControl {
  /** Stops it, so that nothing of it changes. */
  stop(): Promise<void>;
  /** Lets it run again. */
  letGo(): Promise<void>;
  /** Ends it: it runs elsewhere. */
  end(): Promise<void>;
}

/** Control of the guest of a QMP socket, which is free for others in between. */
export function controlGuest(path: string): GuestControl {
  const withQmp = async (work: (qmp: Qmp) => Promise<unknown>): Promise<void> => {
    const qmp = await connectMonitor({ path });
    try {
      await work(qmp);
    } finally {
      qmp.close();
    }
  };
  return {
    stop: () => withQmp((qmp) => qmp.execute('stop')),
    letGo: () => withQmp(continueGuest),
    end: () => withQmp((qmp) => qmp.execute('quit')),
  };
}
