// Projection state files (docs/format.md, "State files"): what a projection keeps so that opening is
// quick. All of it can be derived again, so nothing here fails: what cannot be read, or is in any
// doubt, is not there, and what cannot be written is not kept.

import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { StateFiles, StatePieces } from '../../../domain/ports/derived-files.ts';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import { openState, readState } from './open-state.ts';
import {
  encodeStateHeader,
  STATE_BLOCK_BYTES,
  STATE_CHECK_BYTES,
  STATE_HEADER_BYTES,
  stateBlocks,
} from './state-file-layout.ts';
import { fileNameOf, nameOfFile } from '../../files/file-name.ts';
import { removeLeftovers, writeWhole } from '../../files/whole-file.ts';

/** Parts of a name, between slashes. */
const PART = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/u;
const PARTS_MAX = 8;

export interface StateFilesOptions {
  readonly files: FilePort;
  /** The folder projections/. */
  readonly folder: string;
}

const isStateName = (name: string): boolean => {
  const parts = name.split('/');
  return parts.length <= PARTS_MAX && parts.every((part) => PART.test(part));
};

/** Where a state file lies. */
export function pathOf(folder: string, name: string): string {
  assert(isStateName(name), `a state file has a plain name, and ${JSON.stringify(name)} is none`);
  return join(folder, ...name.split('/').map(fileNameOf));
}

/** Runs `work` on a file that is closed afterwards. */
async function withFile<A>(opening: Promise<OpenFile>, work: (file: OpenFile) => Promise<A>) {
  const file = await opening;
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** All files in a folder and those below, by their names from `prefix` on. */
async function namesBelow(
  options: StateFilesOptions,
  folderName: string,
  depth: number,
): Promise<string[]> {
  const names: string[] = [];
  const folder = folderName === '' ? options.folder : pathOf(options.folder, folderName);
  for (const file of await options.files.list(folder)) {
    const part = nameOfFile(file);
    if (part === null) continue;
    const name = folderName === '' ? part : `${folderName}/${part}`;
    if (!isStateName(name)) continue;
    const found = await options.files.facts(join(folder, file));
    if (found === null) continue;
    if (!found.isFolder) names.push(name);
    else if (depth < PARTS_MAX) names.push(...(await namesBelow(options, name, depth + 1)));
  }
  return names;
}

async function list(options: StateFilesOptions, prefix: string): Promise<readonly string[]> {
  const folderName = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : '';
  if (folderName !== '' && !isStateName(folderName)) return [];
  const names = await namesBelow(options, folderName, 1);
  return names.filter((name) => name.startsWith(prefix)).toSorted();
}

const wholeState = (bytes: Uint8Array): StatePieces => ({
  length: bytes.length,
  pieces: () => [bytes],
});

/** Bytes of the file of a payload of so many. */
const stateFileBytes = (payloadBytes: number): number =>
  STATE_HEADER_BYTES + payloadBytes + stateBlocks(payloadBytes) * STATE_CHECK_BYTES;

/** A state file's bytes as they are written: its payload is checked as it comes by. */
function* fileOf(state: StatePieces): Generator<Uint8Array> {
  const { length } = state;
  yield encodeStateHeader(length);
  const checks = new DataView(new ArrayBuffer(stateBlocks(length) * STATE_CHECK_BYTES));
  let done = 0;
  for (const piece of state.pieces()) {
    for (let from = 0; from < piece.length;) {
      const block = Math.floor(done / STATE_BLOCK_BYTES);
      const left = (block + 1) * STATE_BLOCK_BYTES - done;
      const some = piece.subarray(from, from + left);
      const before = checks.getUint32(block * STATE_CHECK_BYTES, true);
      checks.setUint32(block * STATE_CHECK_BYTES, crc32(some, before), true);
      from += some.length;
      done += some.length;
    }
    yield piece;
  }
  assert(done === length, 'a state has as many bytes as it says');
  yield new Uint8Array(checks.buffer);
}

/** Most bytes that are written as one. */
const WRITTEN_BYTES = 64 * 1024;

/** The same bytes, small pieces put together: each may be overwritten when the next one is asked for. */
function* gathered(pieces: Iterable<Uint8Array>, lengthBytes: number): Generator<Uint8Array> {
  const room = new Uint8Array(Math.min(lengthBytes, WRITTEN_BYTES));
  let filled = 0;
  for (const piece of pieces) {
    if (filled > 0 && filled + piece.length > room.length) {
      yield room.subarray(0, filled);
      filled = 0;
    }
    if (piece.length > room.length) yield piece;
    else {
      room.set(piece, filled);
      filled += piece.length;
    }
  }
  if (filled > 0) yield room.subarray(0, filled);
}

async function save(files: FilePort, path: string, state: StatePieces): Promise<void> {
  await files.makeFolder(dirname(path));
  // Not synced: a crash that tears it is found by its checksums, and it is derived again.
  const parts = gathered(fileOf(state), stateFileBytes(state.length));
  await writeWhole({ files, path, parts, as: 'derived', existing: 'replace' });
}

/** The state files in a folder, which is made when the first one is. */
export function openStateFiles(options: StateFilesOptions): StateFiles {
  /** Folders that what a crash left was removed from: once a process, as they may have thousands of files. */
  const tidied = new Set<string>();
  const tidy = async (folder: string): Promise<void> => {
    if (tidied.has(folder)) return;
    tidied.add(folder);
    await removeLeftovers({ files: options.files, folder, nowMs: Date.now() });
  };
  return {
    async load(name) {
      const path = pathOf(options.folder, name);
      return withFile(options.files.open(path, 'read'), readState).catch(() => null);
    },
    async open(name) {
      const path = pathOf(options.folder, name);
      return options.files
        .open(path, 'read')
        .then(openState)
        .catch(() => null);
    },
    async save(name, bytes) {
      const path = pathOf(options.folder, name);
      const state = bytes instanceof Uint8Array ? wholeState(bytes) : bytes;
      try {
        await save(options.files, path, state);
        await tidy(dirname(path));
      } catch (thrown) {
        // What fails on a disk is not kept; anything else is a bug of ours.
        if (!isLedgerError(thrown)) throw thrown;
      }
    },
    list: (prefix) => list(options, prefix).catch(() => []),
    async drop(name) {
      await options.files.remove(pathOf(options.folder, name)).catch(() => false);
    },
  };
}
