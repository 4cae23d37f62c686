// A server of GDB's remote protocol: each client has a place of its own in the history.

import type { Socket } from 'node:net';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import type { ListenAddress } from '../sockets/listen-address.ts';
import { SocketServer, type ServingWays } from '../sockets/socket-server.ts';
import { GdbConnection } from './connection.ts';

/** The name of a socket that nobody named. */
export const GDB_SOCKET = 'gdb.sock';
/** Clients at once: each keeps pages, and what its guest's kernel says, of its own. */
const CLIENTS_MAX = 16;
/** Answers that a client may leave unread. */
const UNREAD_BYTES_MAX = 2 ** 24;

async function serveSocket(socket: Socket, vm: DebuggedVm): Promise<void> {
  // A client that is gone is told nothing more, and one that reads nothing is let go.
  const write = (bytes: Buffer): void => {
    if (socket.writable) socket.write(bytes);
    if (socket.writableLength > UNREAD_BYTES_MAX) socket.destroy();
  };
  try {
    await new GdbConnection(vm, {
      chunks: chunksOf(socket),
      write,
      end: () => socket.end(),
    }).serve();
  } finally {
    socket.end();
    await vm.end();
  }
}

/** What a client sends, until it goes, however it does. */
async function* chunksOf(socket: Socket): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of socket) if (chunk instanceof Uint8Array) yield chunk;
  } catch {
    // The connection broke.
  }
}

/** Serves clients at an address until it is closed. `open` gives each its own. ADDRESS_UNUSABLE. */
export const serveGdb = (
  address: ListenAddress,
  of: Omit<ServingWays, 'serve' | 'clientsMax'> & { readonly open: () => Promise<DebuggedVm> },
): Promise<SocketServer> =>
  SocketServer.listen(address, {
    ...of,
    clientsMax: CLIENTS_MAX,
    serve: async (socket) => serveSocket(socket, await of.open()),
  });

/** What GDB's `target remote` takes. */
export const targetOf = (address: ListenAddress): string =>
  address.kind === 'unix'
    ? address.path
    : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
