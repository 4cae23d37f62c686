// Keeps a way to a QEMU whose guest lacks memory. A processor of the guest may wait for a page while it
// holds QEMU's main lock; then QEMU answers nothing on its control sockets but commands out of band, on
// connections that were made ready for these before. One is made ready here and left to a small program of
// the shell, in a session of its own, that outlives this process: it passes on to QEMU what is written to
// a pipe, and what QEMU says to another. Whoever goes on with the guest asks there.

import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../../files/failures.ts';
import { delay } from '../migration-control.ts';
import { connected } from '../starting-qemu.ts';
import { KEEPER_ASKED, KEEPER_SAID, MONITOR_SOCKET } from './sockets.ts';

/**
 * The program; it ends with QEMU, or when it is told a line with END. Of what QEMU says answers alone are
 * kept: events would fill the pipe.
 */
const END = 'end';
const PROGRAM = `
umask 077
exec 3<&0
mkfifo "$1" "$2" || exit 1
while read -r line; do
  [ "$line" = ${END} ] && kill 0
  printf '%s\\n' "$line" >&3
done <>"$1" &
grep --line-buffered '"id"' <&3 1<>"$2"
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

/** A connection to QEMU that takes commands out of band. Rejects where there is none. */
async function madeReady(qmpPath: string): Promise<Socket> {
  const socket = await connected(beside(qmpPath, MONITOR_SOCKET));
  const lines = new Lines();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('QEMU says nothing')), READY_TIMEOUT_MS);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('QEMU is gone')));
    socket.on('data', (part: Buffer) => {
      for (const { QMP, id } of lines.take(part.toString())) {
        const wanted = { execute: 'qmp_capabilities', arguments: { enable: ['oob'] }, id: 'ready' };
        if (QMP !== undefined) socket.write(`${JSON.stringify(wanted)}\n`);
        if (id !== 'ready') continue;
        clearTimeout(timer);
        socket.pause();
        resolve();
      }
    });
  });
  return socket;
}

/** Starts the keeper of a guest's QEMU, which answers now. Without one, the guest is as it was. */
export async function startKeeper(qmpPath: string): Promise<void> {
  const socket = await madeReady(qmpPath).catch(() => null);
  if (socket === null) return;
  const paths = [KEEPER_ASKED, KEEPER_SAID].map((name) => beside(qmpPath, name));
  const child = spawn('/bin/sh', ['-c', PROGRAM, 'keeper', ...paths], {
    detached: true,
    cwd: '/',
    stdio: [socket, 'ignore', 'ignore'],
  });
  child.on('error', () => undefined);
  child.unref();
  // The connection is the program's from now on.
  socket.destroy();
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

/** Ends the keeper of a guest. */
export function endKeeper(qmpPath: string): void {
  tellKeeper(qmpPath, END);
}
