// A night of many guests in one recorder: they start, reboot, end, are killed and come back, some stand still
// for very long, and the log's server goes away for a while. Every capture that was told of is there and
// restores to what the guest's memory was: each is captured while it stands still, and the digest of the file
// that its memory lies in is kept beside the capture. The guests count in their memory (ticking-guest.ts).

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import {
  attachmentsOf,
  openLedger,
  restoreToFile,
  verify,
  type Ledger,
  type VmPoint,
} from '../../../index.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { startEventStoreDouble } from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { withQmp } from '../../support/guest/still-guest.ts';
import { bootSector } from '../../support/guest/ticking-guest.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { digestOf } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';
import { describeWithPrograms } from '../../support/tools.ts';

const QEMU = 'qemu-system-x86_64';
const MEMORY_MIB = 16;
const FLOPPY_BYTES = 1_474_560;

/** Guests, what happens to them how often, and how long the log's server is away. */
const [GUESTS, ROUNDS, AWAY_MS] = IS_LONG ? [8, 12, 300_000] : [3, 1, 3_000];
/** As many as send at a time: none that stands still for long may keep the others from their turn. */
const SLOW_GUESTS = 4;
jest.setTimeout(IS_LONG ? 3_600_000 : 400_000);

let folder: TemporaryFolder;
const running = new Map<string, ChildProcess>();

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  mkdirSync(join(folder.path, 'guests'));
});
afterAll(async () => {
  for (const guest of running.values()) guest.kill('SIGKILL');
  await folder.remove();
});

const memoryOf = (vm: string): string => join(folder.path, `${vm}.memory`);
const socketOf = (vm: string): string => join(folder.path, 'guests', `${vm}.qmp`);
/** The monitor that is the test's own: QEMU serves one client at a time at each. */
const controlOf = (vm: string): string => join(folder.path, `${vm}.control`);

function startGuest(vm: string): void {
  const disk = join(folder.path, `${vm}.floppy`);
  const bytes = Buffer.alloc(FLOPPY_BYTES);
  bytes.set(bootSector('counting'));
  writeFileSync(disk, bytes);
  // A guest that comes back has memory of zeros.
  rmSync(memoryOf(vm), { force: true });
  const backend = `memory-backend-file,id=ram,size=${MEMORY_MIB}M,share=on,mem-path=${memoryOf(vm)}`;
  const words = ['-machine', 'pc,memory-backend=ram', '-object', backend, '-m', `${MEMORY_MIB}`];
  const plain = ['-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg'];
  const boot = ['-drive', `if=floppy,file=${disk},format=raw`];
  const qmp = [socketOf(vm), controlOf(vm)].flatMap((path) => [
    '-qmp',
    `unix:${path},server=on,wait=off`,
  ]);
  const guest = spawn(QEMU, [...words, ...plain, ...boot, ...qmp], { stdio: 'ignore' });
  running.set(vm, guest);
}

async function endGuest(vm: string, signal: NodeJS.Signals): Promise<void> {
  const guest = running.get(vm)!;
  const exited = once(guest, 'exit');
  guest.kill(signal);
  await exited;
}

const reboot = (vm: string): Promise<unknown> =>
  withQmp(controlOf(vm), (qmp) => qmp.execute('system_reset'));

const rowsOf = (recorder: RunningCommand, vm: string) =>
  recorder.rows().filter((row) => row['vm'] === vm);

/** Waits until each of these VMs has so many captures more. */
async function recorded(recorder: RunningCommand, vms: readonly string[], more: number) {
  const wanted = new Map(vms.map((vm) => [vm, rowsOf(recorder, vm).length + more]));
  await recorder.until(() => vms.every((vm) => rowsOf(recorder, vm).length >= wanted.get(vm)!));
}

/** Commands of one ledger, with what they need beside its URL. */
class NightCommands {
  readonly #commands: LedgerCommands;
  readonly #store: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;

  constructor(url: string, name: string) {
    const place = new URL(url);
    place.searchParams.set('ledger', name);
    this.#commands = new LedgerCommands(place.href);
    this.#store = ['--page-store', join(folder.path, `${name}-packs`)];
    this.#environment = { XDG_STATE_HOME: join(folder.path, `${name}-state`) };
  }

