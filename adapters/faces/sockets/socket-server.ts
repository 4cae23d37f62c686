// Listens for clients: on a Unix socket that is its owner's alone, or on TCP. So many are served at once;
// further ones are turned away until some have gone.

import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ListenAddress } from './listen-address.ts';

/** Clients at once. */
const CLIENTS_MAX = 256;
const OWNER_ONLY = 0o177;

function unusable(address: ListenAddress, thrown: unknown): LedgerError {
  const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new LedgerError(
    'ADDRESS_UNUSABLE',
    `nobody can listen at ${where}: ${why}; give another --listen`,
    { address: where },
    thrown,
  );
}

/** Whether it is a socket at which nobody listens any more; anything else is somebody's. */
const isStale = async (path: string): Promise<boolean> =>
  lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true && !(await isAnswered(path));

/** Whether somebody answers there. */
const isAnswered = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });

function listening(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const listened = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (address.kind === 'tcp') {
      server.listen(address.port, address.host, listened);
      return;
    }
    // The socket is made at once, and nobody else's for no moment.
    const before = process.umask(OWNER_ONLY);
    try {
      server.listen(address.path, listened);
    } finally {
      process.umask(before);
    }
  });
}

/** What is done with clients. */
export interface ServingWays {
  /** Whether a client is served at all; absent: each is. */
  readonly admits?: (socket: Socket) => Promise<boolean>;
  /** Serves a client to its end. */
  readonly serve: (socket: Socket) => Promise<void>;
  /** Hears of what no client can bring about. */
  readonly onFailure: (message: string) => void;
  readonly onTurnedAway: () => void;
  /** Clients at once; absent: CLIENTS_MAX. */
  readonly clientsMax?: number;
}

/** A server that listens. Close it when done. */
export class SocketServer {
  /** Where it listens: the port is the one that it got where any was meant. */
  readonly address: ListenAddress;
  readonly #server: Server;
  readonly #sockets = new Map<Socket, Promise<void>>();

  private constructor(server: Server, address: ListenAddress) {
    this.#server = server;
    this.address = address;
  }

  /** Listens. ADDRESS_UNUSABLE. */
  static async listen(address: ListenAddress, ways: ServingWays): Promise<SocketServer> {
    const server = createServer({ noDelay: true });
    server.maxConnections = ways.clientsMax ?? CLIENTS_MAX;
    server.on('drop', ways.onTurnedAway);
    try {
      await listening(server, address);
    } catch (thrown) {
      const isTaken = thrown instanceof Error && 'code' in thrown && thrown.code === 'EADDRINUSE';
      if (address.kind !== 'unix' || !isTaken || !(await isStale(address.path)))
        throw unusable(address, thrown);
      // What a server left that was killed.
      rmSync(address.path, { force: true });
      try {
        await listening(server, address);
      } catch (again) {
        throw unusable(address, again);
      }
    }
    const at = server.address();
    const made = new SocketServer(
      server,
      address.kind === 'tcp' && at !== null && typeof at === 'object'
        ? { ...address, port: at.port }
        : address,
    );
    // A client that could not be taken is one that was turned away.
    server.on('error', ways.onTurnedAway);
    server.on('connection', (socket) => made.#serve(socket, ways));
    return made;
  }

  #serve(socket: Socket, ways: ServingWays): void {
    // What a client that breaks off leaves is met where it is read and written.
    socket.on('error', () => undefined);
    const admitted = async (): Promise<void> => {
      if (ways.admits === undefined || (await ways.admits(socket))) await ways.serve(socket);
    };
    const served = admitted()
      // What no client can bring about is ours to say.
      .catch((thrown: unknown) => {
        ways.onFailure(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
      })
      .finally(() => {
        socket.destroySoon();
        this.#sockets.delete(socket);
      });
    this.#sockets.set(socket, served);
  }

  /** Lets clients go, and listens no longer. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets.keys()) socket.destroy();
    await Promise.all(this.#sockets.values());
    await closed;
  }
}
