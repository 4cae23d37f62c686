// Letting history go, joined: what VMs have before their oldest
// kept captures leaves the log. A baseline says first what is left to know (projections/models/
// baseline.ts); from its commit on history begins there for everybody. Then the log lets go of the
// events, as its store can. What was interrupted between the two is done by the next who asks.

import { randomBytes } from 'node:crypto';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { MemoryFiles } from '../../files/memory-files.ts';
import { openStateFiles } from '../../stores/derived/state-files.ts';
import { lockCompactor } from '../../stores/locks/compactor-lock.ts';
import { BASELINE_TYPE, formatOfType } from '../../../domain/events/control.ts';
import { encodeControls, newEvent } from '../../../domain/events/envelope.ts';
import {
  HISTORY_STREAM,
  hostStream,
  migrationsStream,
  pointsStream,
  largeStream,
  restoresStream,
  STORE_STREAM,
  vmStream,
} from '../../../domain/events/streams.ts';
import {
  decideHistory,
  formatToTell,
  heldHistory,
  type HeldHistory,
  type HistoryCut,
  type VmHistory,
} from '../../../domain/history.ts';
import {
  eventAt,
  type EventLog,
  type NewEvent,
  type Position,
} from '../../../domain/ports/event-log.ts';
import type { PointsState } from '../../../domain/points.ts';
import { run, valueOf } from '../../../domain/ports/run.ts';
import { StreamEnd } from '../../../domain/use-cases/stream-end.ts';
import { assert } from '../../../domain/values/assert.ts';
import { rangesOf, unionOf } from '../../../domain/values/capture-ranges.ts';
import type { Holding } from '../../../domain/values/holding.ts';
import { areReleasesLying } from '../../../domain/ledger.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import type { AssemblerState, Change } from '../../../projections/commits.ts';
import {
  baselineBytes,
  lastForgotten,
  partsOf,
  readBaseline,
  type Baseline,
  type BaselineState,
} from '../../../projections/models/baseline.ts';
import { baselineState, RECENT_MS } from '../../../projections/models/baseline-state.ts';
import type { Catalogue } from '../../../projections/models/catalogue.ts';
import { LateReferences } from '../../../projections/models/late-references.ts';
import { releaseLater, type LateReleases } from '../../../projections/models/late-releases.ts';
import { holdingsReleased } from '../../../projections/models/releases.ts';
import { goneLeaves } from '../../../projections/questions/log-leaves.ts';
import { sha256 } from '../ledger/digest.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import { MemoryIdentifierColumn } from '../../../projections/models/identifier-index.ts';
import { LedgerState } from '../../../projections/models/ledger-state.ts';
import { replayCommits } from '../../../projections/observable.ts';
import { vmsOf, type ForgetRequest } from './forget.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { endDeadLeases, livingPoints } from '../points/leases.ts';

/** Parts in one append. */
const PARTS_AT_ONCE = 3;

/** Whose history is to go, before their oldest kept captures. */
export interface ForgetHistoryRequest {
  /** Names of VMs, or patterns of them; absent: all. */
  readonly vm?: ForgetRequest['vm'];
  readonly isDryRun: boolean;
  /** Captures that count as forgotten though they are not: those of a dry run. */
  readonly asIfForgotten?: readonly { readonly vm: string; readonly capture: number }[];
}

/** What of the history went, or would. */
export interface HistoryForgotten {
  readonly cuts: readonly HistoryCut[];
  /** VMs whose oldest kept capture holds back what is forgotten after it. */
  readonly held: readonly HeldHistory[];
  /** Where history begins now; null: with the log. */
  readonly begins: Position | null;
  /** Bytes that the log takes less than before; of a server's log what it gives back when it tidies up. */
  readonly logBytes: number;
}

function historyOf(
  { vm, gone, state }: VmEntry,
  points: PointsState,
  asIfForgotten: ForgetHistoryRequest['asIfForgotten'] = [],
): VmHistory {
  const more = asIfForgotten.flatMap((of) => (of.vm === vm ? [of.capture] : []));
  const givenUp = unionOf(points.givenUp, rangesOf(more));
  return {
    vm,
    goneTo: gone?.capture ?? 0,
    newest: state.captures,
    points: { ...points, givenUp },
  };
}

