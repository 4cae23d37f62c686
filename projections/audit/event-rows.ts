// Events as people and programs read them (brief, section 5, `log`): one row an event; where asked, a
// batch is expanded to its page events, lazily. Outcomes are what the fold says.

import type { ControlEvent } from '../../domain/events.ts';
import {
  KIND_BROKE,
  KIND_MASK,
  KIND_PATTERN,
  type PageColumns,
} from '../../domain/page-columns.ts';
import { packPagesOf } from '../../domain/pack-event.ts';
import { FIRST_CONTENT, isContent, UNKNOWN, type Holding } from '../../domain/page-writes.ts';
import type { Position } from '../../domain/ports.ts';
import type { CaptureChange, Change } from '../commits.ts';
import type { LedgerState } from '../ledger-state.ts';
import { holdingsOf, type PageTable } from '../page-tables.ts';
import { isStoreFolded } from './history.ts';

export interface EventRow {
  readonly position: Position;
  /** Number inside the capture; null for an event that is not part of one. */
  readonly item: number | null;
  readonly type: string;
  readonly vm: string | null;
  readonly timeMs: number;
  readonly capture: number | null;
  /** What else the event says. */
  readonly facts: Readonly<Record<string, unknown>>;
}

const vmOf = (event: ControlEvent): string | null => ('vm' in event.data ? event.data.vm : null);

function controlRow(change: Change & { _tag: 'control' }): EventRow {
  const { position, timeMs, event } = change;
  const facts = Object.fromEntries(
    Object.entries(event.data).filter(([key]) => key !== 'vm' && key !== 'capture'),
  );
  const capture = 'capture' in event.data ? event.data.capture : null;
  return { position, item: null, type: event.type, vm: vmOf(event), timeMs, capture, facts };
}

/** Items whose SharingBroken the fold decides otherwise than was recorded. */
type Toggled = ReadonlySet<number>;

const toggledOf = (state: LedgerState, change: CaptureChange): Toggled =>
  new Set(state.toggles.get(change.position));

/** Whether a row's write broke a sharing, as the fold says. */
const isBreaking = (columns: PageColumns, row: number, toggled: Toggled): boolean =>
  ((columns.kinds[row]! & KIND_BROKE) !== 0) !== toggled.has(2 * (columns.firstRow + row) + 1);

/** Page event types that a batch holds. */
function typesIn(state: LedgerState, columns: PageColumns, toggled: Toggled): Set<string> {
  const types = new Set<string>();
  for (let row = 0; row < columns.kinds.length && types.size < 4; row += 1) {
    types.add(typeOfRow(state, columns, row));
    if (isBreaking(columns, row, toggled)) types.add('SharingBroken');
  }
  return types;
}

function typeOfRow(state: LedgerState, columns: PageColumns, row: number): string {
  const kind = columns.kinds[row]! & KIND_MASK;
  if (kind === 0 || kind === KIND_PATTERN) return 'PatternPageShared';
  return isStoreFolded(state, columns, row) ? 'PageStored' : 'PageMerged';
}

/** Rows of a change, batches as one row each. `has` are the page event types inside a batch. */
export function* eventRows(
  state: LedgerState,
  change: Change,
): Generator<EventRow & { readonly has?: ReadonlySet<string> }> {
  if (change._tag === 'damage') return;
  if (change._tag === 'control') {
    yield controlRow(change);
    return;
  }
  const { position, committed } = change;
  const { vm, capture, timeMs } = committed;
  const row = { position, vm, timeMs, capture };
  for (const pack of change.packs)
    yield {
      ...row,
      item: null,
      type: 'PackWritten',
      facts: {
        name: pack.name,
        group: pack.group,
        pages: packPagesOf(pack),
        bytes: pack.sizeBytes,
      },
    };
  const toggled = toggledOf(state, change);
  for (const columns of change.batches) {
    const has = typesIn(state, columns, toggled);
    yield {
      ...row,
      item: 2 * columns.firstRow,
      type: 'PagesWritten',
      facts: { rows: columns.kinds.length },
      has,
    };
  }
  if (change.device !== null)
    yield { ...row, item: null, type: 'DeviceStateWritten', facts: { parts: change.device.parts } };
  const { vm: _vm, capture: _capture, timeMs: _timeMs, ...facts } = committed;
  yield { ...row, item: null, type: 'CaptureCommitted', facts };
}

/** Hex of a holding's identifier; null for a pattern. */
export type IdentifierOf = (holding: Holding) => string | null;

/** Page events of a capture, in item order. `before` is the VM's table just before the capture. */
export function* pageRows(
  state: LedgerState,
  change: CaptureChange,
  context: { readonly before: PageTable; readonly identifierOf: IdentifierOf },
): Generator<EventRow> {
  const { position, committed } = change;
  const { vm, capture, timeMs } = committed;
  const toggled = toggledOf(state, change);
  for (const columns of change.batches) {
    const holdings = holdingsOf(state.contents, columns);
    for (let row = 0; row < holdings.length; row += 1) {
      const item = 2 * (columns.firstRow + row);
      const gfn = columns.gfns[row]!;
      const holding = holdings[row]!;
      const type = typeOfRow(state, columns, row);
      const common = { position, vm, timeMs, capture };
      const identifier = context.identifierOf(holding);
      const link = type === 'PageMerged' && isContent(holding) ? linkOf(state, vm, holding) : {};
      yield { ...common, item, type, facts: { gfn, identifier, ...link } };
      if (!isBreaking(columns, row, toggled)) continue;
      const old = context.before[gfn] ?? UNKNOWN;
      yield {
        ...common,
        item: item + 1,
        type: 'SharingBroken',
        facts: { gfn, identifier: context.identifierOf(old) },
      };
    }
  }
}

/** The holder that a merge links to: who first stored the content. */
function linkOf(state: LedgerState, vm: string, holding: Holding): Record<string, unknown> {
  const pack = state.contents.packOf(holding - FIRST_CONTENT);
  return {
    scope: pack.vm === vm ? 'intra' : 'inter',
    holder: { vm: pack.vm, capture: pack.capture },
  };
}
