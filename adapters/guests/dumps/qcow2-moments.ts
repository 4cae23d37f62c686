// The internal snapshots of a qcow2 disk image as moments of a guest: what QEMU's savevm, virt-manager and
// `virsh snapshot-create` make. Each has its own time and name, and the disk of that moment is in the
// same file. A guest may run on meanwhile: it does not touch what a snapshot holds.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { GuestSource, ImageFacts } from '../../../domain/ports/guests.ts';
import type { ByteSource } from '../qemu/byte-window.ts';
import { openStream } from '../qemu/stream-source.ts';
import type { FormatFile, Moment } from '../images/image-format.ts';
import { DumpFile, dumpUnfit } from './dump-file.ts';
import {
  readSnapshots,
  stateOf,
  type Qcow2Header,
  type Qcow2Snapshot,
  type StateStretch,
} from './qcow2.ts';

/** Most bytes that are read at once. */
const READ_BYTES_MAX = 1024 * 1024;

/** Stretches, those that lie side by side as one. */
function* joined(stretches: Iterable<StateStretch>): Generator<StateStretch> {
  let last: StateStretch | null = null;
  for (const next of stretches) {
    const isNext =
      last !== null &&
      (last.offset === null ? next.offset === null : next.offset === last.offset + last.length);
    if (last !== null && isNext && last.length + next.length <= READ_BYTES_MAX)
      last = { offset: last.offset, length: last.length + next.length };
    else {
      if (last !== null) yield last;
      last = next;
    }
  }
  if (last !== null) yield last;
}

/** The bytes of a snapshot's state, one after the other. */
function bytesOf(file: DumpFile, header: Qcow2Header, snapshot: Qcow2Snapshot): ByteSource {
  const stretches = joined(stateOf(file, header, snapshot));
  let bytes: Uint8Array = new Uint8Array(0);
  return async (target) => {
    if (bytes.length === 0) {
      const next = stretches.next();
      if (next.done === true) return 0;
      const { offset, length } = next.value;
      bytes =
        offset === null
          ? new Uint8Array(length)
          : file.bytes(offset, length, 'memory of a snapshot');
    }
    const count = Math.min(bytes.length, target.length);
    target.set(bytes.subarray(0, count));
    bytes = bytes.subarray(count);
    return count;
  };
}

/** The table of snapshots as one text, to tell whether it is as it was. */
const tableOf = (file: DumpFile): string =>
  JSON.stringify(readSnapshots(file), (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );

async function openSnapshot(of: FormatFile, snapshot: Qcow2Snapshot): Promise<GuestSource> {
  const file = new DumpFile(of.file);
  const { header } = readSnapshots(file);
  const before = tableOf(file);
  const source = bytesOf(file, header, snapshot);
  const opened = await openStream({ ...of, timeMs: snapshot.timeMs }, source);
  if (tableOf(file) === before) return opened;
  opened.close();
  throw new LedgerError(
    'SOURCE_CHANGED',
    `the snapshots of ${file.label} changed while ${JSON.stringify(snapshot.name)} was read; nothing of it is in the ledger: record it again`,
    { label: file.label },
  );
}

/** What a snapshot is known by, also once its file has grown. */
const factsOf = (of: FormatFile, { id, stateBytes, timeNs }: Qcow2Snapshot): ImageFacts | null =>
  of.file.facts === null
    ? null
    : { name: `${of.file.facts.name}#${id}`, bytes: stateBytes, timeNs: String(timeNs) };

/** The snapshots of an image that have memory, oldest first. SOURCE_FORMAT where none has. */
export async function qcow2Moments(of: FormatFile): Promise<readonly Moment[]> {
  const file = new DumpFile(of.file);
  const { snapshots } = readSnapshots(file);
  const withMemory = snapshots.filter(({ stateBytes }) => stateBytes > 0);
  if (withMemory.length === 0)
    throw dumpUnfit(
      file.label,
      `is a qcow2 disk image with ${snapshots.length} internal snapshots, and none with memory`,
      'record a file of memory',
    );
  return withMemory.map((snapshot) => ({
    name: snapshot.name,
    facts: factsOf(of, snapshot),
    open: () => openSnapshot(of, snapshot),
  }));
}
