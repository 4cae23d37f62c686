// Starts the demonstration guest: a diskless Linux under QEMU with the workload, its console in a
// file, QMP on a unix socket.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { attempt } from '../qemu/failure.ts';
import { buildInitramfs } from './initramfs.ts';
import type { GuestTools } from './tools.ts';
import { workloadFiles } from './workload.ts';

export interface GuestSpecification {
  readonly tools: GuestTools;
  /** Where the guest's files lie: initramfs, console, sockets. */
  readonly folder: string;
  /** What the guest's files are called; absent: `guest`. */
  readonly name?: string;
  readonly seed?: number;
  readonly memoryMib?: number;
  readonly machine?: 'pc' | 'q35';
  /** Between two ticks; absent: 0.3 s. */
  readonly tickMs?: number;
  /** Further words of QEMU's command line. */
  readonly extra?: readonly string[];
}

const MEMORY_MIB = 192;
const TICK_MS = 300;
const POLL_MS = 20;

/** Where the guest of a specification has its console and QMP. */
export const guestPaths = (
  guest: Pick<GuestSpecification, 'folder' | 'name'>,
): { readonly qmpPath: string; readonly serialPath: string } => ({
  qmpPath: join(guest.folder, `${guest.name ?? 'guest'}.qmp`),
  serialPath: join(guest.folder, `${guest.name ?? 'guest'}.console`),
});

/**
 * The kernel takes its timer as it is: where others have the processors of the host, the test that it makes
 * of it by itself fails, and it ends.
 */
export const KERNEL_WORDS = 'console=ttyS0 quiet panic=-1 no_timer_check';

/** The command that starts the guest, and resumes it from a stream when given a name of its own. */
export function guestCommand(guest: GuestSpecification): readonly string[] {
  const { qmpPath, serialPath } = guestPaths(guest);
  const pause = ((guest.tickMs ?? TICK_MS) / 1000).toFixed(2);
  const memory = String(guest.memoryMib ?? MEMORY_MIB);
  const words = `-machine ${guest.machine ?? 'pc'} -accel tcg -m ${memory} -nodefaults -no-user-config`;
  return [
    guest.tools.qemu,
    ...words.split(' '),
    '-display',
    'none',
    '-serial',
    `file:${serialPath}`,
    '-qmp',
    `unix:${qmpPath},server=on,wait=off`,
    '-kernel',
    guest.tools.kernel,
    '-initrd',
    join(guest.folder, 'initramfs.gz'),
    '-append',
    `${KERNEL_WORDS} seed=${guest.seed ?? 1} pause=${pause}`,
    ...(guest.extra ?? []),
  ];
}

/** Starts the guest; right when QEMU's control socket is there. The kernel takes seconds more. */
export const startGuest = (guest: GuestSpecification): TaskEither<LedgerError, DemoGuest> =>
  attempt('cannot start a guest', async () => {
    const busybox = await readFile(guest.tools.busybox);
    await writeFile(join(guest.folder, 'initramfs.gz'), buildInitramfs(workloadFiles(busybox)));
    const argv = guestCommand(guest);
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
    const started = new DemoGuest({ child, argv, ...guestPaths(guest) });
    try {
      await started.untilUp();
    } catch (error) {
      await started.kill();
      throw error;
    }
    return started;
  });

const UP_TIMEOUT_MS = 20_000;
const LINE_TIMEOUT_MS = 60_000;

/** A console's whole lines so far. */
export function consoleLines(serialPath: string): readonly string[] {
  if (!existsSync(serialPath)) return [];
  const lines = readFileSync(serialPath, 'latin1').split('\n');
  return lines.slice(0, -1).map((line) => line.replaceAll('\r', ''));
}

/** Waits for a line of a console, looked for from line `from` on. */
export async function consoleLine(wanted: {
  readonly serialPath: string;
  readonly pattern: RegExp;
  readonly from?: number;
  readonly timeoutMs?: number;
  /** Why waiting is of no use any more, or null. */
  readonly ended?: () => string | null;
}): Promise<string> {
  const timeoutMs = wanted.timeoutMs ?? LINE_TIMEOUT_MS;
  const limit = performance.now() + timeoutMs;
  for (;;) {
    const lines = consoleLines(wanted.serialPath).slice(wanted.from ?? 0);
    const line = lines.find((candidate) => wanted.pattern.test(candidate));
    if (line !== undefined) return line;
    const ended = wanted.ended?.() ?? null;
    if (ended !== null || performance.now() > limit) {
      throw new LedgerError(
        'QEMU_FAILED',
        `the guest did not print ${wanted.pattern.source} (${ended ?? `within ${timeoutMs} ms`}); ` +
          `its console is in ${wanted.serialPath}`,
        { serialPath: wanted.serialPath },
      );
    }
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

/** A guest that runs here. It ends with this process. */
export class DemoGuest {
  readonly qmpPath: string;
  readonly serialPath: string;
  readonly argv: readonly string[];
  readonly #child: ChildProcess;
  readonly #onExit: () => void;
  #stderr = '';
  #ended: string | null = null;

  constructor(parts: {
    readonly child: ChildProcess;
    readonly argv: readonly string[];
    readonly qmpPath: string;
    readonly serialPath: string;
  }) {
    this.#child = parts.child;
    this.argv = parts.argv;
    this.qmpPath = parts.qmpPath;
    this.serialPath = parts.serialPath;
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-1000);
    });
    this.#child.once('error', (error) => {
      this.#ended = error.message;
    });
    this.#child.once('close', (code, signal) => {
      this.#ended ??= `QEMU ended with ${signal ?? code}: ${this.#stderr.trim()}`;
      process.removeListener('exit', this.#onExit);
    });
    this.#onExit = () => this.#child.kill('SIGKILL');
    process.once('exit', this.#onExit);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The console's whole lines so far. */
  lines(): readonly string[] {
    return consoleLines(this.serialPath);
  }

  /** Waits for a console line, looked for from line `from` on. */
  waitForLine(
    pattern: RegExp,
    options: { readonly from?: number; readonly timeoutMs?: number } = {},
  ): Promise<string> {
    const { serialPath } = this;
    return consoleLine({ serialPath, pattern, ...options, ended: () => this.#ended });
  }

  /** Waits for QEMU's control socket. */
  async untilUp(): Promise<void> {
    const limit = performance.now() + UP_TIMEOUT_MS;
    while (!existsSync(this.qmpPath)) {
      if (this.#ended !== null || performance.now() > limit) {
        throw new LedgerError(
          'QEMU_FAILED',
          `QEMU does not start: ${this.#ended ?? 'no control socket'}`,
          { path: this.qmpPath },
        );
      }
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  }

  /** Ends the guest. */
  async kill(): Promise<void> {
    if (this.#ended !== null) return;
    await new Promise<void>((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.kill('SIGKILL');
    });
  }
}
