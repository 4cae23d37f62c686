// Copying a ledger into another, of any kind. No event refers to a position
// of the log, so a copy holds the same events, each with its id, in the same streams and order; only
// the first one differs, which says the copy's own id and where its packs lie. Packs go before the
// events that name them.
//
// Invariants: at every moment the target holds a beginning of the source, so a copy that was
// interrupted goes on where it stopped, and one made later brings over what came since; a target that
// holds anything else is refused before anything is appended to the stream in question.

import * as either from 'fp-ts/lib/Either.js';
import { announceWriter } from '../../stores/locks/writers-presence.ts';
import { hasCopies, readLayoutMap, type CopiedLayout } from '../points/point-reader.ts';
import { HistoryCopier } from './copy-history.ts';
import { fingerprint } from '../ledger/fingerprint.ts';
import { isLedgerError, LEDGER_ERRORS, LedgerError } from '../../../domain/values/ledger-error.ts';
import { isOfPack, type PageStore } from '../../../domain/ports/page-store.ts';
import { decodePackWritten } from '../../../domain/events/pack-written.ts';
import { APPEND_BYTES_MAX } from '../../../domain/values/page.ts';
import {
  eventAt,
  type LogDamage,
  type LogItem,
  type StoredEvent,
} from '../../../domain/ports/event-log.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { decodePackRewritten } from '../../../domain/events/pack-rewritten.ts';
import { LEDGER_STREAM, vmOfStream } from '../../../domain/events/streams.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { run } from '../../../domain/ports/run.ts';
import { assert } from '../../../domain/values/assert.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import {
  affected,
  pointRanges,
  type OpenFinding,
} from '../../../projections/questions/affected-points.ts';
import { lyingIn } from '../../../projections/questions/pack-check.ts';
import { damagesOf, readablePart, wholePack } from './pack-parts.ts';

/** Packs under way at once. */
const PACKS_AT_ONCE = 4;
/** Most events of one append. */
const APPEND_EVENTS_MAX = 256;

/** What a copy brought over. */
export interface Copied {
  /** Events and packs that this copy appended and put. */
  readonly events: number;
  readonly packs: number;
  readonly bytes: number;
  /** What points need and could not be copied, with those points; the rest is whole. */
  readonly findings: readonly Finding[];
  /** Of both ledgers; null where something could not be copied. */
  readonly fingerprint: string | null;
}

/** How far a copy is. */
export interface CopyProgress {
  /** Bytes of packs that are in the target, and of all. */
  readonly done: number;
  readonly total: number;
}

/** What an event says of a pack. */
interface NamedPack {
  readonly name: string;
  readonly sizeBytes: number;
}

const diverged = (why: string, facts: Record<string, string | number>): LedgerError =>
  new LedgerError(
    'LEDGER_DIVERGED',
    `the target was expected to hold a beginning of the ledger that is copied, or nothing: ${why}; nothing in it was overwritten: copy into a new ledger`,
    facts,
  );

/** What the target has of the source's streams. */
class TargetStreams {
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

/** Packs of the source that the target lacks, copied and checked. */
class PackCopier {
  readonly #from: Ledger;
  readonly #to: Ledger;
  readonly #held = new Map<string, number>();
  readonly #onBytes: (bytes: number) => void;
  /** By name: why a pack that is needed could not be copied whole. */
  readonly missed = new Map<string, string>();
  packs = 0;
  bytes = 0;

  constructor(ports: {
    readonly from: Ledger;
    readonly to: Ledger;
    readonly onBytes: (bytes: number) => void;
  }) {
    this.#from = ports.from;
    this.#to = ports.to;
    this.#onBytes = ports.onBytes;
  }

  /** Where packs lie: what this host keeps of them is for those who read a part of them again. */
  get #store(): PageStore {
    const { store } = this.#from;
    return store.origin ?? store;
  }

