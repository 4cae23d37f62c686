// Projection state files (docs/format.md, "State files"): what a projection keeps so that opening is
// quick. All of it can be derived again, so nothing here fails: what cannot be read, or is in any
// doubt, is not there, and what cannot be written is not kept.

import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import type { StateFiles } from '../../../domain/ports/derived-files.ts';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import { decodeStateHeader, encodeStateHeader, STATE_HEADER_BYTES } from './state-file-layout.ts';
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

async function readState(file: OpenFile): Promise<Uint8Array | null> {
  const header = new Uint8Array(STATE_HEADER_BYTES);
  if ((await file.read(header, 0)) < header.length) return null;
  const state = decodeStateHeader(header);
  // The size is compared before anything is allocated for it.
  if (state === null || (await file.sizeBytes()) !== header.length + state.payloadBytes)
    return null;
  const payload = new Uint8Array(state.payloadBytes);
  if ((await file.read(payload, header.length)) < payload.length) return null;
  return crc32(payload) === state.payloadCrc ? payload : null;
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

async function save(files: FilePort, path: string, bytes: Uint8Array): Promise<void> {
  const header = encodeStateHeader({ payloadBytes: bytes.length, payloadCrc: crc32(bytes) });
  await files.makeFolder(dirname(path));
  // Not synced: a crash that tears it is found by its checksum, and it is derived again.
  await writeWhole({ files, path, parts: [header, bytes], as: 'derived', existing: 'replace' });
  await removeLeftovers({ files, folder: dirname(path), nowMs: Date.now() });
}

/** The state files in a folder, which is made when the first one is. */
export function openStateFiles(options: StateFilesOptions): StateFiles {
  return {
    async load(name) {
      const path = pathOf(options.folder, name);
      return withFile(options.files.open(path, 'read'), readState).catch(() => null);
    },
    async save(name, bytes) {
      const path = pathOf(options.folder, name);
      await save(options.files, path, bytes).catch(() => undefined);
    },
    list: (prefix) => list(options, prefix).catch(() => []),
    async drop(name) {
      await options.files.remove(pathOf(options.folder, name)).catch(() => false);
    },
  };
}
