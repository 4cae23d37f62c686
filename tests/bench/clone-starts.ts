// Guests that a bench starts from one recorded point, here or where only a socket is, and what they take of
// the host.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { guestPaths } from '../../adapters/guests/demo-guest/start-guest.ts';
import { assert } from '../../domain/values/assert.ts';
import {
  jsonRows,
  LedgerCommands,
  type JsonRow,
  type RunningCommand,
} from '../support/command-line.ts';
import { CountingRelay } from '../support/clients/counting-relay.ts';
import { ticksOf } from '../support/guest/watched-guest.ts';

/** Guests that run, by the command that started them. */
export interface StartedGuests {
  readonly command: RunningCommand;
  /** From the command until all ran. */
  readonly seconds: number;
  readonly rows: readonly JsonRow[];
}

/** A point that is served, through a socket that counts. */
export interface ServedPoint {
  readonly socket: string;
  readonly relay: CountingRelay;
  close(): Promise<void>;
}

export class CloneStarts {
  readonly #folder: string;
  readonly #wordsOf: (name: string) => readonly string[];
  readonly #environment: Readonly<Record<string, string>>;
  readonly commands: LedgerCommands;

  /** Of a ledger in a folder; `wordsOf` gives QEMU's words by a guest's name. */
  constructor(folder: string, wordsOf: (name: string) => readonly string[]) {
    this.#folder = folder;
    this.commands = new LedgerCommands(join(folder, 'ledger'));
    this.#environment = { XDG_STATE_HOME: join(folder, 'state') };
    this.#wordsOf = wordsOf;
  }

  /** Records a running guest as the VM `web`. */
  record(qmpPath: string): Promise<JsonRow[]> {
    const once = ['--count', '1', '--vm', 'web', '--qmp', qmpPath];
    return this.commands.json('record', 'qemu', ...once);
  }

  /** Starts guests by a command that tells each in a row; `through` are words before it. */
  async start(
    words: readonly string[],
    of: { readonly name: string; readonly count: number; readonly through?: readonly string[] },
  ): Promise<StartedGuests> {
    const { name, count, through = [] } = of;
    const begun = performance.now();
    const line = ['--json', ...words, '--', ...this.#wordsOf(name)];
    const command = this.commands.start(line, { environment: this.#environment, through });
    await command.until((each) => each.rows().length === count);
    const seconds = (performance.now() - begun) / 1000;
    return { command, seconds, rows: command.rows() };
  }

  /** Ends guests; gives the summary of the command that started them. */
  async end({ command }: StartedGuests): Promise<JsonRow> {
    command.signal('SIGINT');
    const { stdout, stderr, exitCode } = await command.ended;
    assert(exitCode === 0, `guests end well: ${stderr}`);
    return jsonRows(stdout).at(-1)!;
  }

  /** Exports the key of the ledger's group; gives the path of the file. */
  async exportKey(): Promise<string> {
    const path = join(this.#folder, 'group-key');
    const words = ['group', 'export', '--group', 'default', '--to', path];
    const { exitCode, stderr } = await this.commands.run(words);
    assert(exitCode === 0, `the key is exported: ${stderr}`);
    return path;
  }

  /** Serves the point over a socket. */
  async serve(name: string): Promise<ServedPoint> {
    const at = join(this.#folder, `${name}.sock`);
    const words = ['--json', 'serve', 'memory', '--vm', 'web', '--listen', `unix:${at}`];
    const server = this.commands.start(words);
    await server.until((each) => each.rows().length === 1);
    const socket = join(this.#folder, `${name}.relay`);
    const relay = await CountingRelay.open(socket, at);
    const close = async (): Promise<void> => {
      await relay.close();
      server.signal('SIGINT');
      await server.ended;
    };
    return { socket, relay, close };
  }

  /** Ticks that guests of these names have printed so far, all together. */
  ticks(names: readonly string[]): number {
    return names.reduce((sum, name) => {
      const { serialPath } = guestPaths({ folder: this.#folder, name });
      return sum + ticksOf(readFileSync(serialPath, 'latin1').split(/\r?\n/u)).length;
    }, 0);
  }
}

/** Waits, and gives the most that something was meanwhile. */
export async function peakDuring(waitMs: number, look: () => number): Promise<number> {
  let peak = look();
  for (const end = performance.now() + waitMs; performance.now() < end;) {
    await pause(200);
    peak = Math.max(peak, look());
  }
  return peak;
}