  async look(): Promise<void> {
    for await (const { name, sizeBytes } of this.#to.store.list()) this.#held.set(name, sizeBytes);
  }

  /** Every pack that these events name, and that is needed, is in the target when this resolves, as far as it can be read. */
  async bring(events: readonly StoredEvent[]): Promise<void> {
    const wanted = events.filter(namesPack).map(packOf);
    const next = wanted.values();
    const work = async (): Promise<void> => {
      for (const pack of next) await this.#bringOne(pack);
    };
    await Promise.all(Array.from({ length: PACKS_AT_ONCE }, work));
  }

  /** The same of packs that points need, and that events named which are gone. */
  async bringNeeded(): Promise<void> {
    const { contents } = this.#from.state;
    for (const pack of contents.all)
      if (contents.isNeeded(pack) && !this.#held.has(pack.name)) await this.#bringOne(pack);
  }

  /**
   * What was copied for checkpoints, as far as it can be read: points are whole without it. It comes
   * last, as the events that name it say no more than that it may be there.
   */
  async bringLayouts(): Promise<void> {
    for (const { checkpoints } of this.#from.state.catalogue.vms.values())
      for (const { layout } of checkpoints) if (hasCopies(layout)) await this.#bringLayout(layout);
  }

  async #bringLayout(layout: CopiedLayout): Promise<void> {
    try {
      const { packs } = await readLayoutMap(this.#store, layout);
      for (const pack of packs) await this.#bringWhole(pack);
      await this.#bringWhole({ name: layout.map.name, sizeBytes: layout.map.bytes });
    } catch (thrown) {
      if (!isOfPack(thrown)) throw thrown;
    }
  }

  /** Whether the source's points need a pack; null: no capture that is committed names it. */
  #isNeeded(name: string): boolean | null {
    const { contents } = this.#from.state;
    const pack = contents.named(name);
    return pack === undefined ? null : contents.isNeeded(pack);
  }

  async #bringOne({ name, sizeBytes }: NamedPack): Promise<void> {
    if (this.#isNeeded(name) === false) return;
    this.#onBytes(sizeBytes);
    const damage = await this.#bringWhole({ name, sizeBytes });
    if (damage === null) return;
    // Compaction may have deleted it just now, and said so before.
    await this.#from.state.catchUp({ heavy: false });
    if (this.#isNeeded(name) !== true) return;
    this.missed.set(name, damage);
    const part = await readablePart(this.#store, this.#from.state.contents.named(name)!);
    if (part !== null) await run(this.#to.store.putPart({ name, bytes: part }));
  }

  /** A pack, where the target has it or it can be read whole: null; else why it cannot be. */
  async #bringWhole({ name, sizeBytes }: NamedPack): Promise<string | null> {
    if (this.#held.get(name) === sizeBytes) return null;
    const found = await wholePack(this.#store, { name, sizeBytes });
    if (found._tag !== 'whole') return found.reason;
    await run(this.#to.store.put(found.pack));
    this.#held.set(name, sizeBytes);
    this.packs += 1;
    this.bytes += sizeBytes;
    return null;
  }
}

const namesPack = ({ type }: StoredEvent): boolean =>
  type === 'PackWritten' || type === 'PackRewritten';

function packOf(event: StoredEvent): NamedPack {
  const pack: either.Either<LedgerError, NamedPack> =
    event.type === 'PackWritten' ? decodePackWritten(event) : decodePackRewritten(event);
  if (either.isRight(pack)) return pack.right;
  throw pack.left;
}

/** Events as appends: neighbours of one stream together, as far as an append goes. */
function* appendsOf(events: readonly StoredEvent[]): Generator<readonly StoredEvent[]> {
  let group: StoredEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const isFull =
      group.length === APPEND_EVENTS_MAX || bytes + event.data.length > APPEND_BYTES_MAX;
    if (group.length > 0 && (isFull || group[0]!.stream !== event.stream)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(event);
    bytes += event.data.length;
  }
  if (group.length > 0) yield group;
}

async function copyEvents(
  { from, to }: { readonly from: Ledger; readonly to: Ledger },
  packs: PackCopier,
  streams: TargetStreams,
): Promise<number> {
  const history = new HistoryCopier({ from, to });
  await history.begin(diverged);
  let copied = 0;
  // While it is read the source may be compacted: what then lies elsewhere comes with a later event.
  for (let next = 0n, until = -1n; until < from.state.next;) {
    until = from.state.next;
    for await (const chunk of from.log.read({ from: next, until })) {
      copied += await copyChunk({ to, streams, packs, history }, chunk.items);
      ({ next } = chunk);
    }
  }
  streams.checkEnds();
  await packs.bringNeeded();
  await packs.bringLayouts();
  await history.finish();
  return copied;
}

async function copyChunk(
  {
    to,
    streams,
    packs,
    history,
  }: {
    readonly to: Ledger;
    readonly streams: TargetStreams;
    readonly packs: PackCopier;
    readonly history: HistoryCopier;
  },
  items: readonly LogItem[],
): Promise<number> {
  let copied = 0;
  const missing: StoredEvent[] = [];
  for (const item of items) {
    if (item._tag === 'damage') {
      streams.miss(item.damage);
      continue;
    }
    const { event } = item;
    if (!history.takes(event)) continue;
    const place = await streams.place(event);
    if (place === 'next') missing.push(event);
    else if (place === 'held' && namesPack(event)) await packs.bring([event]);
  }
  await packs.bring(missing);
  for (const events of appendsOf(missing)) {
    const { stream, revision } = events[0]!;
    await run(to.log.append({ stream, expectedRevision: revision - 1, events }));
    copied += events.length;
  }
  return copied;
}

/** What of packs was not copied, and the points that cannot be restored from the copy for it. */
async function missedFindings(
  from: Ledger,
  missed: ReadonlyMap<string, string>,
): Promise<Finding[]> {
  if (missed.size === 0) return [];
  const { state, replay } = from;
  const { contents } = state;
  const open: OpenFinding[] = [];
  for (const [name, reason] of missed) {
    const pack = contents.named(name);
    assert(pack !== undefined, 'a pack that is needed is known');
    const found = await damagesOf(from, pack);
    // Of which nothing is whole, the pack is named; what can be read by now was not copied all the same.
    const isAll = found.length === 0 || found.length >= pack.blocks.codecs.length;
    const where = `pack ${name}`;
    const all = { finding: { kind: 'pack', where, reason }, lost: lyingIn(contents, pack) };
    open.push(...(isAll ? [all] : found.filter(({ finding }) => finding.isNote !== true)));
  }
  return affected({ state, replay }, open);
}

/** By VM: kept captures of the source that the target has not, as events are lost. */
function capturesMissed(from: Ledger, to: Ledger): Map<string, readonly number[]> {
  const missed = new Map<string, readonly number[]>();
  for (const entry of from.vms()) {
    const copied = to.state.catalogue.vms.get(entry.vm);
    const of = entry.captures
      .map(({ capture }) => capture)
      .filter((capture) => !entry.isForgotten(capture) && copied?.capture(capture) === undefined);
    if (of.length > 0) missed.set(entry.vm, of);
  }
  return missed;
}

/** What of the source's log could not be copied, and the points that the target lacks for it. */
async function lostEvents(
  { from, to }: { readonly from: Ledger; readonly to: Ledger },
  damages: readonly LogDamage[],
): Promise<Finding[]> {
  if (damages.length === 0) return [];
  const missed = capturesMissed(from, to);
  const findings = damages.map(({ position, stream, reason }) => {
    const vm = stream === null ? null : vmOfStream(stream);
    if (vm !== null) missed.delete(vm);
    const last = vm === null ? 0 : (to.state.catalogue.vms.get(vm)?.rows.last?.capture ?? 0);
    const where = `the log at position ${position}${stream === null ? '' : `, stream ${stream}`}`;
    const affects = vm === null ? [] : [`${vm}@${last + 1}..`];
    return { kind: 'log-damaged', where, reason, affects };
  });
  const reason = 'events before them, or of VMs whose pages they share, are lost';
  const rest = { kind: 'log-damaged', where: 'the log', reason };
  const [unknown] = await affected(to, [{ finding: rest, lost: null }]);
  const absent = [...missed].flatMap(([vm, of]) => pointRanges(vm, of));
  const affects = [...absent, ...(unknown?.affects ?? [])];
  return affects.length === 0 ? findings : [...findings, { ...rest, affects }];
}

/** What says that the fingerprints could not be compared. */
function uncompared(thrown: unknown): Finding {
  if (!isLedgerError(thrown) || LEDGER_ERRORS[thrown.code].kind !== 'damage') throw thrown;
  const reason = `the fingerprints of both ledgers could not be compared: ${thrown.message}`;
  return { kind: 'fingerprint', where: 'the packs', reason, affects: [] };
}

/** VMs that only the target has. */
function checkVms(from: Ledger, to: Ledger): void {
  const stranger = [...to.state.catalogue.vms.keys()].find(
    (vm) => !from.state.catalogue.vms.has(vm),
  );
  if (stranger !== undefined) throw diverged(`it has a VM ${stranger}`, { vm: stranger });
}

/**
 * Copies what a ledger holds now into another, which is new or an earlier copy of it, and compares
 * their fingerprints. Of damaged packs it has what can be read, and names what cannot; it leaves out what
 * comes in a stream after events that are lost. A copy made again, when the source has all that whole,
 * brings it. Keys are not copied: the copy restores at once, and records after `group
 * import`. LEDGER_DIVERGED where the target holds anything else, LOG_TOO_OLD.
 */
export async function copyLedger(
  { from, to }: { readonly from: Ledger; readonly to: Ledger },
  onProgress: (progress: CopyProgress) => void = () => undefined,
): Promise<Copied> {
  if (from.id !== null && from.id === to.id)
    throw refuse({ _tag: 'CopyOntoItself', ledger: from.id });
  checkVms(from, to);
  await to.marks.check();
  const { contents } = from.state;
  const needed = contents.all.filter((pack) => contents.isNeeded(pack));
  const total = needed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  const onBytes = (bytes: number): void => {
    done += bytes;
    onProgress({ done, total });
  };
  const packs = new PackCopier({ from, to, onBytes });
  await packs.look();
  // Packs come before the events that name them: nobody shall take them for what nobody names.
  const announced = to.told(await run(announceWriter(to.locks)));
  const streams = new TargetStreams(to);
  const copying = copyEvents({ from, to }, packs, streams);
  const events = await copying.finally(() => announced.release());
  await to.state.catchUp({ heavy: false });
  const copied = { events, packs: packs.packs, bytes: packs.bytes };
  const findings = [
    ...(await lostEvents({ from, to }, streams.damages)),
    ...(await missedFindings(from, packs.missed)),
  ];
  if (findings.length > 0) return { ...copied, findings, fingerprint: null };
  let expected: string;
  let found: string;
  try {
    [expected, found] = [await fingerprint(from), await fingerprint(to)];
  } catch (thrown) {
    return { ...copied, findings: [uncompared(thrown)], fingerprint: null };
  }
  if (found !== expected)
    throw diverged(`its fingerprint is ${found} and the source's is ${expected}`, {
      found,
      expected,
    });
  return { ...copied, findings: [], fingerprint: found };
}
