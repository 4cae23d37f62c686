// A unix socket that only we, and the QEMU it is meant for, can reach: in a temporary folder of its
// own that is removed with it. The folder stays ours, so that nobody else can put a link, or another
// file, where the socket was: of a QEMU of another user only the socket itself becomes its own, and
// the folder is opened for passing through when that is done.

import { chmodSync, lchownSync, lstatSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeTemporaryFolder } from '../temporary-folder.ts';

/** Longest path of a unix socket, without its NUL. */
const SOCKET_PATH_BYTES_MAX = 107;
const NAME_START = 'pageledger-';
const FALLBACK = '/tmp';
const FOLDER_MODE = 0o700;
/** Of a folder that another user's QEMU passes through; what lies in it cannot be listed. */
const PASSAGE_MODE = 0o711;
const SOCKET_MODE = 0o600;

export interface PrivateFolderOptions {
  /** Where to make it; absent: where temporary files are. */
  readonly within?: string;
  /** A process that must see it. */
  readonly seenBy?: number;
}

/** A temporary folder for sockets. */
export class PrivateFolder {
  readonly path: string;
  /** Where it lies for the process that must see it. */
  readonly #seenPath: string;

  constructor({ within, seenBy }: PrivateFolderOptions = {}) {
    const place = within ?? fittingPlace(tmpdir());
    // A place that was asked for is taken as it is.
    const root = within === undefined && seenBy !== undefined ? rootOf(seenBy, place) : '';
    const made = makeTemporaryFolder(NAME_START, root === '' ? place : join(root, FALLBACK));
    this.path = made;
    this.#seenPath = made.slice(root.length);
    chmodSync(this.path, FOLDER_MODE);
  }

  /** Where a socket of this name is made. */
  socket(name: string): string {
    return join(this.path, name);
  }

  /** The same for the process that must see it. */
  seen(name: string): string {
    return join(this.#seenPath, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A long TMPDIR leaves no room for the socket's name. */
const fittingPlace = (place: string): string =>
  Buffer.byteLength(join(place, `${NAME_START}XXXXXX/migration.sock`)) <= SOCKET_PATH_BYTES_MAX
    ? place
    : FALLBACK;

/**
 * The root folder of a process that sees another folder in this place (a container, PrivateTmp),
 * where we may look into it and it has a /tmp that is no link; else an empty string.
 */
function rootOf(pid: number, place: string): string {
  const root = `/proc/${pid}/root`;
  try {
    const ours = statSync(place);
    const theirs = statSync(join(root, place), { throwIfNoEntry: false });
    if (theirs !== undefined && theirs.dev === ours.dev && theirs.ino === ours.ino) return '';
    return lstatSync(join(root, FALLBACK)).isDirectory() ? root : '';
  } catch {
    return '';
  }
}

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
