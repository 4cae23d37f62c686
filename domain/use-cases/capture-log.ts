// A capture's way into the log: batches are appended as they become ready, in group commits, and take
// effect when the commit is appended after them. Nothing is visible before that.

import * as either from 'fp-ts/lib/Either.js';
import {
  BATCH_TYPES,
  encodeControl,
  schemaOf,
  type BatchType,
  type ControlEvent,
} from '../events.ts';
import { toHex } from '../identifier.ts';
import type { LedgerError } from '../ledger-error.ts';
import { assert } from '../assert.ts';
import { APPEND_BYTES_MAX } from '../page.ts';
import type { Appended, Clock, EventLog, NewEvent } from '../ports.ts';

export interface CaptureLogPorts {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** An event ready to append. */
export const newEvent = (
  ports: Pick<CaptureLogPorts, 'clock' | 'randomBytes'>,
  event: { readonly type: string; readonly data: Uint8Array },
): NewEvent => ({
  id: ports.randomBytes(16),
  type: event.type,
  schema: schemaOf(event.type),
  timeMs: ports.clock(),
  data: event.data,
});

/** Encodes control events for one append; the first that does not fit is the failure. */
export function encodeControls(
  ports: Pick<CaptureLogPorts, 'clock' | 'randomBytes'>,
  events: readonly ControlEvent[],
): either.Either<LedgerError, NewEvent[]> {
  const encoded: NewEvent[] = [];
  for (const event of events) {
    const data = encodeControl(event);
    if (either.isLeft(data)) return data;
    encoded.push(newEvent(ports, { type: event.type, data: data.right }));
  }
  return either.right(encoded);
}

/** The digest that a commit bears of its batches: SHA-256 over the SHA-256 of each one's data. */
export function batchesHash(
  sha256: (bytes: Uint8Array) => Uint8Array,
  digests: readonly Uint8Array[],
): string {
  const all = new Uint8Array(digests.length * 32);
  for (const [i, digest] of digests.entries()) all.set(digest, i * 32);
  return toHex(sha256(all));
}

export class CaptureLog {
  readonly #ports: CaptureLogPorts;
  readonly #stream: string;
  readonly #digests: Uint8Array[] = [];
  readonly firstRevision: number;
  #revision: number;
  #group: NewEvent[] = [];
  #groupBytes = 0;
  #chain: Promise<void> = Promise.resolve();

  /** `revision` is the stream's last, exactly. */
  constructor(ports: CaptureLogPorts, at: { readonly stream: string; readonly revision: number }) {
    this.#ports = ports;
    this.#stream = at.stream;
    this.#revision = at.revision;
    this.firstRevision = at.revision + 1;
  }

  get count(): number {
    return this.#digests.length;
  }

  get hash(): string {
    return batchesHash(this.#ports.sha256, this.#digests);
  }

  /** Takes a batch; it is appended when enough wait. A failure is met by `settle`. */
  add(type: BatchType, data: Uint8Array): void {
    assert(BATCH_TYPES.includes(type), 'only batches go before a commit');
    this.#digests.push(this.#ports.sha256(data));
    if (this.#groupBytes + data.length > APPEND_BYTES_MAX) this.#flush();
    this.#group.push(newEvent(this.#ports, { type, data }));
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
    await this.append(events);
  }

  /** Every batch is durable when this resolves. */
  async settle(): Promise<void> {
    this.#flush();
    await this.#chain;
  }

  /** Appends after everything that was appended before. */
  async append(events: readonly NewEvent[]): Promise<Appended> {
    const request = { stream: this.#stream, expectedRevision: this.#revision, events };
    const done = await this.#ports.log.append(request)();
    if (done._tag === 'Left') throw done.left;
    this.#revision = done.right.revision;
    return done.right;
  }
}
