// A unix socket that only we, and the QEMU it is meant for, can reach: in a temporary folder of its
// own that is removed with it.

import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LedgerError } from '../../../domain/values/ledger-error.ts';

/** Longest path of a unix socket, without its NUL. */
const SOCKET_PATH_BYTES_MAX = 107;
const FOLDER_MODE = 0o700;

/** A temporary folder for sockets. */
export class PrivateFolder {
  readonly path: string;

  constructor(options: { readonly uid?: number } = {}) {
    const wanted = join(tmpdir(), 'pageledger-');
    // A long TMPDIR leaves no room for the socket's name.
    const fits =
      Buffer.byteLength(wanted) + 'XXXXXX/migration.sock'.length <= SOCKET_PATH_BYTES_MAX;
    this.path = mkdtempSync(fits ? wanted : '/tmp/pageledger-');
    chmodSync(this.path, FOLDER_MODE);
    // A QEMU of another user must reach the socket: the folder becomes its own. Only root can.
    if (
      options.uid !== undefined &&
      options.uid !== process.getuid?.() &&
      process.getuid?.() === 0
    ) {
      chownSync(this.path, options.uid, -1);
    }
  }

  socket(name: string): string {
    return join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A socket that waits for one connection. */
export class ListeningSocket {
  readonly path: string;
  readonly #server: Server = createServer();
  readonly #connection: Promise<Socket | null>;
  #socket: Socket | null = null;
  #grace: NodeJS.Timeout | undefined;

  private constructor(path: string) {
    this.path = path;
    this.#connection = new Promise((resolve) => {
      this.#server.once('connection', (socket) => {
        this.#socket = socket;
        resolve(socket);
        this.#server.close();
      });
      this.#server.once('close', () => resolve(null));
    });
  }

  static listen(options: {
    readonly path: string;
    readonly uid?: number;
  }): Promise<ListeningSocket> {
    const made = new ListeningSocket(options.path);
    return new Promise((resolve, reject) => {
      made.#server.once('error', reject);
      made.#server.listen(options.path, () => {
        made.#server.removeAllListeners('error');
        if (options.uid !== undefined && process.getuid?.() === 0) {
          chownSync(options.path, options.uid, -1);
        }
        resolve(made);
      });
    });
  }

  /** The one connection; STREAM_TRUNCATED where there is none within `timeoutMs` or before `close`. */
  async connection(timeoutMs: number): Promise<Socket> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), timeoutMs);
    });
    const socket = await Promise.race([this.#connection, late]);
    clearTimeout(timer);
    if (socket !== null) return socket;
    throw new LedgerError(
      'STREAM_TRUNCATED',
      `${this.path}: QEMU did not connect (waited up to ${timeoutMs} ms) to where its stream ` +
        'should go; it must see the same files as this program',
      { path: this.path, timeoutMs },
    );
  }

  /** Closes what nobody wants any more: at once without a connection, else after `graceMs`. */
  abandon(graceMs: number): void {
    if (this.#socket === null || graceMs === 0) this.close();
    else this.#grace = setTimeout(() => this.close(), graceMs);
  }

  close(): void {
    clearTimeout(this.#grace);
    this.#socket?.destroy();
    this.#server.close();
  }
}
