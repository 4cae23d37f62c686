// Questions and small commands, joined: events, checkpoints, retirement, verify.

import type { Holding } from '../../domain/values/holding.ts';
import * as either from 'fp-ts/lib/Either.js';
import { decidePoints } from '../../domain/points.ts';
import { refuse } from '../../domain/values/refused.ts';
import { pointsStream, vmStream } from '../../domain/events/streams.ts';
import { decideVm } from '../../domain/vm.ts';
import type { EventRow } from '../../projections/questions/event-rows.ts';
import { ledgerFingerprint } from '../../projections/questions/ledger-digest.ts';
import type { Moment } from '../../projections/questions/moment.ts';
import { changesIn } from '../../projections/questions/log-stretch.ts';
import {
  ensureIdentifiers,
  identifierIn,
  RowLister,
  type RowFilter,
} from '../../projections/questions/row-lister.ts';
import { damagesIn, verifyLedger, type VerifySummary } from '../../projections/questions/verify.ts';
import type { AssemblerState, Change } from '../../projections/commits.ts';
import {
  MemoryIdentifierColumn,
  type IdentifierColumn,
} from '../../projections/models/identifier-index.ts';
import { LedgerState } from '../../projections/models/ledger-state.ts';
import type { Finding } from '../../domain/values/finding.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { sha256 } from './digest.ts';
import type { Ledger } from './ledger.ts';
import { keepSuspects } from './losses.ts';

/** Hex of a holding's identifier; null for a pattern or a page that is not known. */
export const identifierOf = (ledger: Ledger, holding: Holding): string | null =>
  identifierIn(ledger.column, holding);

export interface LogFilter extends RowFilter {
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

const isWithin = ({ from, to }: LogFilter, change: Change): boolean =>
  change._tag !== 'damage' &&
  (from === null || !isBefore(change, from)) &&
  (to === null || !isAfter(change, to));

/** Whether a row is of a capture that cannot be restored any more. */
function isOfForgotten({ state }: Ledger, { vm, capture }: EventRow): boolean {
  if (vm === null || capture === null) return false;
  return state.catalogue.vms.get(vm)?.isForgotten(capture) ?? false;
}

const forgottenRow = (row: EventRow): EventRow => ({
  ...row,
  facts: { ...row.facts, forgotten: true },
});

/** Hands on the rows of a change that the filter lets through, one after the other. */
type Listing = (change: Change) => Promise<void>;

function listing(
  ledger: Ledger,
  filter: LogFilter,
  consume: (row: EventRow) => Promise<void>,
): Listing {
  const { state } = ledger;
  const lister = new RowLister({ state, column: () => ledger.column }, filter);
  return async (change) => {
    if (!isWithin(filter, change)) return;
    for await (const rows of lister.rows(change))
      for (const row of rows) await consume(isOfForgotten(ledger, row) ? forgottenRow(row) : row);
  };
}

const positionOf = (bound: LogBound | null): Position | null =>
  bound?._tag === 'position' ? bound.position : null;

/**
 * Events up to the ledger's end now, oldest first; gives the state after them. Positions and a VM bound
 * what is read of the log (projections/questions/log-stretch.ts); a type and times do not.
 */
export async function listEvents(
  ledger: Ledger,
  filter: LogFilter,
  consume: (row: EventRow) => Promise<void>,
): Promise<AssemblerState> {
  const { state, log } = ledger;
  const { vm, from, to } = filter;
  if (filter.isExpanded) await ensureIdentifiers(state, ledger.column);
  await state.catchUp({ heavy: false });
  const { reached } = state;
  const list = listing(ledger, filter, consume);
  const stretch = { vm, from: positionOf(from), to: positionOf(to) };
  for await (const change of changesIn({ log, state }, stretch)) await list(change);
  return reached;
}

/** Events after a state, replayed and then live, until the signal aborts. */
export async function followEvents(
  ledger: Ledger,
  filter: LogFilter,
  at: { readonly from: AssemblerState; readonly signal: AbortSignal },
  consume: (row: EventRow) => Promise<void>,
): Promise<void> {
  const { liveChanges } = await import('../../projections/observable.ts');
  const list = listing(ledger, filter, consume);
  for await (const { changes } of liveChanges(ledger.log, at))
    for (const change of changes) await list(change);
}

/** Names a point. */
export async function takeCheckpoint(
  ledger: Ledger,
  request: { readonly vm: string; readonly name: string; readonly capture: number },
): Promise<void> {
  await ledger.decide(pointsStream(request.vm), () => {
    const { points, state } = ledger.vm(request.vm);
    const { isRetired } = state;
    return decidePoints(points)({ _tag: 'TakeCheckpoint', ...request, isRetired });
  });
}

/** Ends a VM's life: its history stays, it takes no further captures. */
export async function retireVm(ledger: Ledger, vm: string): Promise<void> {
  await ledger.decide(vmStream(vm), () => decideVm(ledger.vm(vm).state)({ _tag: 'RetireVm', vm }));
}

const NO_FILES: StateFiles = {
  load: () => Promise.resolve(null),
  save: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  drop: () => Promise.resolve(),
};

/** The log folded from its start, without anything derived that could hide what the log has lost. */
async function foldedAnew({ log, replay }: Ledger, column: IdentifierColumn): Promise<LedgerState> {
  const state = new LedgerState({ log, replay, files: NO_FILES, identifiers: () => column });
  await state.catchUp({ heavy: false });
  return state;
}

/** Reads everything back, where it lies, and checks it. */
export async function verify(
  ledger: Ledger,
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
): Promise<{ readonly findings: readonly Finding[]; readonly summary: VerifySummary }> {
  const { replay, log, store } = ledger;
  const engine = await ledger.engine();
  const column = new MemoryIdentifierColumn();
  const state = await foldedAnew(ledger, column);
  const { findings, summary, damagedPacks } = await verifyLedger(
    {
      state,
      replay,
      log,
      store: store.origin ?? store,
      engine,
      sha256,
      checkLog: () => log.check(),
      useKey: (group) => ledger.useKeyAtHand(group),
      identifierOf: (content) => column.read(content),
    },
    onProgress,
  );
  await keepSuspects(ledger, damagedPacks);
  const lost = state.catalogue.facts.ledger === null ? await lostLogFindings(ledger) : [];
  const all = [...ledger.findings, ...lost, ...(await keyFindings(ledger)), ...findings];
  return { findings: all, summary: { ...summary, damaged: damagesIn(all) } };
}

/** Packs without the event that made their ledger. */
async function lostLogFindings({ store }: Ledger): Promise<Finding[]> {
  for await (const { name } of store.list())
    return [
      {
        kind: 'log',
        where: 'the log',
        reason: `it has no event that made the ledger, and the page store has packs (${name}): the log was lost, or its beginning; put it back from a copy`,
        affects: [],
      },
    ];
  return [];
}

/** Keys that are there and damaged, or not the ones that the ledger's groups were made with. */
async function keyFindings(ledger: Ledger): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [group, keyCheck] of ledger.state.catalogue.facts.groups) {
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
  const { state, replay } = ledger;
  return ledgerFingerprint({ state, replay, pages: await ledger.pageReader(), sha256 });
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
