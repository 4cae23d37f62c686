// Files that are written whole: under a temporary name first, then in place at once, so that nobody
// ever sees half of one.

import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { systemCodeOf } from './failures.ts';
import type { FilePort, OpenFile } from './file-port.ts';

/** Every temporary name begins so; no name that means something does. */
export const TEMPORARY_PREFIX = 'tmp-';
/** A temporary file this old is nobody's any more. */
const LEFTOVER_AGE_MS = 3_600_000;

export interface WholeFile {
  readonly files: FilePort;
  readonly path: string;
  /** Written one after the other. */
  readonly parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Where the temporary file goes; absent: beside the file. On the same file system. */
  readonly temporaryFolder?: string;
  /** As of `FilePort.open`; absent: the owner's alone. */
  readonly permissions?: number;
  /** `durable`: on disk when this returns. `derived`: a crash may lose it. */
  readonly as: 'durable' | 'derived';
  /** `replace` what is there, or `keep` it and say so. */
  readonly existing: 'replace' | 'keep';
}

async function fill(file: OpenFile, request: WholeFile): Promise<void> {
  let offsetBytes = 0;
  for await (const part of request.parts) {
    await file.write(part, offsetBytes);
    offsetBytes += part.length;
  }
  if (request.as === 'durable') await file.sync();
}

async function writeTemporary(temporary: string, request: WholeFile): Promise<void> {
  const file = await request.files.open(temporary, 'new', request.permissions);
  try {
    await fill(file, request);
  } finally {
    await file.close();
  }
}

/** What a file system without hard links answers (exFAT, some shares). */
const NO_LINKS: readonly unknown[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/**
 * A second name at `path` where there is none. Without hard links two processes that do this in the
 * same instant may both be told that theirs is there: who must know reads it afterwards.
 */
async function linkOrRename(temporary: string, { files, path }: WholeFile): Promise<boolean> {
  try {
    return await files.link(temporary, path);
  } catch (thrown) {
    if (!NO_LINKS.includes(systemCodeOf(thrown))) throw thrown;
  }
  if ((await files.nameFacts(path)) !== null) return false;
  await files.rename(temporary, path);
  return true;
}

/** Puts the finished temporary file in its place: false where `keep` found one there. */
async function place(temporary: string, request: WholeFile): Promise<boolean> {
  const { files, path } = request;
  if (request.existing === 'keep') {
    const placed = await linkOrRename(temporary, request);
    await files.remove(temporary);
    return placed;
  }
  await files.rename(temporary, path);
  return true;
}

/**
 * Writes a file whole. Whatever fails, the final name stands for a whole file: the new one or the
 * one that was there. False: `keep`, and there was one.
 */
export async function writeWhole(request: WholeFile): Promise<boolean> {
  const { files, path } = request;
  const folder = request.temporaryFolder ?? dirname(path);
  const temporary = join(folder, TEMPORARY_PREFIX + randomBytes(12).toString('hex'));
  try {
    await writeTemporary(temporary, request);
    const isPlaced = await place(temporary, request);
    if (request.as === 'durable') await files.syncFolder(dirname(path));
    return isPlaced;
  } catch (thrown) {
    // The failure that counts is the first one; what stays is removed as a leftover later.
    await files.remove(temporary).catch(() => false);
    throw thrown;
  }
}

/** Removes temporary files that a crash left in `folder` over an hour ago: how many. */
export async function removeLeftovers(request: {
  readonly files: FilePort;
  readonly folder: string;
  readonly nowMs: number;
}): Promise<number> {
  const { files, folder, nowMs } = request;
  let removed = 0;
  for (const name of await files.list(folder)) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue;
    const path = join(folder, name);
    const found = await files.facts(path);
    if (found === null || found.isFolder || nowMs - found.modifiedAtMs < LEFTOVER_AGE_MS) continue;
    // False: another recorder was quicker.
    if (await files.remove(path)) removed += 1;
  }
  return removed;
}
