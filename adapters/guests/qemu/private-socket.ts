// A unix socket that only we, and the QEMU it is meant for, can reach: in a private folder, which stays
// ours, so that nobody else can put a link, or another file, where the socket was: of a QEMU of another
// user only the socket itself becomes its own, and the folder is opened for passing through when that is
// done.

import { chmodSync, lchownSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { dirname } from 'node:path';

/** Of a folder that another user's QEMU passes through; what lies in it cannot be listed. */
const PASSAGE_MODE = 0o711;
const SOCKET_MODE = 0o600;

/** Gives the socket to another user's QEMU, which only root can. */
function admit({ path, uid }: { readonly path: string; readonly uid?: number }): void {
  const ours = process.getuid?.();
  if (uid === undefined || uid === ours || ours !== 0) return;
  chmodSync(path, SOCKET_MODE);
  lchownSync(path, uid, -1);
  chmodSync(dirname(path), PASSAGE_MODE);
}

/** A socket that waits for one connection, and reads nothing of it. */
export class ListeningSocket {
  readonly path: string;
  /** It has none. */
  readonly port = 0;
  readonly #server: Server = createServer({ pauseOnConnect: true });

  private constructor(path: string) {
    this.path = path;
  }

  /** Listens in a PrivateFolder of ours, for a QEMU of the user `uid` where that is another. */
  static listen(options: {
    readonly path: string;
    readonly uid?: number;
  }): Promise<ListeningSocket> {
    const made = new ListeningSocket(options.path);
    return new Promise((resolve, reject) => {
      made.#server.once('error', reject);
      made.#server.listen(options.path, () => {
        made.#server.removeAllListeners('error');
        try {
          admit(options);
          resolve(made);
        } catch (error) {
          made.close();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  /** Calls back with the one connection. */
  onConnection(take: (socket: Socket) => void): void {
    this.#server.once('connection', (socket) => {
      this.#server.close();
      take(socket);
    });
  }

  close(): void {
    this.#server.close();
  }
}