  start(...words: readonly string[]): RunningCommand {
    const line = [...this.#store, '--json', ...words];
    return this.#commands.start(line, { environment: this.#environment });
  }

  /** Records all guests; each stands still while `command` runs. */
  record(command: string): RunningCommand {
    const all = ['--all', join(folder.path, 'guests'), '--every', '1s'];
    return this.start('record', 'qemu', ...all, '--at-capture', command);
  }

  /** What of the captures that were told of is not there, or does not restore to the memory that the guest had. */
  async faults(recorder: RunningCommand): Promise<string[]> {
    const scratch = join(folder.path, 'back.raw');
    const ledger = await openLedger({
      url: this.#commands.ledger,
      mode: 'read',
      pageStore: this.#store[1]!,
      stateFolder: join(this.#environment['XDG_STATE_HOME']!, 'pageledger'),
    });
    const faults: string[] = [];
    for (const vm of new Set(recorder.rows().map((row) => String(row['vm'])))) {
      const told = rowsOf(recorder, vm).map((row) => row['capture']);
      const entry = ledger.vm(vm);
      const there = entry.captures.map(({ capture }) => capture);
      if (there.join() !== told.join()) faults.push(`${vm}: ${told.join()}, there ${there.join()}`);
      const digests = new Set<string>();
      for (const row of entry.captures) {
        const target = { path: scratch, format: 'raw', isForced: true } as const;
        await restoreToFile(ledger, { entry, row }, target);
        const digest = digestOf(readFileSync(scratch));
        const [kept] = await keptBeside(ledger, { entry, row });
        if (kept !== `${digest}  -\n`) faults.push(`${vm}@${row.capture}: ${digest}, was ${kept}`);
        digests.add(digest);
      }
      if (digests.size === 1) faults.push(`${vm} did nothing`);
    }
    const { findings } = await verify(ledger, () => undefined);
    await ledger.close();
    return [...faults, ...findings.map(({ where, reason }) => `${where}: ${reason}`)];
  }
}

/** Texts that were kept beside a capture. */
async function keptBeside(ledger: Ledger, point: VmPoint): Promise<string[]> {
  const texts: string[] = [];
  for await (const { bytes } of attachmentsOf(ledger, point))
    texts.push(Buffer.from(bytes).toString('utf8'));
  return texts;
}

describeWithPrograms('many guests in one recorder', [QEMU, 'sha256sum'], () => {
  const sum = (): string => `sha256sum < ${folder.path}/$PAGELEDGER_VM.memory`;

  test('have every capture that was told of, after a night of changes', async () => {
    const double = await startEventStoreDouble();
    const commands = new NightCommands(double.url, 'night');
    const vms = Array.from({ length: GUESTS }, (_, i) => `vm${i + 1}`);
    for (const vm of vms.slice(1)) startGuest(vm);
    const recorder = commands.record(sum());
    await recorded(recorder, vms.slice(1), 1);
    startGuest(vms[0]!);
    await recorded(recorder, vms, 1);
    for (let round = 0; round < ROUNDS; round += 1) {
      const [ends, dies, boots] = [0, 1, 2].map((i) => vms[(round + i) % GUESTS]!) as [
        string,
        string,
        string,
      ];
      await endGuest(ends, 'SIGTERM');
      await endGuest(dies, 'SIGKILL');
      await reboot(boots);
      if (round === 0) {
        await double.stop();
        await recorder.until(({ stderr }) => stderr.includes('found no answer from'));
        await sleep(AWAY_MS);
      }
      startGuest(ends);
      startGuest(dies);
      if (round === 0) await double.start();
      await recorded(recorder, vms, 1);
    }
    recorder.signal('SIGTERM');
    const { exitCode, stderr } = await recorder.ended;
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('answers again after')]);
    expect(await commands.faults(recorder)).toEqual([]);
    await double.stop();
  });

  testLong('are recorded while others stand still for as long as they like', async () => {
    for (const vm of running.keys()) await endGuest(vm, 'SIGTERM');
    const double = await startEventStoreDouble();
    const commands = new NightCommands(double.url, 'still');
    const slow = Array.from({ length: SLOW_GUESTS }, (_, i) => `slow${i + 1}`);
    const quick = ['quick'];
    for (const vm of [...slow, ...quick]) startGuest(vm);
    const go = join(folder.path, 'go');
    const waits = `case $PAGELEDGER_VM in slow*) while [ ! -e ${go} ]; do sleep 0.1; done;; esac`;
    const recorder = commands.record(`${waits}; ${sum()}`);
    await recorded(recorder, quick, 2);
    expect(slow.map((vm) => rowsOf(recorder, vm).length)).toEqual(slow.map(() => 0));
    expect(existsSync(go)).toBe(false);
    writeFileSync(go, '');
    await recorded(recorder, slow, 2);
    recorder.signal('SIGTERM');
    expect((await recorder.ended).exitCode).toBe(0);
    expect(await commands.faults(recorder)).toEqual([]);
    await double.stop();
  });
});
