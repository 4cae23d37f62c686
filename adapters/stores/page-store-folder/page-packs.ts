// The page store in local files (docs/format.md, "Packs"): packs/<first two hex digits>/<name>. A
// pack is written whole under a temporary name in packs/, synced, renamed into place, and its
// folder synced; so a name always stands for a whole pack, and a put that returned survives a crash.

import { join } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import { PACK_NAME } from '../../../domain/values/pack.ts';
import type { PackEntry, PageStore } from '../../../domain/ports/page-store.ts';
import type { MemoryFile } from '../../../domain/ports/guests.ts';
import type { FilePort } from '../../files/file-port.ts';
import { failureOf, isAbsent, isNoFile } from '../../files/failures.ts';
import { marksIn, putMark } from './marks.ts';
import { createOpenPacks } from './open-packs.ts';
import type { OpenPack, OpenPacks } from './open-packs.ts';
import { SmallReads } from './small-reads.ts';
import {
  checkPackBytes,
  checkPackName,
  checkRange,
  packFailure,
  packMissing,
  packNoFile,
} from '../page-requests.ts';
import type { PackRange } from '../page-requests.ts';
import { freshFacts } from '../../files/fresh-file.ts';
import { removeLeftovers, writeWhole } from '../../files/whole-file.ts';

/** Hex digits of a pack's name that its folder is called. */
const FOLDER_DIGITS = 2;
const FOLDER_NAME = /^[0-9a-f]{2}$/u;

export interface PagePacksOptions {
  readonly files: FilePort;
  /** The folder packs/. */
  readonly folder: string;
}

/** A page store in local files. */
export interface PagePacks extends PageStore {
  /** Removes what crashes left half written over an hour ago: how many files. */
  removeLeftovers(nowMs: number): TaskEither<LedgerError, number>;
  close(): Promise<void>;
}

interface Packs extends PagePacksOptions {
  readonly open: OpenPacks;
  readonly reads: SmallReads;
  /** Folders known to be on disk, not only in the system's memory. */
  readonly syncedFolders: Set<string>;
}

const folderOf = (packs: PagePacksOptions, name: string): string =>
  join(packs.folder, name.slice(0, FOLDER_DIGITS));
const pathOf = (packs: PagePacksOptions, name: string): string => join(folderOf(packs, name), name);

/** Makes a folder durable once: another process may have made it and not synced it yet. */
async function syncedFolder(packs: Packs, folder: string): Promise<void> {
  if (packs.syncedFolders.has(folder)) return;
  await packs.files.makeFolder(folder);
  await packs.files.syncFolder(packs.folder);
  packs.syncedFolders.add(folder);
}

async function put(packs: Packs, pack: { name: string; bytes: Uint8Array }): Promise<void> {
  checkPackBytes(pack);
  await write(packs, pack);
}

async function putPart(packs: Packs, part: { name: string; bytes: Uint8Array }): Promise<void> {
  checkPackName(part.name);
  await write(packs, part);
}

async function write(packs: Packs, pack: { name: string; bytes: Uint8Array }): Promise<void> {
  await syncedFolder(packs, folderOf(packs, pack.name));
  // Written again where it is there already: that costs little, is rare, and heals a damaged one.
  await writeWhole({
    files: packs.files,
    path: pathOf(packs, pack.name),
    temporaryFolder: packs.folder,
    parts: [pack.bytes],
    as: 'durable',
    existing: 'replace',
  });
  await packs.open.drop(pack.name);
}

async function openPack(packs: PagePacksOptions, name: string): Promise<OpenPack> {
  const path = pathOf(packs, name);
  try {
    const file = await packs.files.open(path, 'read');
    return { file, sizeBytes: await file.sizeBytes() };
  } catch (thrown) {
    if (isAbsent(thrown)) throw packMissing(name, path);
    throw isNoFile(thrown) ? packNoFile(name, thrown) : thrown;
  }
}

async function get(packs: Packs, range: PackRange): Promise<Uint8Array> {
  checkPackName(range.name);
  return packs.open.use(range.name, async ({ file, sizeBytes }) => {
    const where = pathOf(packs, range.name);
    checkRange(range, { sizeBytes, where });
    const bytes = new Uint8Array(range.lengthBytes);
    const found = await packs.reads.read(file, bytes, range.offsetBytes);
    // Fewer only where somebody cut the file after it was opened.
    checkRange(range, { sizeBytes: range.offsetBytes + found, where });
    return bytes;
  });
}

