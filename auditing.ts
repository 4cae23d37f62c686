// Questions and small commands, joined: events, history, sharing, checkpoints, retirement, verify.

import { toHex } from './domain/identifier.ts';
import { FIRST_CONTENT, isContent, UNKNOWN, type Holding } from './domain/page-writes.ts';
import type { PackWritten } from './domain/pack-event.ts';
import * as either from 'fp-ts/lib/Either.js';
import { decideCheckpoint } from './domain/checkpoint.ts';
import { refuse } from './domain/refused.ts';
import { pointsStream, vmStream } from './domain/stream-names.ts';
import { decideVm } from './domain/vm.ts';
import { eventRows, pageRows, type EventRow } from './projections/audit/event-rows.ts';
import { ledgerFingerprint } from './projections/audit/fingerprint.ts';
import { pageHistory, type PageVersion } from './projections/audit/history.ts';
import { sharingAt, type Moment, type SharingCounts } from './projections/audit/sharing-at.ts';
import { verifyLedger, type VerifySummary } from './projections/audit/verify.ts';
import type { VmEntry } from './projections/catalogue.ts';
import { decodeBatches, type CaptureChange, type Change } from './projections/commits.ts';
import type { KnownPack } from './projections/contents.ts';
import { MemoryIdentifierColumn } from './projections/identifier-index.ts';
import { LedgerState } from './projections/ledger-state.ts';
import type { Finding, Position, StateFiles } from './domain/ports.ts';
import type { AssemblerState } from './projections/commits.ts';
import { sha256, type Ledger } from './ledger.ts';

/** Hex of a holding's identifier; null for a pattern or a page that is not known. */
export function identifierOf(ledger: Ledger, holding: Holding): string | null {
  if (!isContent(holding)) return null;
  const bytes = ledger.column.read(holding - FIRST_CONTENT);
  return bytes === null ? null : toHex(bytes);
}

/** Makes the identifiers anew from the log where their file is gone. */
async function ensureIdentifiers(ledger: Ledger): Promise<void> {
  const { count } = ledger.state.contents;
  if (count === 0) return;
  const { column } = ledger;
  if (column.read(0) === null || column.read(count - 1) === null) await ledger.state.rebuild();
}

export interface LogFilter {
  readonly vm: string | null;
  readonly type: string | null;
  readonly isExpanded: boolean;
  /** Both included; null: no bound. */
  readonly from: LogBound | null;
  readonly to: LogBound | null;
}

export type LogBound =
  | { readonly _tag: 'position'; readonly position: Position }
  | { readonly _tag: 'time'; readonly timeMs: number };

type Told = Exclude<Change, { _tag: 'damage' }>;

/** A capture's own time; of anything else the recorder's clock. */
const timeOf = (change: Told): number =>
  change._tag === 'capture' ? change.committed.timeMs : change.timeMs;
const isBefore = (change: Told, bound: LogBound): boolean =>
  bound._tag === 'position' ? change.position < bound.position : timeOf(change) < bound.timeMs;
const isAfter = (change: Told, bound: LogBound): boolean =>
  bound._tag === 'position' ? change.position > bound.position : timeOf(change) > bound.timeMs;

/** Turns changes into the rows that a filter lets through. */
export class EventLister {
  readonly #ledger: Ledger;
  readonly #filter: LogFilter;

  constructor(ledger: Ledger, filter: LogFilter) {
    this.#ledger = ledger;
    this.#filter = filter;
  }

  async *rows(change: Change): AsyncGenerator<EventRow> {
    if (change._tag === 'damage') return;
    const { from, to, vm, type, isExpanded } = this.#filter;
    if ((from !== null && isBefore(change, from)) || (to !== null && isAfter(change, to))) return;
    const { state } = this.#ledger;
    const rows = [...eventRows(state, change)];
    for (const { has, ...row } of rows) {
      if (vm !== null && row.vm !== vm) continue;
      const isExpandable = row.type === 'PagesWritten' && isExpanded;
      const isWanted =
        type === null || row.type === type || (has?.has(type) === true && !isExpanded);
      if (isWanted) yield row;
      if (isExpandable && change._tag === 'capture' && row.item === 0) yield* this.#pages(change);
    }
  }

