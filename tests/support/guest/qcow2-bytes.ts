// A qcow2 image with internal snapshots, by the format's document: an empty disk, and behind it, in each
// snapshot's own clusters, its memory.

const CLUSTER_BITS = 12;
const CLUSTER = 2 ** CLUSTER_BITS;
const PER_TABLE = CLUSTER / 8;
/** Takes one entry of L1, and a part of a second one. */
const DISK_BYTES = 3 * 2 ** 20;
const DISK_ENTRIES = 2;

export interface MadeSnapshot {
  readonly name: string;
  readonly state: Uint8Array;
  /** Seconds since 1970. Absent: 1,700,000,000 plus its number. */
  readonly seconds?: number;
}

/** Gathers clusters; gives each its place in the file. */
class Clusters {
  readonly parts: Uint8Array[] = [];
  bytes = 0;

  add(part: Uint8Array): number {
    const at = this.bytes;
    const padded = Buffer.alloc(Math.ceil(part.length / CLUSTER) * CLUSTER);
    padded.set(part);
    this.parts.push(padded);
    this.bytes += padded.length;
    return at;
  }
}

const table = (entries: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(CLUSTER);
  for (const [i, entry] of entries.entries())
    bytes.writeBigUInt64BE(entry === 0 ? 0n : BigInt(entry) | (1n << 63n), i * 8);
  return bytes;
};

/** The clusters of a state, those of zeros left out as QEMU may, and the tables that lead to them. */
function placed(clusters: Clusters, state: Uint8Array): { offset: number; entries: number } {
  const l1 = Array.from({ length: DISK_ENTRIES }, () => 0);
  for (let at = 0; at < state.length; at += PER_TABLE * CLUSTER) {
    const l2: number[] = [];
    const end = Math.min(state.length, at + PER_TABLE * CLUSTER);
    for (let from = at; from < end; from += CLUSTER) {
      const part = state.subarray(from, Math.min(end, from + CLUSTER));
      l2.push(part.every((byte) => byte === 0) ? 0 : clusters.add(part));
    }
    l1.push(clusters.add(table(l2)));
  }
  return { offset: clusters.add(table(l1)), entries: l1.length };
}

function entryOf(snapshot: MadeSnapshot, number: number, l1: ReturnType<typeof placed>): Buffer {
  const id = Buffer.from(String(number + 1));
  const name = Buffer.from(snapshot.name);
  const head = Buffer.alloc(40 + 24);
  head.writeBigUInt64BE(BigInt(l1.offset), 0);
  head.writeUInt32BE(l1.entries, 8);
  head.writeUInt16BE(id.length, 12);
  head.writeUInt16BE(name.length, 14);
  head.writeUInt32BE(snapshot.seconds ?? 1_700_000_000 + number, 16);
  head.writeUInt32BE(250_000_000, 20);
  head.writeUInt32BE(24, 36);
  head.writeBigUInt64BE(BigInt(snapshot.state.length), 40);
  head.writeBigUInt64BE(BigInt(DISK_BYTES), 48);
  const entry = Buffer.concat([head, id, name]);
  return Buffer.concat([entry, Buffer.alloc((8 - (entry.length % 8)) % 8)]);
}

/** An image with these snapshots. */
export function qcow2Image(snapshots: readonly MadeSnapshot[]): Buffer {
  const clusters = new Clusters();
  const header = Buffer.alloc(CLUSTER);
  clusters.add(header);
  const entries = snapshots.map((each, i) =>
    entryOf(
      each,
      i,
      each.state.length === 0 ? { offset: 0, entries: 0 } : placed(clusters, each.state),
    ),
  );
  const tableAt = clusters.add(Buffer.concat([...entries, Buffer.alloc(1)]));
  header.write('QFI\xfb', 'latin1');
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(CLUSTER_BITS, 20);
  header.writeBigUInt64BE(BigInt(DISK_BYTES), 24);
  header.writeUInt32BE(snapshots.length, 60);
  header.writeBigUInt64BE(BigInt(tableAt), 64);
  header.writeUInt32BE(104, 100);
  return Buffer.concat([header, ...clusters.parts.slice(1)]);
}

/** Where the fields of a made image lie that tests put other values into. */
export const QCOW2_FIELDS = {
  version: 4,
  clusterBits: 20,
  encryption: 32,
  snapshots: 60,
  tableOffset: 64,
  features: 72,
} as const;
