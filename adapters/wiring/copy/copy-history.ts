// Copying a ledger whose history begins behind the log's first event. Streams of the copy go on with the
// revisions that the source's have, so a new copy has a blank event in the place of each that is gone, and
// lets go of these at once; positions are the copy's own, so it gets a baseline of its own.
//
// A copy that has more of the history than the source is cut as the source is.

import { randomBytes } from 'node:crypto';
import { BLANK_TYPE } from '../../../domain/events/control.ts';
import { newEvent } from '../../../domain/events/envelope.ts';
import { HISTORY_STREAM } from '../../../domain/events/streams.ts';
import type { HistoryCut } from '../../../domain/history.ts';
import {
  eventAt,
  NO_STREAM,
  type Position,
  type StoredEvent,
} from '../../../domain/ports/event-log.ts';
import { run } from '../../../domain/ports/run.ts';
import { StreamEnd } from '../../../domain/use-cases/stream-end.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { lastWhere } from '../../../domain/values/sorted-search.ts';
import { readBaseline, type Baseline } from '../../../projections/models/baseline.ts';
import { movedBaseline } from '../../../projections/models/baseline-moves.ts';
import { goneLeaves } from '../../../projections/questions/log-leaves.ts';
import { sha256 } from '../ledger/digest.ts';
import { appendBaseline, forgetUpTo } from '../forget/history.ts';
import type { Ledger } from '../ledger/ledger.ts';

const BLANKS_AT_ONCE = 256;

type Diverged = (why: string, facts: Record<string, string | number>) => LedgerError;

/** What of the source's history is gone, and how the copy follows. */
export class HistoryCopier {
  readonly #from: Ledger;
  readonly #to: Ledger;
  #baseline: Baseline | null = null;
  /** Whether the copy lacks what is gone, so that nobody could fold it without a baseline. */
  #isBlank = false;
  /** Events up to where folding begins: source positions, ascending, and what they are. */
  readonly #met: { readonly position: Position; readonly key: string }[] = [];

  constructor(ports: { readonly from: Ledger; readonly to: Ledger }) {
    this.#from = ports.from;
    this.#to = ports.to;
  }

  /** Whether an event is to be copied: not one that the source lets go of, or of its own baseline. */
  takes({ stream, revision, position }: StoredEvent): boolean {
    if (stream === HISTORY_STREAM) return false;
    const baseline = this.#baseline;
    if (baseline === null) return true;
    if (revision < (baseline.streams.get(stream) ?? 0)) return false;
    if (position <= baseline.from.next) this.#met.push({ position, key: `${stream} ${revision}` });
    return true;
  }

  /** Makes the copy's streams go on where the source's begin. */
  async begin(diverged: Diverged): Promise<void> {
    this.#baseline = await readBaseline(this.#from.log);
    for (const [stream, firstKept] of this.#baseline?.streams ?? [])
      if (stream !== HISTORY_STREAM && firstKept > 0)
        await this.#blank(stream, firstKept, diverged);
  }

  async #blank(stream: string, firstKept: number, diverged: Diverged): Promise<void> {
    const { log, clock } = this.#to;
    const last = await run(log.last(stream));
    const held = last?.revision ?? (await run(log.streamRevision(stream)));
    const isBlank = held === NO_STREAM || last?.type === BLANK_TYPE;
    this.#isBlank ||= isBlank || (await this.#begins(stream));
    if (held >= firstKept - 1) return;
    if (!isBlank)
      throw diverged(
        `of its stream ${stream} it lacks events after ${held} that were forgotten at the source`,
        { stream },
      );
    const end = await StreamEnd.of(log, stream);
    const ports = { clock, randomBytes };
    while (end.nextRevision < firstKept) {
      const count = Math.min(BLANKS_AT_ONCE, firstKept - end.nextRevision);
      const blank = { type: BLANK_TYPE, data: new Uint8Array(0) };
      await end.append(Array.from({ length: count }, () => newEvent(ports, blank)));
    }
  }

  /** Whether a stream of the copy begins with blanks, as of a copy that was interrupted. */
  async #begins(stream: string): Promise<boolean> {
    if (this.#to.state.catalogue.history !== null) return false;
    const first = await eventAt(this.#to.log, { stream, fromRevision: 0, fromPosition: 0n });
    return first?.type === BLANK_TYPE;
  }

  /** Once all events are there: history begins in the copy where it does in the source. */
  async finish(): Promise<void> {
    const baseline = this.#baseline;
    if (baseline === null) return;
    if (this.#isBlank && (await readBaseline(this.#to.log)) === null) await this.#state(baseline);
    await this.#to.state.catchUp({ heavy: false });
    const cuts: HistoryCut[] = [];
    for (const { vm, gone } of this.#from.state.catalogue.vms.values()) {
      const of = this.#to.state.catalogue.vms.get(vm);
      if (gone !== null && of !== undefined && gone.capture > (of.gone?.capture ?? 0))
        cuts.push({ vm, capture: gone.capture });
    }
    await forgetUpTo(this.#to, cuts);
  }

  /** States in the copy, by its positions, what the source's baseline says. */
  async #state(baseline: Baseline): Promise<void> {
    const { log } = this.#to;
    const there = new Map<string, Position>();
    for await (const { items } of log.read({ from: 0n }))
      for (const item of items)
        if (item._tag === 'event')
          there.set(`${item.event.stream} ${item.event.revision}`, item.event.position);
    const positions = this.#met.map(({ position, key }) => ({
      position,
      to: there.get(key) ?? 0n,
    }));
    const moved = (position: Position): Position =>
      positions[lastWhere(positions.length, (i) => positions[i]!.position <= position)]?.to ?? 0n;
    const leavesTo = await run(log.head());
    const history = await run(log.streamRevision(HISTORY_STREAM));
    const streams = new Map([...baseline.streams, [HISTORY_STREAM, history + 1]]);
    const of = { before: null, streams, until: leavesTo };
    const leaves = await goneLeaves({ log, sha256 }, of);
    await appendBaseline(this.#to, {
      ...movedBaseline(baseline, moved, this.#to.state.catalogue.facts.ledger),
      streams,
      leaves,
      leavesTo,
    });
  }
}
