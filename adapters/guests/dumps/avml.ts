// Dumps that avml writes with --compress: each range of memory behind a header (lime.ts, of version 2),
// compressed as a framed stream of snappy, then u64 how many bytes that takes. Ranges are cut into
// pieces of 16 MiB; those that are zero are left out.

import type { GuestSource } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { spooled } from '../images/image-file.ts';
import type { FormatFile } from '../images/image-format.ts';
import { DumpFile, dumpUnfit, hexOf, u64 } from './dump-file.ts';
import { dumpSource } from './dump-source.ts';
import { LIME_HEADER_BYTES, limeHeader } from './lime.ts';
import { mapOfRuns, SEGMENTS_MAX, type Segment, type SegmentRules } from './segments.ts';
import { CHUNK_BYTES_MAX, maskedCrc, unsnap } from './snappy.ts';

export const AVML_MAGIC = 'AVML';
const VERSION = 2;
const RANGE_BYTES_MAX = 16 * 1024 * 1024;
const [COMPRESSED, PLAIN, SKIPPED] = [0, 1, 0x80];
const SUM_BYTES = 4;
const DAMAGED = 'it is damaged; copy or dump it again';

const RULES: SegmentRules = { between: 'zeros' };

/** A range: `offset` is where its first chunk begins. */
interface Range extends Segment {
  readonly end: number;
}

interface Chunk {
  readonly kind: number;
  /** Its bytes in the file, its head apart. */
  readonly length: number;
  readonly offset: number;
}

function chunkAt(file: DumpFile, at: number): Chunk {
  const head = file.view(at, 4, 'the head of a chunk').getUint32(0, true);
  const length = head >>> 8;
  file.check(at + 4, length, 'a chunk');
  return { kind: head & 255, length, offset: at + 4 };
}

/** Bytes that a chunk holds, by its own account. */
function heldBy(file: DumpFile, { kind, length, offset }: Chunk): number {
  if (kind >= SKIPPED) return 0;
  if (kind === PLAIN && length >= SUM_BYTES) return length - SUM_BYTES;
  if (kind === COMPRESSED && length > SUM_BYTES) {
    const bytes = file.bytes(offset + SUM_BYTES, Math.min(5, length - SUM_BYTES), 'a chunk');
    let held = 0;
    for (const [i, byte] of bytes.entries()) {
      held += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return held;
    }
  }
  throw dumpUnfit(
    file.label,
    `has a chunk of kind ${kind} and ${length} bytes at ${offset}`,
    DAMAGED,
  );
}

/** The range at a place of the file: its chunks are walked, and not yet read. */
function rangeAt(file: DumpFile, at: number): Range {
  const { address, length } = limeHeader(file, at, { magic: AVML_MAGIC, version: VERSION });
  const isSound =
    length <= RANGE_BYTES_MAX && address % PAGE_BYTES === 0 && length % PAGE_BYTES === 0;
  if (!isSound)
    throw dumpUnfit(file.label, `has ${length} bytes of memory at ${hexOf(address)}`, DAMAGED);
  const offset = at + LIME_HEADER_BYTES;
  let end = offset;
  for (let held = 0; held < length;) {
    const chunk = chunkAt(file, end);
    const bytes = heldBy(file, chunk);
    if (bytes > CHUNK_BYTES_MAX || held + bytes > length)
      throw dumpUnfit(file.label, `has a chunk of ${bytes} bytes at ${end}`, DAMAGED);
    held += bytes;
    end = chunk.offset + chunk.length;
  }
  const said = u64(file.view(end, 8, 'the end of a range'), 0);
  if (said !== end - offset)
    throw dumpUnfit(
      file.label,
      `says that ${end - offset} bytes at ${offset} are ${said}`,
      DAMAGED,
    );
  return { address, length, offset, end: end + 8 };
}

/** All ranges. */
function rangesOf(file: DumpFile): readonly Range[] {
  const ranges: Range[] = [];
  for (let at = 0; at < file.sizeBytes && ranges.length <= SEGMENTS_MAX;) {
    const range = rangeAt(file, at);
    ranges.push(range);
    at = range.end;
  }
  return ranges;
}

/** The memory of a range, chunk by chunk. */
function* decompressed(file: DumpFile, range: Range, room: Uint8Array): Generator<Uint8Array> {
  const bytes = file.bytes(range.offset, range.end - 8 - range.offset, 'a range');
  const view = new DataView(bytes.buffer);
  let done = 0;
  for (let at = 0; at < bytes.length;) {
    const head = view.getUint32(at, true);
    const next = at + 4 + (head >>> 8);
    const kind = head & 255;
    if (kind < SKIPPED) {
      const data = bytes.subarray(at + 4 + SUM_BYTES, next);
      const into = room.subarray(done, done + CHUNK_BYTES_MAX);
      if (kind === PLAIN) into.set(data);
      const count = kind === PLAIN ? data.length : unsnap(data, into);
      const sum = count === null ? -1 : maskedCrc(into.subarray(0, count));
      if (count === null || sum !== view.getUint32(at + 4, true))
        throw dumpUnfit(
          file.label,
          `has a chunk that is damaged, at ${range.offset + at}`,
          DAMAGED,
        );
      done += count;
    }
    at = next;
  }
  yield room.subarray(0, done);
}

async function* memoryOf(file: DumpFile, ranges: readonly Range[]): AsyncGenerator<Uint8Array> {
  const most = ranges.reduce((longest, { length }) => Math.max(longest, length), 0);
  const room = new Uint8Array(most);
  for (const range of ranges) yield* decompressed(file, range, room);
}

/** Opens a compressed dump: its memory is decompressed into a temporary file. */
export async function openAvml(of: FormatFile): Promise<GuestSource> {
  const dump = new DumpFile(of.file);
  const ranges = rangesOf(dump);
  // Before anything is decompressed: that it is memory, and no more than is recorded.
  mapOfRuns(dump.label, ranges, RULES);
  const file = await spooled(of, memoryOf(dump, ranges));
  try {
    let offset = 0;
    const segments = ranges.map(({ address, length }): Segment => {
      offset += length;
      return { address, length, offset: offset - length };
    });
    const source = dumpSource({ ...of, file }, { segments, mode: 'image', ...RULES });
    of.file.close();
    return source;
  } catch (thrown) {
    file.close();
    throw thrown;
  }
}
