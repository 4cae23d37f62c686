// The keys of sharing groups on this host (docs/format.md, "Keys"): keys/<group>.key, readable by
// its owner only. A key file is linked into place whole and synced, so that of several recorders
// who make a group at once one makes the key, and nobody uses a key that a crash could lose.

import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { assert } from '../../../domain/values/assert.ts';
import { atPort } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { KEY_BYTES } from '../../../domain/ports/page-engine.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { isGroupName } from '../../../domain/events/streams.ts';
import type { FilePort } from '../../files/file-port.ts';
import { failureOf } from '../../files/failures.ts';
import { groupKeyText, keyCheck, KEY_FILE_BYTES_MAX, readGroupKey } from './group-key-file.ts';
import type { GroupKey } from './group-key-file.ts';
import { freshFacts } from '../../files/fresh-file.ts';
import { removeLeftovers, writeWhole } from '../../files/whole-file.ts';

export { groupKeyText, keyCheck, readGroupKey } from './group-key-file.ts';
export type { GroupKey } from './group-key-file.ts';

const SUFFIX = '.key';
/** Permission bits of anybody but the owner. */
const OTHERS = 0o077;

/** A key as it was found, and what is wrong with how it is kept. */
export interface FoundKey extends GroupKey {
  readonly findings: readonly Finding[];
}

/** A key for a group that no event names yet. */
export interface MadeKey extends FoundKey {
  /** Whether this call made it. */
  readonly isNew: boolean;
}

export interface GroupKeys {
  /** The key of a group, made if there is none yet: for a group that no event names yet. */
  create(group: string): TaskEither<LedgerError, MadeKey>;
  /** Removes a key that `create` made and that became nobody's: another host made the group first. */
  discard(key: GroupKey): TaskEither<LedgerError, void>;
  /**
   * The key of a group. KEY_MISSING; KEY_DAMAGED, also where it is not the key whose `keyCheck` the
   * group's event bears (null: not compared).
   */
  load(request: {
    readonly group: string;
    readonly keyCheck: string | null;
  }): TaskEither<LedgerError, FoundKey>;
  /** Keeps a key from elsewhere; TARGET_EXISTS where the group has another one here. */
  add(key: GroupKey): TaskEither<LedgerError, void>;
  /** The groups that have a key here. */
  groups(): TaskEither<LedgerError, readonly string[]>;
}

interface Keys {
  readonly files: FilePort;
  readonly folder: string;
}

function pathOf(keys: Keys, group: string): string {
  assert(isGroupName(group), 'a group has a name that names may be');
  return join(keys.folder, group + SUFFIX);
}

/** Writes a key where there is none; whose key is there afterwards, only reading tells. */
async function keep(keys: Keys, key: GroupKey): Promise<void> {
  const { files, folder } = keys;
  await files.makeFolder(folder);
  await files.syncFolder(dirname(folder));
  // What a kill left here may hold a key.
  await removeLeftovers({ files, folder, nowMs: Date.now() });
  await writeWhole({
    files,
    path: pathOf(keys, key.group),
    parts: [new TextEncoder().encode(groupKeyText(key))],
    as: 'durable',
    existing: 'keep',
  });
}

/** Whether the file system gives every file the same permissions, whatever is asked for. */
async function hasNoPermissions({ files, folder }: Keys, found: number): Promise<boolean> {
  try {
    if ((await files.facts(folder))?.permissions !== found) return false;
    await removeLeftovers({ files, folder, nowMs: Date.now() });
    return (await freshFacts({ files, folder }))?.permissions === found;
  } catch {
    // Where nothing can be written, nothing can be told.
    return false;
  }
}

