// What may become of a recorder, of QEMU and of the monitor between them while a guest is captured.

import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import type { RunningCommand } from '../command-line.ts';
import { killGuards } from './guards.ts';
import type { BootSectorGuest } from './ticking-guest.ts';

/** What a fault may reach; it has done its worst, and the recorder has ended, when it resolves. */
export interface FaultyCapture {
  readonly recorder: RunningCommand;
  readonly guest: BootSectorGuest;
}
type Fault = (at: FaultyCapture) => Promise<void>;

async function told(recorder: RunningCommand, ...signals: NodeJS.Signals[]): Promise<void> {
  for (const signal of signals) {
    recorder.signal(signal);
    await delay(20);
  }
  await recorder.ended;
}

/** How long something stands still that goes on by itself. */
const STILL_MS = 300;

/** The recorder ends, in whatever way. */
export const KILLS: Readonly<Record<string, Fault>> = {
  'a recorder killed (SIGKILL)': ({ recorder }) => told(recorder, 'SIGKILL'),
  'a recorder sent SIGABRT': ({ recorder }) => told(recorder, 'SIGABRT'),
  'a recorder whose terminal is closed (SIGHUP)': ({ recorder }) => told(recorder, 'SIGHUP'),
  'a recorder sent SIGQUIT': ({ recorder }) => told(recorder, 'SIGQUIT'),
  'a recorder sent SIGTERM': ({ recorder }) => told(recorder, 'SIGTERM'),
  'a recorder sent SIGINT again and again': ({ recorder }) =>
    told(recorder, 'SIGINT', 'SIGINT', 'SIGINT'),
  'a recorder sent SIGINT after its readers have gone': async ({ recorder }) => {
    recorder.closeOutput();
    recorder.closeError();
    await told(recorder, 'SIGINT', 'SIGINT');
  },
  "a recorder's guard killed (SIGKILL)": async ({ recorder, guest }) => {
    killGuards(recorder.pid);
    await guest.ticksOn();
    await told(recorder, 'SIGINT');
  },
  'a recorder that stood still before it was killed': async ({ recorder }) => {
    recorder.signal('SIGSTOP');
    await delay(STILL_MS);
    await told(recorder, 'SIGKILL');
  },
};

/** Something stands still. */
export const FREEZES: Readonly<Record<string, Fault>> = {
  'a recorder that stood still and was interrupted': async ({ recorder }) => {
    recorder.signal('SIGSTOP');
    await delay(STILL_MS);
    recorder.signal('SIGINT');
    recorder.signal('SIGCONT');
    await recorder.ended;
  },
  'a recorder that stands still': async ({ recorder, guest }) => {
    recorder.signal('SIGSTOP');
    await guest.ticksOn();
    recorder.signal('SIGCONT');
    await told(recorder, 'SIGINT');
  },
  'a QEMU that stood still': async ({ recorder, guest }) => {
    guest.process.kill('SIGSTOP');
    await delay(STILL_MS);
    guest.process.kill('SIGCONT');
    await told(recorder, 'SIGINT');
  },
  'a QEMU that stood still while its recorder was killed': async ({ recorder, guest }) => {
    guest.process.kill('SIGSTOP');
    await told(recorder, 'SIGKILL');
    await delay(STILL_MS);
    guest.process.kill('SIGCONT');
  },
  'both that stood still': async ({ recorder, guest }) => {
    guest.process.kill('SIGSTOP');
    recorder.signal('SIGSTOP');
    await delay(STILL_MS);
    guest.process.kill('SIGCONT');
    await guest.ticksOn();
    recorder.signal('SIGCONT');
    await told(recorder, 'SIGINT');
  },
};
