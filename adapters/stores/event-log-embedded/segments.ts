// The files of a log, one after another: positions count through them, and each is named by that of
// its first byte (docs/format.md, "Segments"). What a file holds beyond the start of the next counts
// nothing. Files are opened when they are read, and few stay open.

import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { GuardedFile, logClosed, logReadOnly } from '../../files/guarded-file.ts';
import type { FilePort } from '../../files/file-port.ts';
import { writeWhole } from '../../files/whole-file.ts';
import { FORMAT_1, format2, type FrameFormat } from './frame-format.ts';
import type { PositionedBytes } from './frame-scanner.ts';
import { LOG_FILE } from './layout.ts';
import {
  MARKER_BYTES,
  SEGMENT_HEADER_BYTES,
  encodeSegmentHeader,
  readSegmentHeader,
  segmentName,
  segmentStart,
} from './segment-header.ts';

/** Segments that are not written to, and stay open for who reads on. */
const OPEN_FILES_MAX = 32;

/** One file of the log. */
export interface Segment {
  /** Position of its first byte. */
  readonly start: number;
  readonly path: string;
}

/** What a segment's first bytes say. */
export interface Opened {
  readonly format: FrameFormat;
  /** Empty in format 1. */
  readonly marker: Uint8Array;
  /** Copies of the header that are damaged. */
  readonly damaged: readonly number[];
}

/** Makes the first segment of an empty log in `folder`, unless there is one. */
export const createFirstSegment = (folder: string, files: FilePort): Promise<boolean> =>
  createSegment({ folder, files, start: 0 });

function createSegment(request: {
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

/** The segments of one open log. */
export class Segments implements PositionedBytes {
  readonly folder: string;
  readonly #files: FilePort;
  readonly #isReadOnly: boolean;
  /** By their starts, ascending. */
  #segments: Segment[] = [];
  readonly #opened = new Map<number, Opened>();
  /** By their starts, the one that was used last at the end. */
  readonly #open = new Map<number, GuardedFile>();
  #isClosed = false;

  constructor(folder: string, { files, readOnly }: { files: FilePort; readOnly: boolean }) {
    this.folder = folder;
    this.#files = files;
    this.#isReadOnly = readOnly;
  }

  /** Where the log's first file is, or would be. */
  get path(): string {
    return this.#segments[0]?.path ?? join(this.folder, LOG_FILE);
  }

  get all(): readonly Segment[] {
    return this.#segments;
  }

  get last(): Segment | null {
    return this.#segments.at(-1) ?? null;
  }

  /** Looks which segments there are; they only ever get more. */
  async refresh(): Promise<void> {
    if (this.#isClosed) throw logClosed(this.path);
    const starts = (await this.#files.list(this.folder))
      .map(segmentStart)
      .filter((start) => start !== null);
    if (starts.length <= this.#segments.length) return;
    this.#segments = starts
      .toSorted((a, b) => a - b)
      .map((start) => ({ start, path: join(this.folder, segmentName(start)) }));
  }

  /** The segment that holds a position; null: there is none yet. */
  at(position: number): Segment | null {
    return this.#segments.findLast(({ start }) => start <= position) ?? this.#segments[0] ?? null;
  }

  /** The segment behind another, or null. */
  after(segment: Segment): Segment | null {
    return this.#segments.find(({ start }) => start > segment.start) ?? null;
  }

  /** Where a segment's bytes end to count; Infinity for the last. */
  endOf(segment: Segment): number {
    return this.after(segment)?.start ?? Number.POSITIVE_INFINITY;
  }

  pathAt(position: number): string {
    return this.at(position)?.path ?? this.path;
  }

  async opened(segment: Segment): Promise<Opened> {
    const known = this.#opened.get(segment.start);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    const file = await this.#file(segment);
    const got = await file.read(bytes, 0);
    const header = readSegmentHeader(bytes.subarray(0, got), segment.start);
    const none = { format: FORMAT_1, marker: new Uint8Array(0), damaged: [] };
    const opened = header === null ? none : { ...header, format: format2(header.marker) };
    // One without a byte may be about to get its first.
    if (got > 0) this.#opened.set(segment.start, opened);
    return opened;
  }

  async #file(segment: Segment): Promise<GuardedFile> {
    if (this.#isClosed) throw logClosed(segment.path);
    const { start } = segment;
    const known = this.#open.get(start);
    if (known !== undefined) {
      this.#open.delete(start);
      this.#open.set(start, known);
      return known;
    }
    const isWritten = !this.#isReadOnly && start === this.last?.start;
    const file = await this.#files.open(segment.path, isWritten ? 'append' : 'read');
    const other = this.#open.get(start);
    if (other !== undefined || this.#isClosed) {
      await file.close();
      if (other === undefined) throw logClosed(segment.path);
      return other;
    }
    const guarded = new GuardedFile(file);
    this.#open.set(start, guarded);
    await this.#closeIdle();
    return guarded;
  }

  async #closeIdle(): Promise<void> {
    if (this.#open.size <= OPEN_FILES_MAX) return;
    const oldest = [...this.#open].find(([start]) => start !== this.last?.start);
    if (oldest === undefined) return;
    this.#open.delete(oldest[0]);
    await oldest[1].close();
  }

  /** Reads in the segment that holds `position`, not beyond it. */
  async read(target: Uint8Array, position: number): Promise<number> {
    const segment = this.at(position);
    if (segment === null || position < segment.start) return 0;
    const room = Math.min(target.length, this.endOf(segment) - position);
    const file = await this.#file(segment);
    return file.read(target.subarray(0, room), position - segment.start);
  }

  /** Position of the log's end. */
  async sizeBytes(): Promise<number> {
    if (this.last === null) await this.refresh();
    const { last } = this;
    if (last === null) return 0;
    return last.start + (await (await this.#file(last)).sizeBytes());
  }

  /** The last segment, to append to. */
  async writable(): Promise<GuardedFile> {
    const { last } = this;
    if (last === null || this.#isReadOnly) throw logReadOnly(this.path);
    return this.#file(last);
  }

  /** Whether the file that is appended to is still the one of its name, as far as it is open. */
  async isNamed(): Promise<boolean> {
    const { last } = this;
    return last === null || (await (await this.#file(last)).isNamed());
  }

  /** Makes the segment that begins at `start`, unless somebody has, and durable either way. */
  async create(start: number): Promise<void> {
    await createSegment({ folder: this.folder, files: this.#files, start });
    await this.refresh();
  }

  /** Makes sure that the names of the segments are durable. */
  syncNames(): Promise<void> {
    return this.#files.syncFolder(this.folder);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const files = [...this.#open.values()];
    this.#open.clear();
    for (const file of files) await file.close();
  }
}
