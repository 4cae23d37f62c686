// Builds a guest's first file system: a cpio archive ("newc"), gzipped, with busybox, a few links to
// it and the workload's scripts.

import { gzipSync } from 'node:zlib';

export interface ArchiveEntry {
  /** Path inside the archive, without a leading slash. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link' | 'device';
  /** A file's bytes, or the target of a link. */
  readonly content?: Uint8Array | string;
  /** Permission bits; absent: as a program or a folder has them. */
  readonly mode?: number;
  /** Major and minor number of a character device. */
  readonly device?: readonly [number, number];
}

const MODE_OF_KIND = { file: 0o100000, folder: 0o040000, link: 0o120000, device: 0o020000 };
const TRAILER = 'TRAILER!!!';

const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);

/**
 * One member: numbers of eight hexadecimal digits, name, content; the last two padded to 4. The
 * numbers are inode, mode, owner, group, links, time, size, device (2), own device (2), name, sum.
 */
function member(entry: ArchiveEntry, inode: number): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const [major, minor] = entry.device ?? [0, 0];
  const mode = MODE_OF_KIND[entry.kind] + (entry.mode ?? 0o755);
  const fields = [
    inode,
    mode,
    0,
    0,
    1,
    0,
    content.length,
    0,
    0,
    major,
    minor,
    entry.path.length + 1,
    0,
  ];
  const digits = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  return Buffer.concat([
    padded(Buffer.from(`070701${digits}${entry.path}\0`, 'latin1')),
    padded(content),
  ]);
}

/** The archive, gzipped; equal entries give equal bytes. */
export function buildInitramfs(entries: readonly ArchiveEntry[]): Uint8Array {
  const members = entries.map((entry, i) => member(entry, i + 1));
  const trailer = member({ path: TRAILER, kind: 'file', mode: 0 }, 0);
  return gzipSync(Buffer.concat([...members, trailer]), { level: 1 });
}
