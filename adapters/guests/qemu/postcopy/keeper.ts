// The other side of the keeper (keeper-process.ts): it is started beside a guest whose memory arrives,
// asked by whoever goes on with that, and ended when the guest has its memory.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { delay } from '../migration-control.ts';
import { connected } from '../starting-qemu.ts';
import { END, KEEPER_SOCKET, MONITOR_SOCKET } from './keeper-messages.ts';

const ENTRY = fileURLToPath(new URL('./keeper-process.js', import.meta.url));
const READY_TIMEOUT_MS = 10_000;
const POLL_MS = 5;

const beside = (qmpPath: string, name: string): string => join(dirname(qmpPath), name);

/** Starts the keeper of a guest, and waits until it is ready. Without one, the guest is as it was. */
export async function startKeeper(qmpPath: string): Promise<void> {
  const listenPath = beside(qmpPath, KEEPER_SOCKET);
  const words = [ENTRY, beside(qmpPath, MONITOR_SOCKET), listenPath];
  const child = spawn(process.execPath, words, { detached: true, cwd: '/', stdio: 'ignore' });
  const state = { isGone: false };
  for (const event of ['error', 'exit'] as const)
    child.once(event, () => {
      state.isGone = true;
    });
  child.unref();
  const limit = performance.now() + READY_TIMEOUT_MS;
  while (!state.isGone && !existsSync(listenPath) && performance.now() < limit)
    await delay(POLL_MS);
}

/** Tells a keeper a line; its answer, null where there is no keeper. */
async function tellKeeper(qmpPath: string, line: string): Promise<string | null> {
  try {
    const socket = await connected(beside(qmpPath, KEEPER_SOCKET));
    socket.on('error', () => undefined);
    socket.setEncoding('utf8').write(`${line}\n`);
    let answer = '';
    for await (const part of socket) answer += String(part);
    return answer.endsWith('\n') ? answer.slice(0, -1) : null;
  } catch {
    return null;
  }
}

/** Has QEMU listen for who goes on with the guest: what it says no with, or an empty text; null: no keeper. */
export const askKeeper = (qmpPath: string, uri: string): Promise<string | null> =>
  tellKeeper(qmpPath, uri);

/** Ends the keeper of a guest. */
export async function endKeeper(qmpPath: string): Promise<void> {
  await tellKeeper(qmpPath, END);
}