/** A log that ends at a place. */
const logUntil = (log: EventLog, end: Position): EventLog => ({
  append: (request) => log.append(request),
  read: ({ until = end, ...range }) => log.read({ ...range, until: until < end ? until : end }),
  readStream: (range) => log.readStream(range),
  subscribe: (request) => log.subscribe(request),
  head: () => taskEither.of(end),
  streamRevision: (stream) => log.streamRevision(stream),
  last: (stream) => log.last(stream),
  cut: (streams) => log.cut(streams),
  close: () => Promise.resolve(),
});

/** What was released while a fold came past it. */
class Releases {
  readonly #met: { readonly timeMs: number; readonly holdings: readonly Holding[] }[] = [];

  take(state: LedgerState, change: Change): void {
    if (change._tag !== 'control' || change.event.type !== 'ContentReleased') return;
    const holdings = [...holdingsReleased(state.contents, change.event.data)];
    this.#met.push({ timeMs: change.timeMs, holdings });
  }

  since(timeMs: number): ReadonlySet<Holding> {
    return new Set(
      this.#met.filter((of) => of.timeMs >= timeMs).flatMap(({ holdings }) => holdings),
    );
  }
}

/** The fold as it was at a place, made anew in memory. */
async function stateUntil({ log }: Ledger, end: Position) {
  const bounded = logUntil(log, end);
  const column = new MemoryIdentifierColumn();
  const releases = new Releases();
  const state: LedgerState = new LedgerState({
    log: bounded,
    files: openStateFiles({ files: new MemoryFiles(), folder: '/projections' }),
    identifiers: () => column,
    replay: (from, consume) =>
      replayCommits(bounded, from, async (change) => {
        await consume(change);
        releases.take(state, change);
      }),
  });
  await state.catchUp({ heavy: true });
  return { state, releases };
}

/** What is referred to behind a place, where a fold stands. O(log behind it). */
async function referencesBehind(
  { log }: Ledger,
  { contents }: LedgerState,
  from: AssemblerState,
): Promise<LateReferences> {
  const late = new LateReferences(contents);
  await replayCommits(log, from, (change) => Promise.resolve(late.take(change)));
  return late;
}

/** Names of the packs that are there; null: where they lie gives no answer. */
async function packsThere({ store }: Ledger): Promise<ReadonlySet<string> | null> {
  const names = new Set<string>();
  try {
    for await (const { name } of store.list()) names.add(name);
    return names;
  } catch (thrown) {
    if (isLedgerError(thrown) && thrown.code === 'STORE_UNREACHABLE') return null;
    throw thrown;
  }
}

/** Lets go in a fold of what is let go of behind the place where it stands, as far as nobody can want it. */
async function releaseBehind(
  ledger: Ledger,
  fold: LedgerState,
  of: Pick<LateReleases, 'referred' | 'timeMs'>,
): Promise<void> {
  const { state } = ledger;
  if (!areReleasesLying(state.catalogue.facts)) return;
  const there = await packsThere(ledger);
  if (there === null) return;
  await state.catchUp({ heavy: false });
  releaseLater(fold, { ...of, now: state.contents, isThere: (name) => there.has(name) });
}

/** What was recorded last, by the clocks of recorders, or is now, where these are ahead of it. */
function newestMs(ledger: Ledger): number {
  const rows = ledger.vms().flatMap(({ captures }) => captures.at(-1) ?? []);
  const newest = rows.reduce((max, row) => Math.max(max, row.recordedAtMs), 0);
  return Math.min(newest, ledger.clock());
}

