// The process that gives a guest its memory, as others reach it: a socket beside that of QEMU's control.
// Whoever connects asks it to give all that is left, and hears by the end of the connection that it has,
// or has ended.

import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { connected } from '../starting-qemu.ts';
import { GIVER_SOCKET, MONITOR_SOCKET } from './sockets.ts';

/** Lets others ask for a guest's memory to be given; `end` lets them know that this is over. */
export async function listenAsGiver(
  qmpPath: string,
  push: () => void,
): Promise<{ readonly end: () => void }> {
  const path = join(dirname(qmpPath), GIVER_SOCKET);
  // One that was killed has left its own.
  rmSync(path, { force: true });
  const asking = new Set<Socket>();
  const server = createServer((socket) => {
    asking.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => asking.delete(socket));
    push();
  });
  await new Promise<void>((resolve) => {
    // Without it nobody can ask, and the guest has its memory all the same.
    server.once('error', () => resolve());
    server.listen(path, resolve);
  });
  return {
    end: () => {
      server.close();
      for (const socket of asking) socket.destroy();
    },
  };
}

/** Where a QEMU's memory is given, by its command line; null: it is not one of ours. */
export function giverOf(argv: readonly string[]): string | null {
  const monitor = argv
    .map((word) => /^unix:([^,]+),/u.exec(word)?.[1] ?? '')
    .find((path) => basename(path) === MONITOR_SOCKET);
  return monitor === undefined ? null : join(dirname(monitor), GIVER_SOCKET);
}

/** Asks for all of a guest's memory, and waits until that is over; false: nobody is there to ask. */
export async function askForAll(giver: string): Promise<boolean> {
  let socket: Socket;
  try {
    socket = await connected(giver);
  } catch {
    return false;
  }
  await new Promise<void>((resolve) => {
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.resume();
  });
  return true;
}
