// A temporary folder of our own for sockets, removed with them.

import { chmodSync, lstatSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** Longest path of a unix socket, without its NUL. */
const SOCKET_PATH_BYTES_MAX = 107;
const NAME_START = 'pageledger-';
const FALLBACK = '/tmp';
const FOLDER_MODE = 0o700;

export interface PrivateFolderOptions {
  /** Where to make it; absent: where temporary files are. */
  readonly within?: string;
  /** A process that must see it. */
  readonly seenBy?: number;
  /** How its name begins; absent: as all of ours. */
  readonly nameStart?: string;
}

/** A temporary folder for sockets. */
export class PrivateFolder {
  readonly path: string;
  /** Where it lies for the process that must see it. */
  readonly #seenPath: string;

  constructor({ within, seenBy, nameStart = NAME_START }: PrivateFolderOptions = {}) {
    const place = within ?? fittingPlace(tmpdir());
    // A place that was asked for is taken as it is.
    const root = within === undefined && seenBy !== undefined ? rootOf(seenBy, place) : '';
    const made = makeTemporaryFolder(nameStart, root === '' ? place : join(root, FALLBACK));
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