/** The first event behind a place that stays: there is one, for something was forgotten since. */
async function nextAfter(
  { log }: Ledger,
  position: Position,
  streams: ReadonlyMap<string, number>,
): Promise<Position> {
  for await (const { items } of log.read({ from: position + 1n }))
    for (const item of items)
      if (item._tag === 'event' && item.event.revision >= (streams.get(item.event.stream) ?? 0))
        return item.event.position;
  throw new LedgerError(
    'LOG_DAMAGED',
    `the log ends at position ${position}, behind which captures were forgotten; verify the ledger`,
    { position },
  );
}

/** By stream: the first revision that stays. A stream's last event always does. */
async function firstKept(
  ledger: Ledger,
  cuts: readonly HistoryCut[],
  { position, baseline }: { readonly position: Position; readonly baseline: Baseline | null },
): Promise<Map<string, number>> {
  const { log } = ledger;
  const kept = new Map<string, number>();
  for (const { vm, capture } of cuts) {
    const row = ledger.vm(vm).capture(capture);
    assert(row !== undefined, 'what goes last was there');
    const last = await run(log.streamRevision(vmStream(vm)));
    kept.set(vmStream(vm), Math.min(row.revision + 1, last));
  }
  const { catalogue } = ledger.state;
  const told = toldFrom(catalogue);
  const needed = await firstFrom(log, position, told);
  const beside = ledger
    .vms()
    .flatMap(({ vm }) => [pointsStream(vm), restoresStream(vm), largeStream(vm)]);
  const moved = [...catalogue.migrations.keys()].map(migrationsStream);
  for (const stream of [STORE_STREAM, ...beside, ...moved, ...told.keys()]) {
    const last = await run(log.streamRevision(stream));
    const first = needed.get(stream) ?? last;
    if (first > 0) kept.set(stream, first);
  }
  const history = await run(log.streamRevision(HISTORY_STREAM));
  // What is appended next is the new baseline; those before it stand for nothing any more.
  kept.set(HISTORY_STREAM, history + 1);
  for (const [stream, revision] of baseline?.streams ?? [])
    if (!kept.has(stream)) kept.set(stream, revision);
  return kept;
}

/** By the stream of a host: where that begins which it told last that it holds; null: nowhere. */
function toldFrom({ hosts }: Catalogue): Map<string, Position | null> {
  const told = new Map<string, Position | null>();
  for (const { host, advertisedAt, arrivingFrom } of hosts.values())
    told.set(hostStream(host), advertisedAt?.first ?? arrivingFrom);
  return told;
}

/** By stream: the revision of its first event behind a place, or from where what is told there is read. */
async function firstFrom(
  log: EventLog,
  position: Position,
  told: ReadonlyMap<string, Position | null>,
): Promise<Map<string, number>> {
  const behind = position + 1n;
  const fromOf = (stream: string): Position => {
    const from = told.get(stream) ?? behind;
    return from < behind ? from : behind;
  };
  const from = [...told.keys()].map(fromOf).reduce((a, b) => (b < a ? b : a), behind);
  const first = new Map<string, number>();
  for await (const { items } of log.read({ from }))
    for (const item of items) {
      if (item._tag !== 'event') continue;
      const { stream, revision, position: at } = item.event;
      if (at >= fromOf(stream) && !first.has(stream)) first.set(stream, revision);
    }
  return first;
}

/** Appends the parts of a baseline, and then what makes them count. */
export async function appendBaseline(ledger: Ledger, made: BaselineState): Promise<void> {
  const { log, clock, by } = ledger;
  const ports = { clock, by, randomBytes };
  const before = await lastForgotten(log);
  const end = await StreamEnd.of(log, HISTORY_STREAM);
  const bytes = baselineBytes(made);
  const parts = [...partsOf(bytes, before)].map((data): NewEvent =>
    newEvent(ports, { type: BASELINE_TYPE, data }),
  );
  const firstRevision = end.nextRevision;
  let from: Position | null = null;
  for (let at = 0; at < parts.length; at += PARTS_AT_ONCE) {
    await end.append(parts.slice(at, at + PARTS_AT_ONCE));
    from ??= await positionOf(log, firstRevision);
  }
  const data = {
    begins: String(made.position),
    parts: parts.length,
    firstRevision,
    from: String(from ?? 0n),
    bytes: bytes.length,
    format: formatToTell(ledger.state.catalogue.facts),
  };
  await end.append(valueOf(encodeControls(ports, [{ type: 'HistoryForgotten', data }])));
}