async function permissionFindings(keys: Keys, path: string): Promise<readonly Finding[]> {
  const permissions = (await keys.files.facts(path))?.permissions;
  if (permissions === undefined || (permissions & OTHERS) === 0) return [];
  const found = permissions.toString(8).padStart(4, '0');
  if (await hasNoPermissions(keys, permissions))
    return [
      {
        kind: 'key permissions',
        where: path,
        reason:
          `this file system keeps no permissions, and shows ${found}: whoever reaches it reads this ` +
          'secret; mount it for its owner alone (umask=077), or keep the ledger elsewhere',
        affects: [],
        isNote: true,
      },
    ];
  return [
    {
      kind: 'key permissions',
      where: path,
      reason: `its permissions are ${found} and 0600 was expected: others can read a secret; chmod it`,
      affects: [],
    },
  ];
}

const otherKey = (path: string, found: string): LedgerError =>
  new LedgerError(
    'KEY_DAMAGED',
    `${path} holds ${found}; recording with it would store everything twice: put the right key ` +
      'file back in its place',
    { where: path },
  );

/** The key that is kept for the group, or null. */
async function find(keys: Keys, group: string): Promise<FoundKey | null> {
  const path = pathOf(keys, group);
  const bytes = await keys.files.load(path, KEY_FILE_BYTES_MAX);
  if (bytes === null) return null;
  const found = readGroupKey(new TextDecoder().decode(bytes), path);
  if (found.group !== group) throw otherKey(path, `the key of group '${found.group}'`);
  return { ...found, findings: await permissionFindings(keys, path) };
}

async function load(
  keys: Keys,
  request: { readonly group: string; readonly keyCheck: string | null },
): Promise<FoundKey> {
  const path = pathOf(keys, request.group);
  const found = await find(keys, request.group);
  if (found === null)
    throw new LedgerError(
      'KEY_MISSING',
      `the key of sharing group '${request.group}' was expected at ${path}, and there is none; ` +
        'run `pageledger group export` on a host that has it, and `pageledger group import` here. ' +
        'Restoring needs no key',
      { group: request.group, path },
    );
  if (request.keyCheck !== null && keyCheck(found.key) !== request.keyCheck)
    throw otherKey(path, `a key that is not the one group '${request.group}' was made with`);
  return found;
}

async function create(keys: Keys, group: string): Promise<MadeKey> {
  const found = await find(keys, group);
  if (found !== null) return { ...found, isNew: false };
  const key = new Uint8Array(randomBytes(KEY_BYTES));
  await keep(keys, { group, key });
  // Of several who make one at once, one's is kept.
  const kept = await load(keys, { group, keyCheck: null });
  return { ...kept, isNew: keyCheck(kept.key) === keyCheck(key) };
}

async function discard(keys: Keys, key: GroupKey): Promise<void> {
  const found = await find(keys, key.group);
  if (found === null || keyCheck(found.key) !== keyCheck(key.key)) return;
  await keys.files.remove(pathOf(keys, key.group));
  await keys.files.syncFolder(keys.folder);
}

async function add(keys: Keys, key: GroupKey): Promise<void> {
  await keep(keys, key);
  const found = await load(keys, { group: key.group, keyCheck: null });
  if (keyCheck(found.key) === keyCheck(key.key)) return;
  const path = pathOf(keys, key.group);
  throw new LedgerError(
    'TARGET_EXISTS',
    `${path} holds another key of group '${key.group}' than the one to be kept; it was left as ` +
      'it is: move it away if it is the wrong one',
    { group: key.group, path },
  );
}

async function groups(keys: Keys): Promise<readonly string[]> {
  const names = await keys.files.list(keys.folder);
  return names
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => basename(name, SUFFIX))
    .filter(isGroupName);
}

/** The keys in a folder, which is made when the first one is. */
export function openGroupKeys(keys: Keys): GroupKeys {
  const attempt = <A>(operation: string, work: () => Promise<A>) =>
    atPort(work, (thrown) => failureOf(thrown, { operation, path: keys.folder }));
  return {
    create: (group) => attempt('make a key in', () => create(keys, group)),
    discard: (key) => attempt('remove a key in', () => discard(keys, key)),
    load: (request) => attempt('read a key in', () => load(keys, request)),
    add: (key) => attempt('keep a key in', () => add(keys, key)),
    groups: () => attempt('list the keys in', () => groups(keys)),
  };
}
