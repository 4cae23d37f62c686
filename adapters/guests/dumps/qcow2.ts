// A qcow2 disk image, as far as its internal snapshots go: which there are, and where the memory and
// devices of each lie, which are a migration stream of QEMU's behind the disk. Numbers are big-endian.
//
//   header              0 "QFI\xfb", 4 version (2, 3), 20 bits of a cluster's size, 24 size of the disk,
//                       32 encryption, 60 number of snapshots, 64 where their table is, 72 features
//   snapshot            0 where its L1 table is, 8 entries of that, 12 bytes of the id, 14 of the name,
//                       16 seconds, 20 nanoseconds, 32 bytes of the state, 36 bytes of more: 0 bytes of
//                       the state, 8 of the disk; then id, name, up to a multiple of 8
//   entry of L1, of L2  bits 9 to 55: where the L2 table, the cluster is; of L2 bit 62: compressed,
//                       bit 0: zeros
//
// The state begins at the first entry of L1 behind those of the disk.

import { dumpUnfit, u64, type DumpFile } from './dump-file.ts';

export const QCOW2_MAGIC = 'QFI\xfb';

/** A snapshot of the table. */
export interface Qcow2Snapshot {
  readonly id: string;
  readonly name: string;
  readonly timeMs: number;
  /** As the table has it: nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** Bytes of memory and devices; 0: it is of the disk alone. */
  readonly stateBytes: number;
  readonly diskBytes: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
}

export interface Qcow2Header {
  readonly clusterBytes: number;
  readonly snapshots: number;
  readonly tableOffset: number;
  readonly diskBytes: number;
}

const HEADER_BYTES = 104;
const ENTRY_BYTES = 40;
const [CLUSTER_BITS_MIN, CLUSTER_BITS_MAX] = [9, 21];
/** QEMU takes more; but for each, the whole table is looked at again. */
const SNAPSHOTS_MAX = 4096;
const MORE_BYTES_MAX = 1024;
const NAME_BYTES_MAX = 1024;
const L1_BYTES_MAX = 32 * 1024 * 1024;
/** Largest state: as much RAM as a stream may have, and more. */
const STATE_BYTES_MAX = 2 ** 45;
/** Features that files may have which are read; clusters may be compressed with zstd, of the disk. */
const KNOWN_FEATURES = 1n << 3n;
const FEATURES: Readonly<Record<string, string>> = {
  0: 'was not closed',
  1: 'is marked as corrupt',
  2: 'has its data in another file',
  4: 'has extended L2 tables',
};

export const DAMAGED = 'check it with `qemu-img check`, or copy it again';

function checkFeatures({ label }: DumpFile, features: bigint): void {
  const unknown = features & ~KNOWN_FEATURES;
  if (unknown === 0n) return;
  const bit = unknown.toString(2).length - 1;
  throw dumpUnfit(
    label,
    `is a qcow2 image that ${FEATURES[bit] ?? `has the feature ${bit}`}, whose snapshots are not read`,
    'shut the guest down and try again, or start a copy of it with -loadvm and record that',
  );
}

/** The header of an image; refuses one whose snapshots cannot be read. */
export function readQcow2Header(file: DumpFile): Qcow2Header {
  const { label } = file;
  const view = file.view(0, HEADER_BYTES, 'the header');
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3)
    throw dumpUnfit(label, `is a qcow2 image of version ${version}`, 'expected 2 or 3');
  const bits = view.getUint32(20);
  if (bits < CLUSTER_BITS_MIN || bits > CLUSTER_BITS_MAX)
    throw dumpUnfit(label, `is a qcow2 image with clusters of 2^${bits} bytes`, DAMAGED);
  if (view.getUint32(32) !== 0)
    throw dumpUnfit(
      label,
      'is an encrypted qcow2 image',
      'decrypt a copy of it (qemu-img convert)',
    );
  checkFeatures(file, version === 3 ? view.getBigUint64(72) : 0n);
  const snapshots = view.getUint32(60);
  if (snapshots > SNAPSHOTS_MAX)
    throw dumpUnfit(label, `is a qcow2 image that claims ${snapshots} snapshots`, DAMAGED);
  return {
    clusterBytes: 2 ** bits,
    snapshots,
    tableOffset: u64(view, 64, false),
    diskBytes: u64(view, 24, false),
  };
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** The snapshot at a place of the table, and how many bytes it takes there. */
function snapshotAt(
  file: DumpFile,
  at: number,
  header: Qcow2Header,
): { readonly snapshot: Qcow2Snapshot; readonly bytes: number } {
  const view = file.view(at, ENTRY_BYTES, 'the table of snapshots');
  const [idBytes, nameBytes, more] = [view.getUint16(12), view.getUint16(14), view.getUint32(36)];
  if (more > MORE_BYTES_MAX || idBytes > NAME_BYTES_MAX || nameBytes > NAME_BYTES_MAX)
    throw dumpUnfit(file.label, `has a snapshot that is none, at byte ${at}`, DAMAGED);
  const rest = file.bytes(at + ENTRY_BYTES, more + idBytes + nameBytes, 'the table of snapshots');
  const extra = new DataView(rest.buffer, 0, more);
  const seconds = view.getUint32(16);
  const nanoseconds = view.getUint32(20);
  return {
    bytes: Math.ceil((ENTRY_BYTES + rest.length) / 8) * 8,
    snapshot: {
      id: textOf(rest.subarray(more, more + idBytes)),
      name: textOf(rest.subarray(more + idBytes)),
      timeMs: seconds * 1000 + Math.floor(nanoseconds / 1e6),
      timeNs: BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds),
      stateBytes: more >= 8 ? u64(extra, 0, false) : view.getUint32(32),
      diskBytes: more >= 16 ? u64(extra, 8, false) : header.diskBytes,
      l1Offset: u64(view, 0, false),
      l1Entries: view.getUint32(8),
    },
  };
}

