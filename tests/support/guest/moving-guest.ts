// A guest that counts its rounds on a console, at the host where it is and at the one that it may move to:
// where it runs, and that it never ran at both.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import { quoted } from '../../../adapters/faces/cli/shell-word.ts';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { connectQmp, type QmpClient } from '../../../adapters/guests/qemu/qmp-client.ts';
import { Turn } from '../../../domain/values/turn.ts';
import { BootSectorGuest } from './ticking-guest.ts';

const MIB = 32;
const Status = t.type({ status: t.string });

/** The numbers of the whole rounds that a console has told. */
export function roundsAt(path: string): readonly number[] {
  const lines = existsSync(path) ? readFileSync(path, 'latin1').split('\n').slice(0, -1) : [];
  return lines
    .filter((line) => /^[0-9A-F]{8} [0-9A-F]{8}$/u.test(line))
    .map((line) => Number.parseInt(line, 16));
}

async function withQmp<A>(path: string, work: (qmp: QmpClient) => Promise<A>): Promise<A | null> {
  try {
    const qmp = await connectQmp({ path });
    try {
      return await work(qmp);
    } finally {
      qmp.close();
    }
  } catch {
    // It is gone, or just going.
    return null;
  }
}

/** A machine at one host: its console, and a QMP socket that nobody else uses. */
export class MachineAt {
  readonly console: string;
  readonly #qmp: string;
  /** QEMU serves one at a time at a socket: who asks, waits for who asked before. */
  readonly #turn = new Turn();

  constructor(folder: string, host: string) {
    this.console = join(folder, host === 'one' ? 'console' : `console-${host}`);
    this.#qmp = join(folder, `watched-${host}.qmp`);
  }

  /** Words of QEMU's command line that let it be watched. */
  get words(): readonly string[] {
    return ['-qmp', `unix:${this.#qmp},server=on,wait=off`];
  }

  /** Whether QEMU has begun. */
  get hasBegun(): boolean {
    return existsSync(this.#qmp);
  }

  /** What the guest does, in QEMU's word; `gone` where there is none. */
  async state(): Promise<string> {
    const said = await this.#inTurn((qmp) => qmp.ask('query-status', Status));
    return said?.status ?? 'gone';
  }

  /** Does something with it: `cont`, `stop`, `quit`. */
  async tell(what: string): Promise<void> {
    await this.#inTurn((qmp) => qmp.execute(what));
  }

  #inTurn<A>(work: (qmp: QmpClient) => Promise<A>): Promise<A | null> {
    return this.#turn.run(() => withQmp(this.#qmp, work));
  }

  /** Waits for so many rounds more. */
  async ticksOn(rounds = 2): Promise<void> {
    const wanted = roundsAt(this.console).length + rounds;
    while (roundsAt(this.console).length < wanted) await delay(10);
  }
}

/** Starts the guest where it is first; `data`: a file that lies in its memory from 16 MiB on. */
export async function startMovingGuest(
  qemu: string,
  folder: string,
  data?: string,
): Promise<BootSectorGuest> {
  const { words } = new MachineAt(folder, 'one');
  const loader = `loader,file=${data ?? ''},addr=0x1000000,force-raw=on`;
  const extra = [...words, ...(data === undefined ? [] : ['-device', loader])];
  const of = { sector: 'tickingLittle', memoryMib: MIB } as const;
  const guest = new BootSectorGuest({ qemu, folder, extra, ...of });
  await guest.ticksOn();
  return guest;
}

/** The command by which another host starts it, as a shell would read it. */
export function movedCommand(qemu: string, folder: string, host: string): string {
  const { console, words } = new MachineAt(folder, host);
  const machine = ['-machine', 'pc', '-accel', 'tcg', '-m', String(MIB), '-nodefaults'];
  const plain = ['-no-user-config', '-display', 'none', '-serial', `file:${console}`];
  const disk = `if=floppy,file=${join(folder, 'boot.img')},format=raw,readonly=on`;
  return [qemu, ...machine, ...plain, '-drive', disk, ...words].map(quoted).join(' ');
}
