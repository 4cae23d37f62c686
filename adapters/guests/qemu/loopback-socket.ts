// A port of this host's loopback that one process alone is let in by, for a QEMU with which no path
// of a unix socket can be shared. Anybody on the host can connect to a port, and QEMU can be told no
// secret to say first: who connects is told by the kernel, whose table of connections names the
// socket at the other end, and by the process that has that socket open.

import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { readFile } from 'node:fs/promises';
import { socketInodesOf } from './qemu-process.ts';

const LOOPBACK = '127.0.0.1';
/** As /proc/net/tcp has it: the address's bytes from the last to the first. */
const LOOPBACK_HEX = '0100007F';
/** Columns of /proc/net/tcp from the second on: own address, the other's, six more, the inode. */
const TCP_LINE = /^\s*\d+: ([0-9A-F]{8}:[0-9A-F]{4}) ([0-9A-F]{8}:[0-9A-F]{4})(?: +\S+){6} (\d+)/u;
/** Connections that wait to be looked at; more are refused by the kernel or by Node. */
const CONNECTIONS_MAX = 16;

const endpoint = (port: number): string =>
  `${LOOPBACK_HEX}:${port.toString(16).toUpperCase().padStart(4, '0')}`;

/** The inode of the socket at the other end of a connection inside this host, or null. */
async function inodeOfPeer({ remotePort, localPort }: Socket): Promise<string | null> {
  if (remotePort === undefined || localPort === undefined) return null;
  const table = await readFile('/proc/net/tcp', 'latin1').catch(() => '');
  for (const line of table.split('\n')) {
    const [, own, other, inode] = TCP_LINE.exec(line) ?? [];
    if (own === endpoint(remotePort) && other === endpoint(localPort)) return inode!;
  }
  return null;
}

/** Whether a process has the other end of a connection. */
async function isOf(pid: number, socket: Socket): Promise<boolean> {
  const inode = await inodeOfPeer(socket);
  if (inode === null) return false;
  return (await socketInodesOf(String(pid)))?.has(inode) === true;
}

/** A port that waits for one connection of one process, and reads nothing of it. */
export class LoopbackSocket {
  readonly #server: Server = createServer({ pauseOnConnect: true });
  readonly #pid: number;

  private constructor(pid: number) {
    this.#pid = pid;
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Listens for the process of that number. */
  static listen(pid: number): Promise<LoopbackSocket> {
    const made = new LoopbackSocket(pid);
    return new Promise((resolve, reject) => {
      made.#server.once('error', reject);
      made.#server.listen(0, LOOPBACK, () => {
        made.#server.removeAllListeners('error');
        resolve(made);
      });
    });
  }

  /** 0 where it no longer listens. */
  get port(): number {
    const address = this.#server.address();
    return address === null || typeof address === 'string' ? 0 : address.port;
  }

  /** Calls back with the one connection; anybody else's is closed unread. */
  onConnection(take: (socket: Socket) => void): void {
    this.#server.on('connection', (socket) => {
      socket.on('error', () => socket.destroy());
      void this.#look(socket, take);
    });
  }

  async #look(socket: Socket, take: (socket: Socket) => void): Promise<void> {
    const isExpected = await isOf(this.#pid, socket);
    // A second one of the same process is nobody's either.
    if (!isExpected || !this.#server.listening) {
      socket.destroy();
      return;
    }
    this.#server.close();
    take(socket);
  }

  close(): void {
    this.#server.close();
  }
}
