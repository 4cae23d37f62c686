// A file of this host that is to be kept beside a capture: read when the capture is taken in, and
// again where that is done again.

import { open, type FileHandle } from 'node:fs/promises';
import { ATTACHMENT_BYTES_MAX, type Attachment } from '../../domain/values/attachment.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { guestFailure } from './qemu/failure.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Does something with a file; what the system says is SOURCE_UNREADABLE. */
async function withFile<A>(path: string, work: (file: FileHandle) => Promise<A>): Promise<A> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, 'r');
    return await work(file);
  } catch (thrown) {
    throw guestFailure(thrown, {
      code: 'SOURCE_UNREADABLE',
      doing: `cannot read ${path}`,
      data: { path },
    });
  } finally {
    await file?.close();
  }
}

/** What tells whether a file was written to; SOURCE_UNREADABLE, SOURCE_SIZE where it cannot be kept. */
async function stateOf(file: FileHandle, path: string) {
  const stats = await file.stat({ bigint: true });
  if (!stats.isFile())
    throw new LedgerError(
      'SOURCE_UNREADABLE',
      `${path} is no regular file: only such a one can be kept beside a capture`,
      { path },
    );
  if (stats.size > BigInt(ATTACHMENT_BYTES_MAX))
    throw new LedgerError(
      'SOURCE_SIZE',
      `${path} has ${stats.size} bytes: a file beside a capture has at most ${ATTACHMENT_BYTES_MAX}`,
      { path, found: Number(stats.size), expected: ATTACHMENT_BYTES_MAX },
    );
  return stats;
}

async function readWhole(file: FileHandle, path: string): Promise<readonly Uint8Array[]> {
  const before = await stateOf(file, path);
  const chunks: Uint8Array[] = [];
  for (let left = Number(before.size); left > 0;) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, left));
    const { bytesRead } = await file.read(chunk, 0, chunk.length);
    if (bytesRead === 0) break;
    chunks.push(chunk.subarray(0, bytesRead));
    left -= bytesRead;
  }
  const after = await stateOf(file, path);
  if (after.size === before.size && after.mtimeNs === before.mtimeNs) return chunks;
  throw new LedgerError(
    'SOURCE_CHANGED',
    `${path} was written to while it was read; nothing of the capture is in the ledger: record it again when it is whole`,
    { path },
  );
}

/** A regular file as an attachment. SOURCE_UNREADABLE and SOURCE_SIZE now, SOURCE_CHANGED when it is read. */
export async function openAttachedFile(name: string, path: string): Promise<Attachment> {
  await withFile(path, (file) => stateOf(file, path));
  return {
    name,
    content: async function* content() {
      yield* await withFile(path, (file) => readWhole(file, path));
    },
  };
}