  async *#pages(change: CaptureChange): AsyncGenerator<EventRow> {
    const { state } = this.#ledger;
    const { type } = this.#filter;
    const entry = this.#ledger.vm(change.committed.vm);
    const last = entry.captures.findLast((row) => row.position < change.position);
    const isBreaking = type === null || type === 'SharingBroken';
    const before =
      last === undefined || !isBreaking
        ? new Uint32Array(0)
        : await state.tables.at(entry, state.contents, last);
    const context = {
      before,
      identifierOf: (holding: Holding) =>
        identifierOf(this.#ledger, holding === UNKNOWN ? 0 : holding),
    };
    for (const row of pageRows(state, change, context))
      if (type === null || row.type === type) yield row;
  }
}

/** Where reading has to start so that everything from a bound on is seen whole. */
export function startOf(ledger: Ledger, from: LogBound | null): AssemblerState {
  if (from === null || from._tag === 'time') return { next: 0n, pending: [] };
  let next = from.position;
  for (const entry of ledger.state.catalogue.vms.values())
    for (const row of entry.captures)
      if (row.position >= from.position && row.range.fromPosition < next)
        next = row.range.fromPosition;
  return { next: next === from.position ? 0n : next, pending: [] };
}

/** Events up to the ledger's end now, oldest first. */
export async function listEvents(
  ledger: Ledger,
  filter: LogFilter,
  consume: (row: EventRow) => Promise<void>,
): Promise<AssemblerState> {
  if (filter.isExpanded) await ensureIdentifiers(ledger);
  const lister = new EventLister(ledger, filter);
  return ledger.replay(startOf(ledger, filter.from), async (change) => {
    if (change.position >= ledger.state.next) await ledger.state.catchUp({ heavy: false });
    for await (const row of lister.rows(change)) await consume(row);
  });
}

/** Events after a state, replayed and then live, until the signal aborts. */
export async function followEvents(
  ledger: Ledger,
  filter: LogFilter,
  at: { readonly from: AssemblerState; readonly signal: AbortSignal },
  consume: (row: EventRow) => Promise<void>,
): Promise<void> {
  const { liveCommits } = await import('./projections/subscription.ts');
  const lister = new EventLister(ledger, filter);
  const marks = liveCommits(ledger.log, at, async (change) => {
    await ledger.state.catchUp({ heavy: false });
    for await (const row of lister.rows(change)) await consume(row);
  });
  await new Promise<void>((resolve, reject) => {
    marks.subscribe({ error: reject, complete: resolve });
  });
}

/** Versions of a page, oldest first, with identifiers. */
export async function historyOf(
  ledger: Ledger,
  entry: VmEntry,
  gfn: number,
): Promise<readonly (PageVersion & { readonly identifier: string | null })[]> {
  await ensureIdentifiers(ledger);
  const versions = await pageHistory(ledger, entry, gfn);
  return versions.map((version) => ({
    ...version,
    identifier: identifierOf(ledger, version.holding),
  }));
}

/** How memory is made up at a moment. */
export async function sharingOf(
  ledger: Ledger,
  at: Moment & { readonly vm: string | null },
): Promise<SharingCounts & { readonly storedBytes: number; readonly logBytes: number }> {
  return { ...(await sharingAt(ledger.state, at)), ...(await ledger.storedBytes()) };
}

