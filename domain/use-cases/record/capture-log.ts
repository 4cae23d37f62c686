// A capture's way into the log: batches are appended as they become ready, in group commits, and take
// effect with the commit, which goes with the last of them: a small capture is one append. Nothing is
// visible before that.

import { assert } from '../../values/assert.ts';
import { BATCH_TYPES, type BatchType } from '../../events/control.ts';
import { newEvent, type EnvelopePorts } from '../../events/envelope.ts';
import { batchesHash } from '../../evidence.ts';
import type { Appended, EventLog, NewEvent } from '../../ports/event-log.ts';
import type { StreamEnd } from '../stream-end.ts';
import { APPEND_BYTES_MAX } from '../../values/page.ts';

export interface CaptureLogPorts extends EnvelopePorts {
  readonly log: EventLog;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

export class CaptureLog {
  readonly #ports: CaptureLogPorts;
  readonly #end: StreamEnd;
  readonly #digests: Uint8Array[] = [];
  readonly firstRevision: number;
  #group: NewEvent[] = [];
  #groupBytes = 0;
  #chain: Promise<void> = Promise.resolve();

  constructor(ports: CaptureLogPorts, end: StreamEnd) {
    this.#ports = ports;
    this.#end = end;
    this.firstRevision = end.nextRevision;
  }

  get count(): number {
    return this.#digests.length;
  }

  get hash(): string {
    return batchesHash(this.#ports.sha256, this.#digests);
  }

  /** Takes a batch; it is appended when enough wait, or with the commit. A failure is met by `settle`. */
  add(batch: {
    readonly type: BatchType;
    readonly schema?: number;
    readonly data: Uint8Array;
  }): void {
    const { type, data } = batch;
    assert(BATCH_TYPES.includes(type), 'only batches go before a commit');
    this.#digests.push(this.#ports.sha256(data));
    if (this.#groupBytes + data.length > APPEND_BYTES_MAX) this.#flush();
    this.#group.push(newEvent(this.#ports, batch));
    this.#groupBytes += data.length;
  }

  #flush(): void {
    const events = this.#group;
    if (events.length === 0) return;
    this.#group = [];
    this.#groupBytes = 0;
    this.#chain = this.#after(this.#chain, events);
    this.#chain.catch(() => undefined);
  }

  async #after(before: Promise<void>, events: readonly NewEvent[]): Promise<void> {
    await before;
    await this.#end.append(events);
  }

  /** What was appended so far is durable when this resolves. */
  async settle(): Promise<void> {
    await this.#chain;
  }

  /**
   * Appends what commits the capture: with its last batches, or, where that is worth more than they are,
   * apart from them, so that damage to one of them does not take it too. What is appended with it bears
   * its time, which the log keeps once.
   */
  async commit(
    events: readonly NewEvent[],
    { isApart }: { readonly isApart: boolean },
  ): Promise<Appended> {
    const bytes = events.reduce((sum, { data }) => sum + data.length, 0);
    if (isApart || this.#groupBytes + bytes > APPEND_BYTES_MAX) this.#flush();
    const last = this.#group;
    this.#group = [];
    await this.#chain;
    const { timeMs } = events.at(-1)!;
    return this.#end.append([...last, ...events].map((event) => ({ ...event, timeMs })));
  }
}
