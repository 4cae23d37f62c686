// The end of one stream, as one writer knows it: each append expects what the one before it left, so
// that of two writers the log refuses the second (REVISION_CONFLICT).

import type { Appended, EventLog, NewEvent } from '../ports/event-log.ts';
import { run } from '../ports/run.ts';
import { isLedgerError, type LedgerError } from '../values/ledger-error.ts';

/** Whether the log refused an append because another one came first. */
export const isConflict = (thrown: unknown): thrown is LedgerError =>
  isLedgerError(thrown) && thrown.code === 'REVISION_CONFLICT';

export class StreamEnd {
  readonly #log: EventLog;
  readonly #stream: string;
  #revision: number;

  private constructor(log: EventLog, at: { readonly stream: string; readonly revision: number }) {
    this.#log = log;
    this.#stream = at.stream;
    this.#revision = at.revision;
  }

  /**
   * The end of a stream now. It is found before what is decided on is read: an event that comes in
   * between makes the append fail, and none is passed over.
   */
  static async of(log: EventLog, stream: string): Promise<StreamEnd> {
    return new StreamEnd(log, { stream, revision: await run(log.streamRevision(stream)) });
  }

  /** Of the next event. */
  get nextRevision(): number {
    return this.#revision + 1;
  }

  async append(events: readonly NewEvent[]): Promise<Appended> {
    const request = { stream: this.#stream, expectedRevision: this.#revision, events };
    const appended = await run(this.#log.append(request));
    this.#revision = appended.revision;
    return appended;
  }
}
