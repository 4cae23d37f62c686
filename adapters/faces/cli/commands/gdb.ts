// `gdb`: a debugger over the history of a VM. It starts GDB with what it needs, or serves one that is
// started elsewhere.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { isGuestFailure } from '../../../../domain/guest/guest-failures.ts';
import type { GuestPoint } from '../../../wiring/guest/guest.ts';
import { writeSymbols } from '../../../wiring/guest/kernel-symbols.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { DebuggedVm } from '../../../wiring/time-travel/debugged-vm.ts';
import { GdbConnection } from '../../gdb/connection.ts';
import { GDB_COMMANDS } from '../../gdb/gdb-commands.ts';
import { momentText, registersText } from '../../gdb/monitor.ts';
import { GDB_SOCKET, serveGdb, targetOf } from '../../gdb/server.ts';
import { isOpenToOthers, listenAddressOf } from '../../sockets/listen-address.ts';
import { HeldFolder } from '../../../wiring/processes.ts';
import { UsageError } from '../failure.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { onInterruptions, untilSignal } from '../interruption.ts';
import type { Output } from '../output.ts';
import { tell, warn, withLedger } from '../session.ts';

export const goesOnUnread = true;

export const declare = (command: Command): Command =>
  declareGuestPoint(command)
    .option('--listen <address>', 'only serve: unix:PATH, tcp:HOST:PORT or a port of loopback')
    .option('--stdio', 'only serve, on standard input and output: for `target remote |`')
    .option('--gdb <program>', 'the debugger to start', 'gdb')
    .argument('[words...]', 'after --: further words for the debugger');

interface Options {
  readonly listen?: string;
  readonly stdio?: boolean;
  readonly gdb: string;
}

/** Where one is, whose registers are shown, and what cannot be asked: a line each. */
async function* greeting(vm: DebuggedVm): AsyncGenerator<string> {
  yield `VM ${vm.vm} at ${momentText(vm)}`;
  yield `registers: ${await registersText(vm)}`;
  const { undescribed } = vm.over;
  const named =
    undescribed === null ? '' : `; no names of the kernel, nor its processes: ${undescribed}`;
  yield `a step is a capture: no instructions, no breakpoints, nothing of it can be written${named}`;
}

/** How long GDB waits for an answer. */
const ANSWER_S_MAX = 60;

/** What GDB is started with: the guest's symbols where it tells of them, our commands, and where we are. */
async function gdbWords(
  ledger: Ledger,
  of: { readonly folder: string; readonly target: string; readonly vm: DebuggedVm },
): Promise<readonly string[]> {
  const { folder, target, vm } = of;
  const script = join(folder, 'pageledger.py');
  writeFileSync(script, GDB_COMMANDS, { mode: 0o600 });
  const words = ['-q', '-ex', 'set confirm off', '-ex', 'set pagination off'];
  // By itself it gives up after 2 s, and a page may come from a disk, or a server, that is busy.
  words.push('-ex', `set remotetimeout ${ANSWER_S_MAX}`);
  if (vm.kernel !== null) {
    const path = join(folder, 'vmlinux');
    try {
      await writeSymbols(ledger, vm.kernel.guest, { path, isForced: false, addresses: 'run' });
      words.push('-ex', `symbol-file ${path}`);
    } catch (thrown) {
      if (!isGuestFailure(thrown)) throw thrown;
    }
  }
  return [...words, '-x', script, '-ex', `target remote ${target}`];
}

/** Runs the debugger to its end; its exit code. */
async function runGdb(program: string, words: readonly string[]): Promise<number> {
  const child = spawn(program, words, { stdio: 'inherit' });
  // Ctrl-C is for the debugger: it interrupts what that is doing.
  const end = onInterruptions((signal) => {
    if (signal !== 'SIGINT') child.kill(signal);
  });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } catch (thrown) {
    throw new UsageError(
      `${program} cannot be started: ${thrown instanceof Error ? thrown.message : String(thrown)}; install gdb, name it with --gdb, or say --listen`,
    );
  } finally {
    end();
  }
}

/** Serves one client, on standard input and output. */
async function serveStdio(command: Command, vm: DebuggedVm): Promise<void> {
  for await (const line of greeting(vm)) tell(command, line);
  const write = (bytes: Buffer): void => void process.stdout.write(bytes);
  const end = (): void => void process.stdin.destroy();
  try {
    await new GdbConnection(vm, { chunks: process.stdin, write, end }).serve();
  } finally {
    await vm.end();
  }
  process.stdin.destroy();
}

async function serve(
  command: Command,
  of: { readonly ledger: Ledger; readonly point: GuestPoint; readonly output: Output },
): Promise<void> {
  const { ledger, point, output } = of;
  const { listen, gdb: program } = command.opts<Options>();
  const asked = listen === undefined ? null : listenAddressOf(listen);
  const vm = await DebuggedVm.open(ledger, point);
  const own = new HeldFolder();
  try {
    const server = await serveGdb(asked ?? { kind: 'unix', path: own.socket(GDB_SOCKET) }, {
      open: () => vm.another(),
      onFailure: (message) => warn(command, message),
      onTurnedAway: () => warn(command, 'a client was turned away: there are too many'),
    });
    try {
      for await (const line of greeting(vm)) output.say(line);
      const target = targetOf(server.address);
      if (asked === null) {
        const words = await gdbWords(ledger, { folder: own.path, target, vm });
        process.exitCode = await runGdb(program, [...words, ...command.args]);
        return;
      }
      if (isOpenToOthers(server.address))
        warn(command, 'whoever reaches this address can read the memory of the guest');
      if (output.isJson) output.json({ target, ...server.address });
      else output.print(`in gdb: target remote ${target}; Ctrl-C ends it`);
      await untilSignal((signal) => once(signal, 'abort'));
    } finally {
      await server.close();
    }
  } finally {
    await vm.end();
    own.remove();
  }
}

export async function run(command: Command): Promise<void> {
  const { listen, stdio = false } = command.opts<Options>();
  if (stdio && listen !== undefined)
    throw new UsageError('either --listen or --stdio was expected');
  await withLedger(command, 'use', async (ledger, output) => {
    const point = guestPointOf(command, ledger);
    if (stdio) await serveStdio(command, await DebuggedVm.open(ledger, point));
    else await serve(command, { ledger, point, output });
  });
}
