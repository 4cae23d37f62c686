// The embedded event log: files of our own in the ledger's folder `log` (docs/format.md, "Event
// log"; decision 0001). Any number of processes append and read at once, without a lock.

import { join } from 'node:path';
import { pipe } from 'fp-ts/lib/function.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import type { EventLog, Position } from '../../../domain/ports/event-log.ts';
import type { FilePort } from '../../files/files.ts';
import { checkLog } from './check.ts';
import { follow } from './follow.ts';
import { GuardedFile, logClosed, openForReading } from '../../files/guarded-file.ts';
import { HEADS_FOLDER, LOG_FILE } from './layout.ts';
import { LogReader } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';
import { Witnesses } from './witness.ts';

/** An event log in files, and what only such a one has. */
export interface EmbeddedEventLog extends EventLog {
  /** Reads everything and names each damage: records that are missing, witnesses, with file and offset. */
  check(): AsyncIterable<Finding>;
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
}

/** Makes the files of an empty log in `folder`, which exists; what is there already is left. */
const createEventLog = (folder: string, files: FilePort): TaskEither<LedgerError, void> =>
  atPort(async () => {
    const path = join(folder, LOG_FILE);
    await files.makeFolder(join(folder, HEADS_FOLDER));
    // Several processes may do so at once: a file that another has made is as good.
    const file = await files.open(path, 'create');
    await file.close();
    await files.syncFolder(folder);
  });

class EmbeddedLog implements EmbeddedEventLog {
  readonly #file: GuardedFile;
  readonly #files: FilePort;
  readonly #witnesses: Witnesses;
  readonly #reader: LogReader;
  readonly #writer: LogWriter;
  readonly #closing = new AbortController();

  constructor(file: GuardedFile, { folder, files, readOnly = false }: OpenEventLog) {
    this.#file = file;
    this.#files = files;
    this.#witnesses = new Witnesses(join(folder, HEADS_FOLDER), files);
    this.#reader = new LogReader({ file, witnesses: this.#witnesses });
    this.#writer = new LogWriter({
      file: readOnly ? null : file,
      reader: this.#reader,
      witnesses: this.#witnesses,
    });
  }

  append: EventLog['append'] = (request) => atPort(() => this.#writer.append(request));

  read: EventLog['read'] = ({ from, until }) =>
    this.#reader.read({
      from: Number(from),
      until: until === undefined ? null : Number(until),
    });

  readStream: EventLog['readStream'] = (range) => this.#reader.readStream(range);

  async *subscribe(request: Parameters<EventLog['subscribe']>[0]): ReturnType<typeof follow> {
    const signal = AbortSignal.any([request.signal, this.#closing.signal]);
    yield* follow({
      reader: this.#reader,
      files: this.#files,
      from: Number(request.from),
      signal,
    });
    if (this.#closing.signal.aborted && !request.signal.aborted) throw logClosed(this.#file.path);
  }

  head: EventLog['head'] = () => atPort(async () => BigInt(await this.#writer.head()));

  streamRevision: EventLog['streamRevision'] = (stream) =>
    atPort(() => this.#writer.streamRevision(stream));

  readonly heads: EmbeddedEventLog['heads'] = {
    at: (position) => atPort(() => this.#reader.headsAt(Number(position))),
    offer: (bytes) => atPort(() => this.#reader.offerHeads(bytes)),
  };

  check(): AsyncIterable<Finding> {
    return checkLog({ file: this.#file, witnesses: this.#witnesses });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writer.close();
    await this.#file.close();
  }
}

/**
 * Opens the log in `folder`; reads nothing of it yet. Where its file is absent, one that is opened
 * for writing makes it, and one opened for reading is empty until someone does.
 */
export const openEventLog = (request: OpenEventLog): TaskEither<LedgerError, EmbeddedEventLog> =>
  pipe(
    request.readOnly === true ? taskEither.of(undefined) : createIfAbsent(request),
    taskEither.flatMap(() =>
      atPort(async () => {
        const path = join(request.folder, LOG_FILE);
        const file =
          request.readOnly === true
            ? await openForReading(request.files, path)
            : await request.files.open(path, 'append');
        return new EmbeddedLog(new GuardedFile(file), request);
      }),
    ),
  );

const createIfAbsent = ({ folder, files }: OpenEventLog): TaskEither<LedgerError, void> =>
  pipe(
    atPort(() => files.facts(join(folder, LOG_FILE))),
    taskEither.flatMap((found) =>
      found === null ? createEventLog(folder, files) : taskEither.of(undefined),
    ),
  );
