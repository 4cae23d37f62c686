// The files of a log, one after another: positions count through them, and each is named by that of
// its first byte (docs/format.md, "Segments"). What a file holds beyond the start of the next counts
// nothing. Files are opened when they are read, and few stay open.
//
// An ended file may be replaced by what is left of it (left-segment.ts), by another process too: then its
// segments are the stretches that are left, with nothing between them. One of which nothing is left may
// be removed. Whoever has it open goes on in what was.

import { join } from 'node:path';
import { logReplaced } from '../../../domain/ports/event-log.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import { isAbsent } from '../../files/failures.ts';
import { GuardedFile, logClosed, logReadOnly } from '../../files/guarded-file.ts';
import { assert } from '../../../domain/values/assert.ts';
import { lastWhere } from '../../../domain/values/sorted-search.ts';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import { LOG_FILE } from './layout.ts';
import type { LeftTable } from './left-segment.ts';
import type { PositionedBytes } from './passing-reads.ts';
import {
  createSegment,
  layoutOf,
  NO_HEADER,
  openedOf,
  type Layout,
  type LogFile,
  type Opened,
  type Segment,
} from './segment-files.ts';
import { segmentName, segmentStart } from './segment-header.ts';
import type { Head } from './stream-heads.ts';

/** Segments that are not written to, and stay open for who reads on. */
const OPEN_FILES_MAX = 32;
/** How often it is looked for segments while others remove some. */
const LOOKS_MAX = 16;

/** Makes the first segment of an empty log in `folder`, unless there is one. */
export const createFirstSegment = (folder: string, files: FilePort): Promise<boolean> =>
  createSegment({ folder, files, start: 0 });

/** What only a later release can read is told of by who reads it. */
function nothingYet(thrown: unknown): null {
  if (isLedgerError(thrown) && thrown.code === 'NEWER_FORMAT') return null;
  throw thrown;
}

/** Of what is in order, the number of the last that begins at a position or before it; -1: none does. */
const lastUpTo = (ordered: readonly { readonly start: number }[], position: number): number =>
  lastWhere(ordered.length, (number) => ordered[number]!.start <= position);

/** The segments of one open log. */
export class Segments implements PositionedBytes {
  readonly folder: string;
  readonly #port: FilePort;
  readonly #isReadOnly: boolean;
  /** By their starts, ascending. */
  #files: LogFile[] = [];
  /** Null: the files are known otherwise than when it was looked at last. */
  #layout: Layout | null = null;
  #pasts = 0;
  /** Whether files were replaced, or are gone, so that all are to be looked at again. */
  #isStale = false;
  /** By the starts of files, the one that was used last at the end. */
  readonly #open = new Map<number, GuardedFile>();
  #isClosed = false;

  constructor(folder: string, { files, readOnly }: { files: FilePort; readOnly: boolean }) {
    this.folder = folder;
    this.#port = files;
    this.#isReadOnly = readOnly;
  }

  /** Where the log's first file is, or would be. */
  get path(): string {
    return this.#files[0]?.path ?? join(this.folder, LOG_FILE);
  }

