// What is known of the files of a log: what the first bytes of each say, and which segments that makes.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import { writeWhole } from '../../files/whole-file.ts';
import { FORMAT_1, format2, type FrameFormat } from './frame-format.ts';
import { readLeftTable, type LeftTable } from './left-segment.ts';
import {
  MARKER_BYTES,
  SEGMENT_HEADER_BYTES,
  encodeSegmentHeader,
  readSegmentHeader,
  segmentName,
} from './segment-header.ts';
import type { Head } from './stream-heads.ts';

/** A file of the log, or one of the stretches that are left in it. */
export interface Segment {
  /** Position of its first byte. */
  readonly start: number;
  readonly path: string;
  /** Of a stretch: the position after it, and where in its file it lies; null: it is the whole file. */
  readonly stretch: { readonly end: number; readonly offset: number } | null;
  /** Position that its file is named by. */
  readonly fileStart: number;
}

/** What a file's first bytes say. */
export interface Opened {
  readonly format: FrameFormat;
  /** Empty in format 1. */
  readonly marker: Uint8Array;
  /** Copies of the header that are damaged. */
  readonly damaged: readonly number[];
  /** What is left of the segment; null: it is as it was appended. */
  readonly left: LeftTable | null;
}

/** A file without a header: it is of format 1. */
export const NO_HEADER: Opened = {
  format: FORMAT_1,
  marker: new Uint8Array(0),
  damaged: [],
  left: null,
};

/** A file of the log. */
export interface LogFile {
  readonly start: number;
  readonly path: string;
  opened: Opened | null;
}

/** Makes the segment that begins at `start`, durable, unless there is one: whether it was made. */
export function createSegment(request: {
  readonly folder: string;
  readonly files: FilePort;
  readonly start: number;
}): Promise<boolean> {
  const { folder, files, start } = request;
  return writeWhole({
    files,
    path: join(folder, segmentName(start)),
    parts: [encodeSegmentHeader(start, randomBytes(MARKER_BYTES))],
    as: 'durable',
    existing: 'keep',
  });
}

/** What a file's first bytes say; null: it has none yet. NEWER_FORMAT. */
export async function openedOf(
  file: Pick<OpenFile, 'read' | 'sizeBytes'>,
  start: number,
): Promise<Opened | null> {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const got = await file.read(bytes, 0);
  // One without a byte may be about to get its first.
  if (got === 0) return null;
  const header = readSegmentHeader(bytes.subarray(0, got), start);
  if (header === null) return NO_HEADER;
  const { marker, leftAt, damaged } = header;
  const left = leftAt === null ? null : await readLeftTable(file, leftAt);
  if (marker === null) return { ...NO_HEADER, damaged, left };
  return { format: format2(marker), marker, damaged, left };
}

/** The segments of a file: itself, or what is left of it. */
function segmentsOf({ start, path, opened }: LogFile): Segment[] {
  const left = opened?.left ?? null;
  if (left === null) return [{ start, path, stretch: null, fileStart: start }];
  let offset = left.startBytes;
  return left.stretches.map(({ position, end }) => {
    const segment = { start: position, path, stretch: { end, offset }, fileStart: start };
    offset += end - position;
    return segment;
  });
}

/** The segments of a log's files, as far as those are known. */
export interface Layout {
  /** By their starts, ascending. */
  readonly segments: readonly Segment[];
  /** By stream: its last record that was let go. */
  readonly cuts: ReadonlyMap<string, Head>;
}

/** Of files by their starts, ascending. */
export function layoutOf(files: readonly LogFile[]): Layout {
  const cuts = new Map<string, Head>();
  for (const { opened } of files)
    for (const [stream, head] of opened?.left?.cuts ?? [])
      if (head.revision > (cuts.get(stream)?.revision ?? -1)) cuts.set(stream, head);
  return { segments: files.flatMap(segmentsOf), cuts };
}