async function positionOf(log: EventLog, revision: number): Promise<Position> {
  const last = await run(log.last(HISTORY_STREAM));
  const fromPosition = last?.position ?? 0n;
  const range = { stream: HISTORY_STREAM, fromRevision: revision, fromPosition };
  const event = await eventAt(log, range);
  if (event !== null) return event.position;
  throw new LedgerError(
    'LOG_DAMAGED',
    'what was just appended is not there; verify the ledger',
    {},
  );
}

/** Has the log let go of what its baseline stands for: also of what was interrupted before. */
async function cutLog({ log }: Ledger): Promise<void> {
  const baseline = await readBaseline(log);
  if (baseline !== null) await run(log.cut(baseline.streams));
}

async function forget(ledger: Ledger, cuts: readonly HistoryCut[]): Promise<void> {
  const rows = cuts.map(({ vm, capture }) => ledger.vm(vm).capture(capture)!);
  const before = ledger.state.catalogue.history?.position ?? -1n;
  const position = rows.reduce((max, row) => (row.position > max ? row.position : max), before);
  const timeMs = rows.reduce((max, row) => Math.max(max, row.recordedAtMs), 0);
  const { log } = ledger;
  const baseline = await readBaseline(log);
  const streams = await firstKept(ledger, cuts, { position, baseline });
  const next = await nextAfter(ledger, position, streams);
  const { state, releases } = await stateUntil(ledger, next);
  const recentMs = newestMs(ledger) - RECENT_MS;
  const from = { ...state.reached, next, last: null };
  const leavesTo = await run(log.head());
  const tree = { before: baseline, streams, until: leavesTo };
  const late = await referencesBehind(ledger, state, from);
  await releaseBehind(ledger, state, { referred: late.referred, timeMs: recentMs });
  const made = await baselineState({
    state,
    position,
    timeMs,
    recentMs,
    from,
    streams,
    cuts,
    released: new Set([...releases.since(recentMs), ...late.holdings]),
    leaves: await goneLeaves({ log, sha256 }, tree),
    leavesTo,
  });
  await appendBaseline(ledger, made);
}

/** Lets go of what is up to these captures, which are forgotten, and of what was interrupted before. LOG_TOO_OLD. */
export async function forgetUpTo(ledger: Ledger, cuts: readonly HistoryCut[]): Promise<void> {
  const { state, locks } = ledger;
  const lock = ledger.told(await run(lockCompactor(locks)));
  try {
    await ledger.marks.check();
    await ledger.raiseFormat(formatOfType('HistoryForgotten'));
    if (cuts.length > 0) await forget(ledger, cuts);
    await state.catchUp({ heavy: false });
    await cutLog(ledger);
  } finally {
    await lock.release();
  }
}

/** Lets go of the history of VMs before their oldest kept captures. */
export async function forgetHistory(
  ledger: Ledger,
  { vm, isDryRun, asIfForgotten }: ForgetHistoryRequest,
): Promise<HistoryForgotten> {
  const { state } = ledger;
  if (isDryRun) await state.catchUp({ heavy: false });
  else await endDeadLeases(ledger);
  const histories = vmsOf(ledger, vm).map((entry) =>
    historyOf(entry, isDryRun ? livingPoints(entry) : entry.points, asIfForgotten),
  );
  const held = histories.flatMap((of) => heldHistory(of) ?? []);
  const cuts = decideHistory(histories);
  const begins = (): Position | null => state.catalogue.history?.position ?? null;
  if (isDryRun || (cuts.length === 0 && begins() === null))
    return { cuts, held, begins: begins(), logBytes: 0 };
  const before = await ledger.logBytes();
  await forgetUpTo(ledger, cuts);
  const after = await ledger.logBytes();
  return { cuts, held, begins: begins(), logBytes: Math.max(0, before - after) };
}
