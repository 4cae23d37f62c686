// Events as people and programs read them: one row an event; where asked, a
// batch is expanded to its page events, lazily. Outcomes are what the fold says.

import type { ContentLost, ControlEvent, ToldEvent } from '../../domain/events/control.ts';
import {
  classOfKind,
  holdsContent,
  isUntoldKind,
  KIND_BROKE,
  KIND_MASK,
  KIND_STORED,
  type PageColumns,
} from '../../domain/events/pages-written.ts';
import { packSlotsOf } from '../../domain/events/pack-written.ts';
import {
  FIRST_CONTENT,
  UNKNOWN,
  ZERO,
  contentOf,
  isContent,
  type Holding,
} from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { BaselineChange, CaptureChange, Change, RewriteChange } from '../commits.ts';
import { foldedKinds } from '../models/folded-kinds.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { holdingsOf, type PageTable } from '../table.ts';
import { patternClassName } from './pattern-classes.ts';
import { slotsIn } from '../../domain/values/slot-set.ts';
import { placeText, rankOf, type Rank, type RowPart } from '../subscriptions/cursor.ts';

/** An event as a row, and what it says as named facts (docs/events.md, "Rows"). */
export interface EventRow {
  readonly position: Position;
  /** Number inside the capture; null for an event that is not part of one. */
  readonly item: number | null;
  /** Where a subscriber goes on who has seen this row (cursor.ts). */
  readonly place: string;
  readonly type: string;
  readonly vm: string | null;
  readonly timeMs: number;
  readonly capture: number | null;
  /** What else the event says. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A row of an event, its place in the order of rows, and the batch that it may be expanded to. */
export interface RankedRow {
  readonly row: EventRow;
  readonly rank: Rank;
  readonly columns: PageColumns | null;
}

const WHOLE = { _tag: 'whole' } as const;
const vmOf = (event: ControlEvent): string | null => ('vm' in event.data ? event.data.vm : null);

function saidBy({ type, data }: ControlEvent): EventRow['facts'] {
  if (type === 'ContentReleased') return { seen: data.seen, ...slotFacts(data.packs) };
  if (type === 'ContentLost' || type === 'ContentFound') return slotFacts(data.packs);
  return Object.fromEntries(
    Object.entries(data).filter(([key]) => key !== 'vm' && key !== 'capture'),
  );
}

/** What a control event says, and who brought it about: null where it does not say. */
const factsOf = (event: ToldEvent): EventRow['facts'] => ({
  ...saidBy(event),
  by: event.by ?? null,
});

function controlRow(change: Change & { _tag: 'control' }): RankedRow {
  const { position, timeMs, event } = change;
  const facts = factsOf(event);
  const capture = 'capture' in event.data ? event.data.capture : null;
  const place = placeText(change, WHOLE);
  const { type } = event;
  const row = { position, item: null, place, type, vm: vmOf(event), timeMs, capture, facts };
  return { row, rank: rankOf(WHOLE), columns: null };
}

/** Type of the row that stands for all that was before history begins. */
export const BASELINE_ROW = 'baseline';

/** Where history begins, for who reads from there. */
function baselineRow(change: BaselineChange): RankedRow {
  const { position, timeMs, vms } = change;
  const facts = { vms: vms.map(({ vm, capture, isRetired }) => ({ vm, capture, isRetired })) };
  const of = { item: null, place: placeText(change, WHOLE), type: BASELINE_ROW, vm: null };
  return {
    row: { position, ...of, timeMs, capture: null, facts },
    rank: rankOf(WHOLE),
    columns: null,
  };
}

/** A pack that compaction wrote; what moved there stands in its table, not in a row. */
function rewriteRow(change: RewriteChange): RankedRow {
  const { position, timeMs, pack } = change;
  const { name, group, sizeBytes, blocks, sources, sourceSlots, patches, isCopied } = pack;
  const facts = {
    pack: name,
    group,
    pages: sourceSlots.length,
    // Copied blocks have the patches that they had.
    patches: isCopied ? null : patches.slots.length,
    blocks: blocks.codecs.length,
    sizeBytes,
    from: sources.length,
  };
  const place = placeText(change, WHOLE);
  const of = { item: null, place, type: 'PackRewritten', vm: null, timeMs, capture: null };
  return { row: { position, ...of, facts }, rank: rankOf(WHOLE), columns: null };
}

/** Slots of packs, counted: names and slots are for programs that read the event itself. */
const slotFacts = (packs: ContentLost['packs']): EventRow['facts'] => ({
  packs: packs.length,
  pages: packs.reduce((sum, { slots }) => sum + [...slotsIn(slots)].length, 0),
});

/** Type of a page event, by its kind as the fold says it. */
function typeOfKind(
  kind: number,
): 'PageStored' | 'PageMerged' | 'PatternPageShared' | 'PageUnknown' {
  if (isUntoldKind(kind)) return 'PageUnknown';
  if (!holdsContent(kind)) return 'PatternPageShared';
  return (kind & KIND_MASK) === KIND_STORED ? 'PageStored' : 'PageMerged';
}

/** Whether a batch holds page events of a type. O(rows). */
export function holdsType(
  state: LedgerState,
  { change, columns }: { readonly change: CaptureChange; readonly columns: PageColumns },
  type: string,
): boolean {
  const kinds = foldedKinds(state, change, columns);
  return type === 'SharingBroken'
    ? kinds.some((kind) => (kind & KIND_BROKE) !== 0)
    : kinds.some((kind) => typeOfKind(kind) === type);
}

/** Rows of a change in their order, batches as one row each. */
export function* eventRows(change: Change): Generator<RankedRow> {
  if (change._tag === 'damage') return;
  if (change._tag === 'control') {
    yield controlRow(change);
    return;
  }
  if (change._tag === 'baseline') {
    yield baselineRow(change);
    return;
  }
  if (change._tag === 'rewrite') {
    yield rewriteRow(change);
    return;
  }
  const { position, committed, packs, batches, device, attachments, by = null } = change;
  const { vm, capture, timeMs, ...facts } = committed;
  const ranked = (
    part: RowPart,
    of: { readonly type: string; readonly facts: EventRow['facts'] },
    columns: PageColumns | null = null,
  ): RankedRow => {
    const item = part._tag === 'batch' ? part.item : null;
    const place = placeText(change, part);
    return {
      row: { position, item, place, vm, timeMs, capture, ...of },
      rank: rankOf(part),
      columns,
    };
  };
  for (const [number, pack] of packs.entries()) {
    const { name, group, sizeBytes: bytes } = pack;
    const of = { name, group, pages: packSlotsOf(pack), bytes };
    yield ranked({ _tag: 'pack', number }, { type: 'PackWritten', facts: of });
  }
  for (const columns of batches) {
    const of = { type: 'PagesWritten', facts: { rows: columns.kinds.length } };
    yield ranked({ _tag: 'batch', item: 2 * columns.firstRow }, of, columns);
  }
  if (device !== null)
    yield ranked(
      { _tag: 'device' },
      { type: 'DeviceStateWritten', facts: { parts: device.parts } },
    );
  for (const { batch: number, kinds } of attachments) {
    const of = { type: 'AttachmentsWritten', facts: { pages: kinds.length } };
    yield ranked({ _tag: 'attachments', number }, of);
  }
  yield ranked(WHOLE, { type: 'CaptureCommitted', facts: { ...facts, by } });
}

/** Hex of a holding's identifier; null for a pattern. */
export type IdentifierOf = (holding: Holding) => string | null;

export interface PageRowsContext {
  /** The VM's table just before the capture; may be empty where no row broke a sharing. */
  readonly before: PageTable;
  readonly identifierOf: IdentifierOf;
}

/** Page events of one batch after a rank, in item order. */
export function* pageRows(
  state: LedgerState,
  of: { readonly change: CaptureChange; readonly columns: PageColumns; readonly after: Rank },
  context: PageRowsContext,
): Generator<EventRow> {
  const { change, columns, after } = of;
  const { position, committed } = change;
  const { vm, capture, timeMs } = committed;
  const kinds = foldedKinds(state, change, columns);
  const holdings = holdingsOf(state.contents, columns);
  const rowAt = (item: number, type: string, facts: EventRow['facts']): EventRow => {
    const place = placeText(change, { _tag: 'page', item });
    return { position, item, place, type, vm, timeMs, capture, facts };
  };
  for (let row = 0; row < holdings.length; row += 1) {
    const item = 2 * (columns.firstRow + row);
    if (item + 1 <= after) continue;
    const gfn = columns.gfns[row]!;
    const holding = holdings[row]!;
    const kind = kinds[row]!;
    if (item > after) {
      const type = typeOfKind(kind);
      const identifier = context.identifierOf(holding);
      yield rowAt(item, type, { gfn, identifier, ...moreOf(state, { vm, type, kind, holding }) });
    }
    if ((kind & KIND_BROKE) === 0) continue;
    const identifier = context.identifierOf(context.before[gfn] ?? UNKNOWN);
    yield rowAt(item + 1, 'SharingBroken', { gfn, identifier });
  }
}

/** What a page event says beside its page: what a merge links to, which pattern it is. */
function moreOf(
  state: LedgerState,
  of: { readonly vm: string; readonly type: string; readonly kind: number; holding: Holding },
): Record<string, unknown> {
  const { vm, type, kind, holding } = of;
  if (type === 'PageMerged' && isContent(holding)) return linkOf(state, vm, holding);
  if (type !== 'PatternPageShared') return {};
  const name = holding === ZERO ? 'zero' : patternClassName(classOfKind(kind));
  const isPublic = holding > ZERO && holding < FIRST_CONTENT;
  return { class: name, ...(isPublic ? { pattern: holding } : {}) };
}

/** The holder that a merge links to: who first stored the content. */
function linkOf(state: LedgerState, vm: string, holding: Holding): Record<string, unknown> {
  const pack = state.contents.packOf(contentOf(holding));
  return {
    scope: pack.vm === vm ? 'intra' : 'inter',
    holder: { vm: pack.vm, capture: pack.capture },
  };
}