/** The snapshots of an image, in the order of its table: oldest first. */
export function readSnapshots(file: DumpFile): {
  readonly header: Qcow2Header;
  readonly snapshots: readonly Qcow2Snapshot[];
} {
  const header = readQcow2Header(file);
  const snapshots: Qcow2Snapshot[] = [];
  let at = header.tableOffset;
  for (let i = 0; i < header.snapshots; i += 1) {
    const { snapshot, bytes } = snapshotAt(file, at, header);
    snapshots.push(snapshot);
    at += bytes;
  }
  return { header, snapshots };
}

const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;
const IS_COMPRESSED = 1n << 62n;
const IS_ZERO = 1n;

/** Bytes of the state that lie side by side. */
export interface StateStretch {
  /** In the file; null: zeros. */
  readonly offset: number | null;
  readonly length: number;
}

/** The clusters of a snapshot's state, in order. Refuses more of them than the file can have. */
export function* stateOf(
  file: DumpFile,
  { clusterBytes }: Qcow2Header,
  snapshot: Qcow2Snapshot,
): Generator<StateStretch> {
  const { label } = file;
  const { diskBytes, l1Entries, l1Offset, stateBytes, name } = snapshot;
  const perTable = clusterBytes / 8;
  const first = Math.ceil(diskBytes / (perTable * clusterBytes));
  const last = first + Math.ceil(stateBytes / (perTable * clusterBytes));
  const isSound =
    stateBytes <= STATE_BYTES_MAX && l1Entries * 8 <= L1_BYTES_MAX && last <= l1Entries;
  if (!isSound)
    throw dumpUnfit(
      label,
      `has a snapshot ${JSON.stringify(name)} of ${stateBytes} bytes of memory, for which its table of ${l1Entries} entries has no room`,
      DAMAGED,
    );
  const l1 = file.view(l1Offset, l1Entries * 8, 'a table of clusters');
  let kept = 0;
  for (let done = 0, i = first; done < stateBytes; i += 1) {
    const l2At = Number(l1.getBigUint64(i * 8) & OFFSET_MASK);
    const l2 = l2At === 0 ? null : file.view(l2At, clusterBytes, 'a table of clusters');
    for (let j = 0; j < perTable && done < stateBytes; j += 1, done += clusterBytes) {
      const entry = l2?.getBigUint64(j * 8) ?? 0n;
      if ((entry & IS_COMPRESSED) !== 0n)
        throw dumpUnfit(
          label,
          `has compressed memory in its snapshot ${JSON.stringify(name)}`,
          DAMAGED,
        );
      const at = (entry & IS_ZERO) === 0n ? Number(entry & OFFSET_MASK) : 0;
      const length = Math.min(clusterBytes, stateBytes - done);
      if (at !== 0) kept += length;
      // Clusters of one snapshot are not shared among themselves.
      if (kept > file.sizeBytes)
        throw dumpUnfit(
          label,
          `has clusters twice in its snapshot ${JSON.stringify(name)}`,
          DAMAGED,
        );
      yield { offset: at === 0 ? null : at, length };
    }
  }
}
