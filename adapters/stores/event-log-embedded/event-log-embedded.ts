// The embedded event log: files of our own in the ledger's folder `log` (docs/format.md, "Event
// log"; decision 0001). Any number of processes append and read at once, without a lock.

import { join } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort, run } from '../../../domain/ports/run.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import type { EventLog, Position } from '../../../domain/ports/event-log.ts';
import type { FilePort } from '../../files/file-port.ts';
import { checkLog } from './check.ts';
import { follow } from './follow.ts';
import { logClosed } from '../../files/guarded-file.ts';
import { HEADS_FOLDER } from './layout.ts';
import { LogReader } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';
import { Segments, createFirstSegment } from './segments.ts';
import { Witnesses } from './witness.ts';

/** An event log in files, and what only such a one has. */
export interface EmbeddedEventLog extends EventLog {
  /** Reads everything and names each damage: records that are missing, witnesses, with file and offset. */
  check(): AsyncIterable<Finding>;
  /** 1 where the log goes on in a file of format 1, else 2. */
  format(): TaskEither<LedgerError, 1 | 2>;
  /** Ends the segment that is appended to, whatever its format, and begins the next, of format 2. */
  seal(): TaskEither<LedgerError, void>;
  readonly heads: {
    /** The heads of all streams at a position, to begin there another time. O(log) once. */
    at(position: Position): TaskEither<LedgerError, Uint8Array>;
    /** Takes what `at` gave, perhaps long ago; false: it does not fit the log, nothing is lost. */
    offer(bytes: Uint8Array): TaskEither<LedgerError, boolean>;
  };
}

export interface OpenEventLog {
  /** The log's own folder: `log` in the ledger's. It exists. */
  readonly folder: string;
  readonly files: FilePort;
  readonly readOnly?: boolean;
  /** A segment that has so many bytes is ended by who appends next. */
  readonly segmentBytesMax?: number;
}

/** Small enough that a part of a log can be replaced by a smaller one, large enough to be few. */
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;

/** Makes the files of an empty log in `folder`, which exists; what is there already is left. */
const createEventLog = (folder: string, files: FilePort): TaskEither<LedgerError, void> =>
  atPort(async () => {
    await files.makeFolder(join(folder, HEADS_FOLDER));
    // Several processes may do so at once: a file that another has made is as good.
    await createFirstSegment(folder, files);
  });

class EmbeddedLog implements EmbeddedEventLog {
  readonly #segments: Segments;
  readonly #files: FilePort;
  readonly #witnesses: Witnesses;
  readonly #reader: LogReader;
  readonly #writer: LogWriter;
  readonly #closing = new AbortController();

  constructor(segments: Segments, { folder, files, ...options }: OpenEventLog) {
    this.#segments = segments;
    this.#files = files;
    this.#witnesses = new Witnesses(join(folder, HEADS_FOLDER), files);
    this.#reader = new LogReader({ segments, witnesses: this.#witnesses });
    this.#writer = new LogWriter({
      segments,
      isReadOnly: options.readOnly ?? false,
      segmentBytesMax: options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
      reader: this.#reader,
      witnesses: this.#witnesses,
    });
  }

  append: EventLog['append'] = (request) => atPort(() => this.#writer.append(request));

  read: EventLog['read'] = ({ from, until, reached, after = null }) =>
    this.#reader.read({
      after,
      from: Number(from),
      until: until === undefined ? null : Number(until),
      reached: reached === undefined ? null : Number(reached),
    });

  readStream: EventLog['readStream'] = (range) => this.#reader.readStream(range);

  async *subscribe(request: Parameters<EventLog['subscribe']>[0]): ReturnType<typeof follow> {
    const signal = AbortSignal.any([request.signal, this.#closing.signal]);
    yield* follow({
      reader: this.#reader,
      files: this.#files,
      from: Number(request.from),
      after: request.after ?? null,
      signal,
    });
    if (this.#closing.signal.aborted && !request.signal.aborted)
      throw logClosed(this.#segments.path);
  }

  head: EventLog['head'] = (after = null) =>
    atPort(async () => {
      await this.#reader.check(after);
      return BigInt(await this.#writer.head());
    });

  streamRevision: EventLog['streamRevision'] = (stream) =>
    atPort(() => this.#writer.streamRevision(stream));

  last: EventLog['last'] = (stream) =>
    atPort(async () => {
      const head = await this.#writer.last(stream);
      return head === null ? null : this.#reader.eventAt(head, stream);
    });

  cut: EventLog['cut'] = (cuts) => atPort(() => this.#writer.cut(cuts));

  format: EmbeddedEventLog['format'] = () => atPort(() => this.#writer.format());

  seal: EmbeddedEventLog['seal'] = () => atPort(() => this.#writer.seal());

  readonly heads: EmbeddedEventLog['heads'] = {
    at: (position) => atPort(() => this.#reader.headsAt(Number(position))),
    offer: (bytes) => atPort(() => this.#reader.offerHeads(bytes)),
  };

  check(): AsyncIterable<Finding> {
    return checkLog(this.#reader, { segments: this.#segments, witnesses: this.#witnesses });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writer.close();
    await this.#segments.close();
  }
}

/**
 * Opens the log in `folder`; reads nothing of it yet. Where it has no file, one that is opened for
 * writing makes it, and one opened for reading is empty until someone does.
 */
export const openEventLog = (request: OpenEventLog): TaskEither<LedgerError, EmbeddedEventLog> =>
  atPort(async () => {
    const { folder, files, readOnly = false } = request;
    const segments = new Segments(folder, { files, readOnly });
    await segments.refresh();
    if (segments.last === null && !readOnly) {
      await run(createEventLog(folder, files));
      await segments.refresh();
    }
    if (!readOnly) await segments.writable();
    return new EmbeddedLog(segments, request);
  });