  get #segments(): readonly Segment[] {
    return this.#laidOut().segments;
  }

  get last(): Segment | null {
    return this.#segments.at(-1) ?? null;
  }

  /** Starts of the files, ascending. */
  get fileStarts(): readonly number[] {
    return this.#files.map(({ start }) => start);
  }

  /** Counts how often a file was found to be what is left of the one that was read before. */
  get pasts(): number {
    return this.#pasts;
  }

  /** By stream: its last record that was let go. */
  get cuts(): ReadonlyMap<string, Head> {
    return this.#laidOut().cuts;
  }

  #laidOut(): Layout {
    return (this.#layout ??= layoutOf(this.#files));
  }

  /** Looks which segments there are. */
  async refresh(): Promise<void> {
    for (let attempt = 1; ; attempt += 1)
      try {
        await this.#look();
        return;
      } catch (thrown) {
        // Somebody removed one of which nothing is left: the next look does not find it.
        if (!isAbsent(thrown) || attempt === LOOKS_MAX) throw thrown;
      }
  }

  async #look(): Promise<void> {
    if (this.#isClosed) throw logClosed(this.path);
    const starts = (await this.#port.list(this.folder))
      .map(segmentStart)
      .filter((start) => start !== null)
      .toSorted((a, b) => a - b);
    // The last file is never removed: a look that does not find it is older than what is known.
    if ((starts.at(-1) ?? -1) < (this.#files.at(-1)?.start ?? -1)) return;
    const gone = this.#files.filter(({ start }) => !starts.includes(start));
    if (gone.length > 0) this.#isStale = true;
    if (starts.length === this.#files.length && !this.#isStale) return;
    const known = new Map(this.#files.map((file) => [file.start, file]));
    this.#files = starts.map(
      (start) =>
        known.get(start) ?? { start, path: join(this.folder, segmentName(start)), opened: null },
    );
    this.#layout = null;
    for (const { start } of gone) await this.#forget(start);
    await this.#openNew();
  }

  /** What was replaced says so; the last file never is. */
  async #openNew(): Promise<void> {
    const isStale = this.#isStale;
    for (const file of this.#files.slice(0, -1)) {
      if (isStale) await this.#forget(file.start);
      if (isStale || file.opened === null) await this.#file(file);
    }
    if (isStale) this.#isStale = false;
  }

  /** Closes a file, if it is open. */
  async #forget(start: number): Promise<void> {
    const open = this.#open.get(start);
    this.#open.delete(start);
    await open?.close();
  }

  /** The segment that holds a position, or is before it; null: there is none yet. */
  at(position: number): Segment | null {
    return this.#segments[Math.max(0, lastUpTo(this.#segments, position))] ?? null;
  }

  /** The segment behind another, or null. */
  after(segment: Segment): Segment | null {
    return this.#segments[lastUpTo(this.#segments, segment.start) + 1] ?? null;
  }

  /** Where a segment's bytes end to count; Infinity for the last. */
  endOf(segment: Segment): number {
    if (segment.stretch !== null) return segment.stretch.end;
    const next = this.#files[lastUpTo(this.#files, segment.fileStart) + 1];
    return next?.start ?? Number.POSITIVE_INFINITY;
  }

  pathAt(position: number): string {
    return this.at(position)?.path ?? this.path;
  }

  async opened({ fileStart }: Segment): Promise<Opened> {
    const file = this.#fileAt(fileStart);
    if (file.opened === null) {
      const opened = await this.#fileFor(file);
      file.opened ??= await openedOf(opened, fileStart);
    }
    return file.opened ?? NO_HEADER;
  }

  /** A file, for who reads in it: LOG_REPLACED where it was removed, as nothing is left of it. */
  async #fileFor(known: LogFile): Promise<GuardedFile> {
    try {
      return await this.#file(known);
    } catch (thrown) {
      if (!isAbsent(thrown) || known.start === this.#files.at(-1)?.start) throw thrown;
      throw logReplaced(known.path, BigInt(known.start));
    }
  }

  #fileAt(start: number): LogFile {
    const file = this.#files[lastUpTo(this.#files, start)];
    assert(file?.start === start, 'a segment has a file');
    return file;
  }

  async #file(known: LogFile): Promise<GuardedFile> {
    if (this.#isClosed) throw logClosed(known.path);
    const { start } = known;
    const before = this.#open.get(start);
    if (before !== undefined) {
      this.#open.delete(start);
      this.#open.set(start, before);
      return before;
    }
    const isLast = start === this.#files.at(-1)?.start;
    const isWritten = !this.#isReadOnly && isLast;
    const file = await this.#opening(known, isWritten ? 'append' : 'read');
    const isKnown = isLast && known.opened !== null;
    const opened = isKnown ? known.opened : await openedOf(file, start).catch(nothingYet);
    if (isLast && opened?.left != null) {
      // It was ended and replaced since the names were looked at: it is not the last one.
      await file.close();
      await this.refresh();
      return this.#file(known);
    }
    const other = this.#open.get(start);
    if (other !== undefined || this.#isClosed) {
      await file.close();
      if (other === undefined) throw logClosed(known.path);
      return other;
    }
    this.#take(known, opened);
    const guarded = new GuardedFile(file);
    this.#open.set(start, guarded);
    await this.#closeIdle();
    return guarded;
  }

  async #opening({ path }: LogFile, as: 'append' | 'read'): Promise<OpenFile> {
    try {
      return await this.#port.open(path, as);
    } catch (thrown) {
      if (isAbsent(thrown)) this.#isStale = true;
      throw thrown;
    }
  }

  /** A file may have been replaced since it was looked at. */
  #take(file: LogFile, opened: Opened | null): void {
    const before = file.opened;
    file.opened = opened;
    if (before?.left?.digest === opened?.left?.digest) return;
    if (before !== null) this.#pasts += 1;
    // Where one was replaced, more may have been.
    if (before !== null) this.#isStale = true;
    this.#layout = null;
  }

  async #closeIdle(): Promise<void> {
    if (this.#open.size <= OPEN_FILES_MAX) return;
    const last = this.#files.at(-1)?.start;
    const oldest = [...this.#open.keys()].find((start) => start !== last);
    if (oldest !== undefined) await this.#forget(oldest);
  }

  /** The port that the files are reached by. */
  get files(): FilePort {
    return this.#port;
  }

  /** What is left of a file; null: all of it, as far as is known. */
  leftOf(fileStart: number): LeftTable | null {
    return this.#fileAt(fileStart).opened?.left ?? null;
  }

  /** A file by its start, and what its first bytes say; null: it has none. */
  async file(fileStart: number): Promise<Pick<LogFile, 'path' | 'opened'>> {
    const file = this.#fileAt(fileStart);
    if (file.opened === null) await this.#file(file);
    return file;
  }

  /** The marker of a file's records; null: they are of format 1. */
  async markerOf(fileStart: number): Promise<Uint8Array | null> {
    const { format, marker } = (await this.file(fileStart)).opened ?? NO_HEADER;
    return format.format === 1 ? null : marker;
  }

  /** What is said where a file has fewer bytes than were read of it before. */
  endsEarly(position: number): LedgerError {
    const path = this.pathAt(position);
    return new LedgerError(
      'IO_FAILED',
      `${path} has no bytes at position ${position}, where there were some; see to the device`,
      { file: path, position },
    );
  }

  /** Looks at a file anew that this log itself has replaced. */
  async replaced(fileStart: number): Promise<void> {
    const isStale = this.#isStale;
    await this.#forget(fileStart);
    await this.#file(this.#fileAt(fileStart));
    this.#isStale = isStale;
  }

  /** Removes a file of which nothing is left. */
  async remove(fileStart: number): Promise<void> {
    const { path } = this.#fileAt(fileStart);
    await this.#forget(fileStart);
    await this.#port.remove(path);
    this.#files = this.#files.filter(({ start }) => start !== fileStart);
    this.#layout = null;
  }

  /** Reads in the segment that holds `position`, not beyond it. */
  async read(target: Uint8Array, position: number): Promise<number> {
    const segment = this.at(position);
    if (segment === null || position < segment.start) return 0;
    const room = Math.min(target.length, this.endOf(segment) - position);
    if (room <= 0) return 0;
    const file = await this.#fileFor(this.#fileAt(segment.fileStart));
    const offset = segment.stretch?.offset ?? 0;
    return file.read(target.subarray(0, room), position - segment.start + offset);
  }

  /** Position of the log's end. */
  async sizeBytes(): Promise<number> {
    if (this.last === null) await this.refresh();
    const { last } = this;
    if (last === null) return 0;
    return last.start + (await (await this.#file(this.#fileAt(last.fileStart))).sizeBytes());
  }

  /** The last segment, to append to. */
  async writable(): Promise<GuardedFile> {
    const { last } = this;
    if (last === null || this.#isReadOnly) throw logReadOnly(this.path);
    return this.#file(this.#fileAt(last.fileStart));
  }

  /**
   * Whether the file that is appended to is still the one of its name, as far as it is open. One that was
   * ended and replaced meanwhile is not the one that is appended to.
   */
  async isNamed(): Promise<boolean> {
    if (await this.#isLastNamed()) return true;
    await this.refresh();
    return this.#isLastNamed();
  }

  async #isLastNamed(): Promise<boolean> {
    const { last } = this;
    if (last === null) return true;
    return (await this.#file(this.#fileAt(last.fileStart))).isNamed();
  }

  /** Makes the segment that begins at `start`, unless somebody has, and durable either way. */
  async create(start: number): Promise<void> {
    await createSegment({ folder: this.folder, files: this.#port, start });
    await this.refresh();
  }

  /** Makes sure that the names of the segments are durable. */
  syncNames(): Promise<void> {
    return this.#port.syncFolder(this.folder);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const files = [...this.#open.values()];
    this.#open.clear();
    for (const file of files) await file.close();
  }
}