async function has(packs: Packs, pack: { name: string; sizeBytes: number }): Promise<boolean> {
  checkPackName(pack.name);
  const found = await packs.files.facts(pathOf(packs, pack.name));
  return found !== null && !found.isFolder && found.sizeBytes === pack.sizeBytes;
}

async function remove(packs: Packs, name: string): Promise<void> {
  checkPackName(name);
  await packs.files.remove(pathOf(packs, name));
  await packs.open.drop(name);
}

/** The time of a file that is written for it: of the server where another one keeps the folder. */
async function now(packs: Packs): Promise<number> {
  return (await freshFacts(packs))?.modifiedAtMs ?? Number.NaN;
}

async function* entriesIn(packs: Packs, folderName: string): AsyncGenerator<PackEntry> {
  const folder = join(packs.folder, folderName);
  for (const name of await packs.files.list(folder)) {
    if (!PACK_NAME.test(name) || !name.startsWith(folderName)) continue;
    const found = await packs.files.facts(join(folder, name));
    // Null: deleted since its folder was read.
    if (found === null || found.isFolder) continue;
    yield { name, sizeBytes: found.sizeBytes, writtenAtMs: found.modifiedAtMs };
  }
}

async function* list(packs: Packs): AsyncGenerator<PackEntry> {
  try {
    for (const folderName of await packs.files.list(packs.folder))
      if (FOLDER_NAME.test(folderName)) yield* entriesIn(packs, folderName);
  } catch (thrown) {
    throw failureOf(thrown, { operation: 'list packs in', path: packs.folder });
  }
}

/** The page store in the folder packs/ of a ledger. It holds up to 64 packs open until `close`. */
export function openPagePacks(options: PagePacksOptions): PagePacks {
  const packs: Packs = {
    ...options,
    open: createOpenPacks((name) => openPack(options, name)),
    reads: new SmallReads(),
    syncedFolders: new Set(),
  };
  const { memoryOf } = options.files;
  return {
    ...(memoryOf === undefined
      ? {}
      : { fileOf: (name: string): MemoryFile => memoryOf(pathOf(packs, name)) }),
    put: (pack) =>
      atPort(
        () => put(packs, pack),
        (thrown) => failureOf(thrown, { operation: 'write a pack in', path: packs.folder }),
      ),
    putPart: (part) =>
      atPort(
        () => putPart(packs, part),
        (thrown) =>
          failureOf(thrown, { operation: 'write a part of a pack in', path: packs.folder }),
      ),
    get: (range) =>
      atPort(
        async () => get(packs, range),
        (thrown) =>
          failureOf(packFailure(range.name, thrown), {
            operation: `read pack ${range.name} in`,
            path: packs.folder,
          }),
      ),
    list: () => list(packs),
    has: (pack) =>
      atPort(
        () => has(packs, pack),
        (thrown) =>
          failureOf(thrown, { operation: `look for pack ${pack.name} in`, path: packs.folder }),
      ),
    now: () =>
      atPort(
        () => now(packs),
        (thrown) => failureOf(thrown, { operation: 'look at the clock of', path: packs.folder }),
      ),
    marks: () =>
      atPort(
        () => marksIn(packs),
        (thrown) => failureOf(thrown, { operation: 'look for marks in', path: packs.folder }),
      ),
    putMark: (mark) =>
      atPort(
        () => putMark(packs, mark),
        (thrown) => failureOf(thrown, { operation: 'write a mark in', path: packs.folder }),
      ),
    delete: (name) =>
      atPort(
        () => remove(packs, name),
        (thrown) => failureOf(thrown, { operation: `delete pack ${name} in`, path: packs.folder }),
      ),
    removeLeftovers: (nowMs) =>
      atPort(
        () => removeLeftovers({ files: packs.files, folder: packs.folder, nowMs }),
        (thrown) => failureOf(thrown, { operation: 'remove leftovers in', path: packs.folder }),
      ),
    close: () => packs.open.close(),
  };
}
