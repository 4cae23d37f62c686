// Connects to where somebody listens, and waits no longer than is said.

import { connect, type Socket } from 'node:net';
import type { ListenAddress } from './listen-address.ts';

/** A connection whose failures are met where it is read and written. Rejects where nobody answers. */
export function connectTo(at: ListenAddress, withinMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      at.kind === 'unix' ? connect(at.path) : connect({ host: at.host, port: at.port });
    socket.setNoDelay(true);
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), withinMs);
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}