/** Names a point. */
export async function takeCheckpoint(
  ledger: Ledger,
  request: { readonly vm: string; readonly name: string; readonly capture: number },
): Promise<void> {
  await ledger.appendDecided(pointsStream(request.vm), () => {
    const entry = ledger.vm(request.vm);
    if (entry.state.isRetired) throw refuse({ _tag: 'VmRetired', vm: request.vm });
    const decided = decideCheckpoint(entry.checkpointState)({ _tag: 'TakeCheckpoint', ...request });
    if (either.isLeft(decided)) throw refuse(decided.left);
    return decided.right;
  });
}

/** Ends a VM's life: its history stays, it takes no further captures. */
export async function retireVm(ledger: Ledger, vm: string): Promise<void> {
  await ledger.appendDecided(vmStream(vm), () => {
    const decided = decideVm(ledger.vm(vm).state)({ _tag: 'RetireVm', vm });
    if (either.isLeft(decided)) throw refuse(decided.left);
    return decided.right;
  });
}

/** Identifiers of a pack as its event recorded them. */
async function recordedIdentifiers(
  { catalogue, tables }: LedgerState,
  pack: KnownPack,
): Promise<Uint8Array | null> {
  const row = catalogue.vms.get(pack.vm)?.capture(pack.capture);
  if (row === undefined) return null;
  const { packs } = decodeBatches(await tables.events(pack.vm, row));
  return packs.find((written: PackWritten) => written.name === pack.name)?.identifiers ?? null;
}

const NO_FILES: StateFiles = {
  load: () => Promise.resolve(null),
  save: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  drop: () => Promise.resolve(),
};

/** The log folded from its start, without anything derived that could hide what the log has lost. */
async function foldedAnew({ log, replay }: Ledger): Promise<LedgerState> {
  const column = new MemoryIdentifierColumn();
  const state = new LedgerState({ log, replay, files: NO_FILES, identifiers: () => column });
  await state.catchUp({ heavy: false });
  return state;
}

/** Reads everything back and checks it. */
export async function verify(
  ledger: Ledger,
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
): Promise<{ readonly findings: readonly Finding[]; readonly summary: VerifySummary }> {
  const { replay, log, store } = ledger;
  const engine = await ledger.engine();
  const state = await foldedAnew(ledger);
  const { findings, summary } = await verifyLedger(
    {
      state,
      replay,
      log,
      store,
      engine,
      sha256,
      checkLog: () => log.check(),
      useKey: (group) => ledger.useKeyAtHand(group),
      identifiersOf: (pack) => recordedIdentifiers(state, pack),
    },
    onProgress,
  );
  const all = [...ledger.folderFindings, ...(await keyFindings(ledger)), ...findings];
  return { findings: all, summary: { ...summary, damaged: all.length } };
}

/** Keys that are there and damaged, or not the ones that the ledger's groups were made with. */
async function keyFindings(ledger: Ledger): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [group, keyCheck] of ledger.state.catalogue.groups) {
    const key = await ledger.keys.load({ group, keyCheck })();
    if (either.isRight(key)) findings.push(...key.right.findings);
    else if (key.left.code === 'KEY_DAMAGED')
      findings.push({
        kind: 'key',
        where: `group ${group}`,
        reason: key.left.message,
        affects: [],
      });
  }
  return findings;
}

/** A digest over (VM, capture, gfn, content) and checkpoints: equal for equal recordings. */
export async function fingerprint(ledger: Ledger): Promise<string> {
  const { state, replay, store } = ledger;
  return ledgerFingerprint({ state, replay, store, engine: await ledger.engine(), sha256 });
}

/** The moment that a text names: what `sharing --at` counts at. */
export function momentOf(ledger: Ledger, text: string): Moment {
  const point = ledger.point(text);
  switch (point._tag) {
    case 'position':
      return { position: point.position };
    case 'time':
      return { timeMs: point.timeMs };
    case 'latest':
      return { position: ledger.state.next };
    case 'capture':
    case 'checkpoint':
      throw refuse({
        _tag: 'BadPoint',
        text,
        why: 'no VM is meant here, so a capture or checkpoint names nothing',
      });
    default:
      return point satisfies never;
  }
}
