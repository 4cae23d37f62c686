// What is known of the points that are mounted on this host by this user: a small folder each, by the
// place where it is mounted, with what its process says and who that is. What a process left that died
// is found there by whoever unmounts.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { isRunning } from './process-mark.ts';

const Mark = t.type({ pid: t.number, startTicks: t.union([t.string, t.null]) });
const Mount = t.type({
  /** Where it is mounted, and the file there. */
  folder: t.string,
  file: t.string,
  vm: t.string,
  capture: t.number,
  /** What of it: a layout of all RAM, or a block; null, or of earlier releases: as tools expect it. */
  part: t.union([t.string, t.null, t.undefined]),
  /** The event of its ledger that made the point; null: it is a memory server's. Earlier releases say nothing. */
  commit: t.union([t.string, t.null, t.undefined]),
  /** In which the socket between our process and nbdfuse is. */
  socketFolder: t.string,
  /** Our process, and nbdfuse. */
  server: Mark,
  fuse: Mark,
});
/** A point that is mounted, or was by a process that died. */
export type Mount = t.TypeOf<typeof Mount>;

const OWNER_ONLY = 0o700;

function statePlace(): string {
  const base = process.env['XDG_STATE_HOME'];
  const root = base === undefined || base === '' ? join(homedir(), '.local', 'state') : base;
  return join(root, 'pageledger-mounts');
}

/** A folder by its real path, also where nobody answers in it any more. */
export function mountPlace(folder: string): string {
  const path = resolve(folder);
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

/** Where what is known of a mount lies. */
function stateFolder(place: string): string {
  const name = createHash('sha256').update(place).digest('hex').slice(0, 16);
  return join(statePlace(), name);
}

const stateFile = (place: string): string => join(stateFolder(place), 'mount.json');

/** Makes room for what is known of a mount; where its process says what nobody looks at. */
export function beginMount(place: string): string {
  const folder = stateFolder(place);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, OWNER_ONLY);
  return join(folder, 'log');
}

/** Keeps what is known of a mount. */
export function keepMount(mount: Mount): void {
  beginMount(mount.folder);
  const path = stateFile(mount.folder);
  writeFileSync(`${path}.new`, JSON.stringify(mount), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function mountIn(path: string): Mount | null {
  try {
    const mount = Mount.decode(JSON.parse(readFileSync(path, 'utf8')));
    return either.isRight(mount) ? mount.right : null;
  } catch {
    return null;
  }
}

/** What is known of what is mounted there; null: nothing. */
export const mountAt = (place: string): Mount | null => mountIn(stateFile(place));

/** Mounts that are looked through for those that can be read. */
const MOUNTS_MAX = 1000;

/** What is mounted by this user and can be read, in no order. */
export function livingMounts(): readonly Mount[] {
  let names: readonly string[];
  try {
    names = readdirSync(statePlace());
  } catch {
    return [];
  }
  return names.slice(0, MOUNTS_MAX).flatMap((name) => {
    const mount = mountIn(join(statePlace(), name, 'mount.json'));
    return mount === null || hasDied(mount) ? [] : [mount];
  });
}

/** Forgets a mount, and removes what its process left. */
export function forgetMount(place: string): void {
  const mount = mountAt(place);
  if (mount !== null) rmSync(mount.socketFolder, { recursive: true, force: true });
  rmSync(stateFolder(place), { recursive: true, force: true });
}

/** Whether the process of a mount is gone, so that its file can be read no more. */
export const hasDied = ({ server }: Mount): boolean => !isRunning(server);

const LOOK_AGAIN_MS = 20;

/** Waits, once a file is unmounted, until the process that served it has let go of its point and is gone. */
export async function untilServerEnded(mount: Mount, atMostMs = Infinity): Promise<void> {
  for (let waited = 0; waited < atMostMs && !hasDied(mount); waited += LOOK_AGAIN_MS)
    await pause(LOOK_AGAIN_MS);
}
