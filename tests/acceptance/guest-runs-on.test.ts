// Whatever happens to a recorder while QEMU sends, the guest runs on, QEMU's settings are as they
// were, and the guest can be recorded again.
//
// PAGELEDGER_KILLS: how many times, all ways together (`npm run test:long`: 200).

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../adapters/guests/demo-guest/tools.ts';
import { delay } from '../../adapters/guests/qemu/migration-control.ts';
import { LedgerCommands, type RunningCommand } from '../support/command-line.ts';
import { GUEST_TIMEOUT_MS } from '../support/guest/real-guest.ts';
import { BootSectorGuest } from '../support/guest/ticking-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const LONG = process.env['PAGELEDGER_KILLS'];
const KILLS = Number(LONG ?? 11);
const QEMU = programPath(QEMU_PROGRAM);
/** Instants after QEMU was told where to send are spread over so many ms. */
const SPREAD_MS = 700;

/** What becomes of a recorder; each resolves when it has ended. */
const WAYS: Readonly<Record<string, (recorder: RunningCommand) => Promise<void>>> = {
  'killed (SIGKILL)': (recorder) => told(recorder, 'SIGKILL'),
  'sent SIGABRT': (recorder) => told(recorder, 'SIGABRT'),
  'whose terminal is closed (SIGHUP)': (recorder) => told(recorder, 'SIGHUP'),
  'sent SIGQUIT': (recorder) => told(recorder, 'SIGQUIT'),
  'sent SIGTERM': (recorder) => told(recorder, 'SIGTERM'),
  'sent SIGINT again and again': (recorder) => told(recorder, 'SIGINT', 'SIGINT', 'SIGINT'),
  'sent SIGINT after its readers have gone': async (recorder) => {
    recorder.closeOutput();
    recorder.closeError();
    await told(recorder, 'SIGINT', 'SIGINT');
  },
  'that stood still before it was killed': async (recorder) => {
    recorder.signal('SIGSTOP');
    await delay(300);
    await told(recorder, 'SIGKILL');
  },
  'that stood still before it was interrupted': async (recorder) => {
    recorder.signal('SIGSTOP');
    await delay(300);
    recorder.signal('SIGINT');
    recorder.signal('SIGCONT');
    await recorder.ended;
  },
  'that stands still': async (recorder) => {
    recorder.signal('SIGSTOP');
    await guest.ticksOn();
    recorder.signal('SIGCONT');
    await told(recorder, 'SIGINT');
  },
  'killed while QEMU stands still': async (recorder) => {
    guest.process.kill('SIGSTOP');
    await told(recorder, 'SIGKILL');
    await delay(300);
    guest.process.kill('SIGCONT');
  },
};

async function told(recorder: RunningCommand, ...signals: NodeJS.Signals[]): Promise<void> {
  for (const signal of signals) {
    recorder.signal(signal);
    await delay(20);
  }
  await recorder.ended;
}

let folder: TemporaryFolder;
let sockets: string;
let guest: BootSectorGuest;
let before: unknown;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  sockets = join(folder.path, 't');
  mkdirSync(sockets);
  if (QEMU === null) return;
  const where = { qemu: QEMU, folder: folder.path };
  guest = new BootSectorGuest({ ...where, sector: 'ticking', memoryMib: 128 });
  await guest.ticksOn(20);
  before = await guest.settings();
}, GUEST_TIMEOUT_MS);
afterAll(async () => {
  if (QEMU !== null) await guest.kill();
  await folder.remove();
});

const isSending = (): boolean =>
  readdirSync(sockets).some((name) => existsSync(join(sockets, name, 'migration.sock')));

function record(vm: string): RunningCommand {
  const commands = new LedgerCommands(join(folder.path, 'ledger'));
  const words = ['--qmp', guest.qmpPath, '--every', '100ms'];
  return commands.start(['record', 'qemu', '--vm', vm, ...words], {
    environment: { TMPDIR: sockets },
  });
}

const names = Object.keys(WAYS);
const TIMES = Array.from({ length: Math.max(names.length, KILLS) }, (_, i) => i);
const rounds = names.map((name, way): [string, number[]] => [
  name,
  TIMES.filter((i) => i % names.length === way),
]);

const describeWhere = QEMU === null ? describe.skip : describe;

describeWhere('a guest that is recorded', () => {
  test.each(rounds)(
    'runs on after a recorder %s',
    async (name, instants) => {
      const tickedAfterMs: number[] = [];
      for (const instant of instants) {
        const recorder = record('guest');
        while (!isSending()) await delay(1);
        await delay((instant * SPREAD_MS) / TIMES.length);
        await WAYS[name]!(recorder);
        tickedAfterMs.push(await guest.ticksOn());
      }
      expect(await guest.runState()).toBe('running');
      expect(await guest.settings()).toEqual(before);
      expect(readdirSync(sockets)).toEqual([]);
      const worst = Math.round(Math.max(...tickedAfterMs));
      if (LONG !== undefined)
        process.stderr.write(
          `${name}: ${instants.length} times, ticked after ${worst} ms at worst\n`,
        );
    },
    GUEST_TIMEOUT_MS + KILLS * 15_000,
  );
});
