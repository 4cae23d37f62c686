// What the target of a copy has of the source's streams: a beginning of each, or it is refused.

import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { eventAt, type LogDamage, type StoredEvent } from '../../../domain/ports/event-log.ts';
import { run } from '../../../domain/ports/run.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** The failure of a copy into what holds anything else; `why` says what. */
export const diverged = (why: string, facts: Record<string, string | number>): LedgerError =>
  new LedgerError(
    'LEDGER_DIVERGED',
    `the target was expected to hold a beginning of the ledger that is copied, or nothing: ${why}; nothing in it was overwritten: copy into a new ledger`,
    facts,
  );

/** What the target has of the source's streams. */
export class TargetStreams {
  readonly #to: Ledger;
  /** Of streams met so far: the target's last revision before this copy. */
  readonly #held = new Map<string, number>();
  /** The revision that the target takes next. */
  readonly #next = new Map<string, number>();
  /** The source's last revision met. */
  readonly #met = new Map<string, number>();
  /** Streams of which the source has lost events: the target has what comes before. */
  readonly #broken = new Set<string>();
  /** What of the source's log cannot be read. */
  readonly damages: LogDamage[] = [];

  constructor(to: Ledger) {
    this.#to = to;
  }

  /** Events of the source that cannot be read. */
  miss(damage: LogDamage): void {
    this.damages.push(damage);
    if (damage.stream !== null) this.#broken.add(damage.stream);
  }

  /**
   * Whether the target has the event, lacks it and takes it, or cannot take it, as one before it is
   * lost. LEDGER_DIVERGED where it has another one in its place.
   */
  async place(event: StoredEvent): Promise<'held' | 'next' | 'beyond'> {
    const { stream, revision } = event;
    let held = this.#held.get(stream);
    if (held === undefined) {
      held = await run(this.#to.log.streamRevision(stream));
      this.#held.set(stream, held);
      this.#next.set(stream, held + 1);
    }
    this.#met.set(stream, revision);
    if (revision === held) await this.#compare(event);
    if (revision <= held) return 'held';
    if (revision > this.#next.get(stream)!) {
      this.#broken.add(stream);
      return 'beyond';
    }
    this.#next.set(stream, revision + 1);
    return 'next';
  }

  /** The last event that the target has of a stream is the source's. */
  async #compare(event: StoredEvent): Promise<void> {
    const { stream, revision: fromRevision } = event;
    // The target's own creation is in the place of the source's.
    if (stream === LEDGER_STREAM && fromRevision === 0) return;
    const found = await eventAt(this.#to.log, { stream, fromRevision, fromPosition: 0n });
    if (found !== null && toHex(found.id) === toHex(event.id)) return;
    throw diverged(`event ${fromRevision} of its stream ${stream} is another one`, { stream });
  }

  /** Refuses a target that goes on where the source ends. */
  checkEnds(): void {
    for (const [stream, held] of this.#held) {
      const met = this.#met.get(stream)!;
      if (held > met && !this.#broken.has(stream))
        throw diverged(`its stream ${stream} has ${held - met} events more`, { stream });
    }
  }
}
