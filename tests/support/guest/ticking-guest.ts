// A guest without a kernel: a boot sector that writes to every page of its memory over and over and
// counts its rounds. Whether it runs, and whether its memory is what it wrote, is seen from its console.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { connectQmp, type QmpClient } from '../../../adapters/guests/qemu/qmp-client.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';

const SECTOR_BYTES = 512;
/** `0000002A 59D048A1` and a newline: what a round is told as; other guests say a letter at a time. */
const TICK_BYTES = 18;
const FLOPPY_BYTES = 1_474_560;
const SIGNATURE = [0x55, 0xaa];
/**
 * Enters protected mode; then for every page from 1 MiB to 112 MiB counts its first word on (`incl`) and
 * adds it to a sum. After each round it says to COM1 which round that was and the sum, eight digits each.
 */
const TICKING =
  'fa0f0116a07c0f20c00c010f22c0ea137c080066b810008ed88ed0bc007c000031ed31dbbf00001000ff07031f81c7' +
  '0010000081ff0000000772ee89e8b908000000e81d000000b020e82b00000089d8b908000000e80a000000b00ae818' +
  '00000045ebc0c1c00450240f049027144027e80400000058e2ecc35066bafd03eca82074fb58b2f8eec30000000000' +
  '000000ffff0000009acf00ffff00000092cf001700887c0000';
/** The same up to 8 MiB. */
const TICKING_LITTLE = TICKING.replace('81ff00000007', '81ff00008000');
/** ACPI sleep S3 of the machine `pc`: out 0x604, 0x2400; then halts. */
const SLEEPING = 'ba0406b80024eff4ebfd';

/** Says '.' to COM1 once, as the firmware is done; halts, and halts again after each interrupt. */
const HALTING = 'b02ebaf803eefbf4ebfd';

/**
 * In real mode, ten times a second: reads a counter from the second sector of its disk, says '=' where it
 * is the one in memory, else '!', counts on in both, and says the number.
 */
const COUNTING =
  'fa31c08ed88ec08ed0bc007cfbfcbb0080b402e86a0066a1008066a30006bb0080b402e85a00b03d668b0e0006663b0e' +
  '00807402b021e85200668b0e0006664166890e000666890e0082bb0082b403e82e00668b2e0006b9080066c1c50489e8' +
  '240f04303c3976020427e81e00e2ebb00ae81700b90100baa086b486cd15eb9eb001b90200ba8000cd13c352baf803ee5ac3';

const SECTORS = {
  ticking: TICKING,
  tickingLittle: TICKING_LITTLE,
  sleeping: SLEEPING,
  halting: HALTING,
  counting: COUNTING,
} as const;

/** The first sector of a disk that a machine boots from. */
export function bootSector(sector: keyof typeof SECTORS): Buffer {
  const bytes = Buffer.alloc(SECTOR_BYTES);
  bytes.set(Buffer.from(SECTORS[sector], 'hex'));
  bytes.set(SIGNATURE, SECTOR_BYTES - SIGNATURE.length);
  return bytes;
}

const Status = t.type({ status: t.string });
const Settings = t.tuple([
  t.array(t.type({ capability: t.string, state: t.boolean })),
  t.type({ 'max-bandwidth': t.number, 'downtime-limit': t.number }),
]);

export interface BootSectorOptions {
  readonly qemu: string;
  readonly folder: string;
  readonly sector: keyof typeof SECTORS;
  readonly memoryMib: number;
  readonly extra?: readonly string[];
  /** A command that starts QEMU, in place of this program. */
  readonly wrapper?: readonly string[];
}

/** A QEMU that runs a boot sector. */
export class BootSectorGuest {
  readonly qmpPath: string;
  readonly process: ChildProcess;
  readonly #consolePath: string;
  readonly #tickBytes: number;

  constructor({ qemu, folder, sector, memoryMib, extra = [], wrapper = [] }: BootSectorOptions) {
    const disk = join(folder, 'boot.img');
    const bytes = Buffer.alloc(FLOPPY_BYTES);
    bytes.set(bootSector(sector));
    writeFileSync(disk, bytes);
    this.qmpPath = join(folder, 'guest.qmp');
    // Of a guest before it in this folder.
    rmSync(this.qmpPath, { force: true });
    this.#consolePath = join(folder, 'console');
    this.#tickBytes = sector.startsWith('ticking') ? TICK_BYTES : 1;
    const machine = ['-machine', 'pc', '-accel', 'tcg', '-m', String(memoryMib)];
    const plain = ['-nodefaults', '-no-user-config', '-display', 'none'];
    const boot = ['-drive', `if=floppy,file=${disk},format=raw,readonly=on`];
    const ways = ['-serial', `file:${this.#consolePath}`, '-qmp'];
    const qmp = `unix:${this.qmpPath},server=on,wait=off`;
    const command = [...wrapper, qemu, ...machine, ...plain, ...boot, ...ways, qmp, ...extra];
    this.process = spawn(command[0]!, command.slice(1), { stdio: 'ignore' });
  }

  get #ticks(): number {
    if (!existsSync(this.#consolePath)) return 0;
    return Math.floor(statSync(this.#consolePath).size / this.#tickBytes);
  }

  /** The whole lines of its console. */
  lines(): string[] {
    return readFileSync(this.#consolePath, 'latin1').split('\n').slice(0, -1);
  }

  /** Waits until the guest has ticked so many times more; how long that took. */
  async ticksOn(times = 2): Promise<number> {
    const began = performance.now();
    const wanted = this.#ticks + times;
    while (this.#ticks < wanted) await delay(10);
    return performance.now() - began;
  }

  async withQmp<A>(work: (qmp: QmpClient) => Promise<A>): Promise<A> {
    const qmp = await this.#connected();
    try {
      return await work(qmp);
    } finally {
      qmp.close();
    }
  }

  /** Connects as soon as QEMU listens. */
  async #connected(): Promise<QmpClient> {
    for (;;)
      try {
        return await connectQmp({ path: this.qmpPath, connectTimeoutMs: 60_000 });
      } catch (error) {
        const isEarly = isLedgerError(error) && error.code === 'QMP_UNREACHABLE';
        if (!isEarly || this.process.exitCode !== null) throw error;
        await delay(10);
      }
  }

  runState(): Promise<string> {
    return this.withQmp(async (qmp) => (await qmp.ask('query-status', Status)).status);
  }

  /** Migration capabilities and parameters that a capture changes. */
  settings(): Promise<unknown> {
    return this.withQmp(async (qmp) =>
      Settings.encode([
        await qmp.ask('query-migrate-capabilities', Settings.types[0]),
        await qmp.ask('query-migrate-parameters', Settings.types[1]),
      ]),
    );
  }

  /** Ends it; resolves when it has gone. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((resolve) => {
      this.process.once('exit', resolve);
    });
    this.process.kill('SIGKILL');
    await gone;
  }
}
