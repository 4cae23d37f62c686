// Keeps a way to a QEMU whose guest lacks memory. A processor of the guest may wait for a page while it
// holds QEMU's main lock; then QEMU answers nothing on its control sockets but commands out of band, on
// connections that were made ready for these before. One is made ready here and left to a small program of
// the shell, in a session of its own, that outlives this process: it passes on to QEMU what is written to
// a pipe, and what QEMU says to another. Whoever goes on with the guest asks there.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readSync, rmSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../../files/failures.ts';
import { delay } from '../migration-control.ts';
import { connected } from '../starting-qemu.ts';
import { KEEPER_ASKED, KEEPER_SAID, MONITOR_SOCKET } from './sockets.ts';

/**
 * The program; it ends with QEMU, or when it is told a line with END. Of what QEMU says answers alone are
 * kept: events would fill the pipe. The shell itself looks for them: not every `grep` can pass on each line
 * at once.
 */
const END = 'end';
const PROGRAM = `
umask 077
mkfifo "$1" "$2" || exit 1
# Who can ask is answered: the way back is open before the way there.
exec 3<&0 4<>"$2"
while read -r line; do
  [ "$line" = ${END} ] && kill 0
  printf '%s\\n' "$line" >&3
done <>"$1" 4>&- &
while read -r line; do
  case $line in *'"id"'*) printf '%s\\n' "$line" ;; esac
done <&3 >&4
kill 0
`;
const READY_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 10_000;
const POLL_MS = 5;
/** Longest line of QEMU's that is looked at, and what is read at once. */
const QMP_CHARS_MAX = 1024 * 1024;
const READ_BYTES = 64 * 1024;

interface Said {
  readonly QMP?: unknown;
  readonly error?: { readonly desc?: string };
  readonly id?: unknown;
}

const beside = (qmpPath: string, name: string): string => join(dirname(qmpPath), name);

/** Lines of QEMU's out of what comes in parts; what is no object is left out. */
class Lines {
  #rest = '';

  take(part: string): readonly Said[] {
    const lines = (this.#rest + part).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-QMP_CHARS_MAX);
    return lines.flatMap((line) => {
      try {
        const said: unknown = JSON.parse(line);
        return typeof said === 'object' && said !== null ? [said] : [];
      } catch {
        return [];
      }
    });
  }
}

/** A connection to QEMU that takes commands out of band; null: there is none. */
export type KeptConnection = Socket | null;

/** Makes ready what a guest's keeper keeps, while QEMU answers. */
export const connectionToKeep = (qmpPath: string): Promise<KeptConnection> =>
  madeReady(qmpPath).catch(() => null);

async function madeReady(qmpPath: string): Promise<Socket> {
  const socket = await connected(beside(qmpPath, MONITOR_SOCKET));
  const lines = new Lines();
  const ready = new Promise<void>((resolve, reject) => {
    socket.setTimeout(READY_TIMEOUT_MS, () => reject(new Error('QEMU says nothing')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('QEMU is gone')));
    socket.on('data', (part: Buffer) => {
      for (const { QMP, id, error } of lines.take(part.toString())) {
        const wanted = { execute: 'qmp_capabilities', arguments: { enable: ['oob'] }, id: 'ready' };
        if (QMP !== undefined) socket.write(`${JSON.stringify(wanted)}\n`);
        if (id !== 'ready') continue;
        socket.pause();
        if (error === undefined) resolve();
        else reject(new Error(error.desc));
      }
    });
  });
  try {
    await ready;
    return socket;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  }
}

/** A keeper that this process started; null: there is none. */
export type Keeper = ChildProcess | null;

/** Leaves a connection to the keeper of a guest. Without one, the guest is as it was. */
export function startKeeper(qmpPath: string, socket: KeptConnection): Keeper {
  if (socket === null) return null;
  const paths = [KEEPER_ASKED, KEEPER_SAID].map((name) => beside(qmpPath, name));
  // Those of a keeper that was killed: QEMU serves one connection, so that nobody has them open.
  for (const path of paths) rmSync(path, { force: true });
  const child = spawn('/bin/sh', ['-c', PROGRAM, 'keeper', ...paths], {
    detached: true,
    cwd: '/',
    stdio: [socket, 'ignore', 'ignore'],
  });
  child.on('error', () => undefined);
  child.unref();
  // The connection is the program's from now on.
  socket.destroy();
  return child;
}

/** A pipe by its name; null: it is not there, or nobody has it open. */
function pipeAt(path: string, flags: number): number | null {
  try {
    return openSync(path, flags | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

/** Tells a keeper a line; false: there is none. */
function tellKeeper(qmpPath: string, line: string): boolean {
  const pipe = pipeAt(beside(qmpPath, KEEPER_ASKED), constants.O_WRONLY);
  if (pipe === null) return false;
  try {
    writeSync(pipe, `${line}\n`);
    return true;
  } catch {
    return false;
  } finally {
    closeSync(pipe);
  }
}

/** What is in a pipe now; null: nobody will write to it any more. */
function readNow(pipe: number): string | null {
  const bytes = Buffer.alloc(READ_BYTES);
  try {
    const count = readSync(pipe, bytes);
    return count === 0 ? null : bytes.toString('utf8', 0, count);
  } catch (thrown) {
    return errnoOf(thrown) === 'EAGAIN' ? '' : null;
  }
}

/** Has QEMU listen for who goes on with the guest: what it says no with, or an empty text; null: no keeper. */
export async function askKeeper(qmpPath: string, uri: string): Promise<string | null> {
  const pipe = pipeAt(beside(qmpPath, KEEPER_SAID), constants.O_RDONLY);
  if (pipe === null) return null;
  try {
    // What others asked before may be answered there still.
    const id = `recover-${process.pid}-${performance.now()}`;
    const command = { 'exec-oob': 'migrate-recover', arguments: { uri }, id };
    if (!tellKeeper(qmpPath, JSON.stringify(command))) return null;
    const lines = new Lines();
    const limit = performance.now() + ANSWER_TIMEOUT_MS;
    while (performance.now() < limit) {
      const part = readNow(pipe);
      if (part === null) return null;
      const answer = lines.take(part).find((said) => said.id === id);
      if (answer !== undefined) return answer.error?.desc ?? '';
      if (part === '') await delay(POLL_MS);
    }
    return null;
  } finally {
    closeSync(pipe);
  }
}

/** Ends the keeper of a guest, also one that has not made its pipes yet. */
export async function endKeeper(qmpPath: string, started: Keeper): Promise<void> {
  tellKeeper(qmpPath, END);
  if (started?.pid === undefined || started.exitCode !== null || started.signalCode !== null)
    return;
  const ended = new Promise((resolve) => {
    started.once('exit', resolve);
  });
  started.ref();
  // Its number is its session's, and nobody else's before its end was heard of.
  process.kill(-started.pid);
  await ended;
}
