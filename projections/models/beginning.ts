// What a reader is given who has seen nothing of a ledger: where history begins, and what was there.

import { instantText } from '../../domain/values/instant.ts';
import { refuse, type Refused } from '../../domain/values/refused.ts';
import type { Holding } from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { AssemblerState, BaselineChange, BaselineVm } from '../commits.ts';
import type { Moment } from '../questions/moment.ts';
import type { Catalogue, HistoryStart } from './catalogue.ts';
import type { VmEntry } from './vm-entry.ts';
import type { Contents } from './contents.ts';
import type { LedgerState } from './ledger-state.ts';

/** Where a reader begins, and what it is told first; null: nothing was before. */
export interface Beginning {
  readonly from: AssemblerState;
  readonly baseline: BaselineChange | null;
}

async function vmAt(
  { contents, tables }: LedgerState,
  entry: VmEntry,
  at: Position,
): Promise<BaselineVm | null> {
  const { vm, gone, retired } = entry;
  const row = entry.at(at);
  const capture = row?.capture ?? gone?.capture ?? 0;
  const memoryMap = entry.mapAt(capture) ?? entry.maps[0]?.memoryMap;
  if (memoryMap === undefined || capture === 0) return null;
  const isRetired = retired !== null && retired.position <= at;
  const held = async (): Promise<Uint32Array> =>
    row === undefined ? tables.start(entry) : tables.at(entry, contents, row);
  const holdings = isRetired ? new Uint32Array(0) : await held();
  return { vm, capture, timeMs: row?.timeMs ?? null, memoryMap, isRetired, holdings };
}

function patchesIn(contents: Contents): Uint32Array {
  const patches: Holding[] = [];
  for (const pack of contents.packs)
    for (let slot = 0; slot < pack.pages; slot += 1) {
      const holding = contents.holdingAt(pack, slot);
      if (contents.isPatch(holding)) patches.push(holding);
    }
  return Uint32Array.from(patches);
}

/** What stands for everything before history. O(pages of all VMs). */
export async function baselineChange(
  state: LedgerState,
  { position, id, timeMs }: HistoryStart,
): Promise<BaselineChange> {
  const vms: BaselineVm[] = [];
  for (const entry of state.catalogue.vms.values()) {
    const vm = await vmAt(state, entry, position);
    if (vm !== null) vms.push(vm);
  }
  return { _tag: 'baseline', position, id, timeMs, vms, patches: patchesIn(state.contents) };
}

/** Where a reader begins who has seen nothing. The state is at the log's head. */
export async function beginningOf(state: LedgerState): Promise<Beginning> {
  const { history } = state.catalogue;
  const baseline = history === null ? null : await baselineChange(state, history);
  return { from: state.start, baseline };
}

/** The refusal of a question about a place before history. */
export const beforeHistory = ({ position }: HistoryStart, asked: Position): Refused =>
  refuse({
    _tag: 'HistoryForgotten',
    vm: null,
    at: `position ${asked}`,
    begins: `position ${position + 1n}`,
  });

/** HISTORY_FORGOTTEN where a moment is before history: how pages were shared there is not told. */
export function checkMoment({ history }: Catalogue, moment: Moment | null): void {
  if (history === null || moment === null) return;
  if ('position' in moment) {
    if (moment.position < history.position) throw beforeHistory(history, moment.position);
  } else if (moment.timeMs < history.timeMs)
    throw refuse({
      _tag: 'HistoryForgotten',
      vm: null,
      at: instantText(moment.timeMs),
      begins: `position ${history.position}, ${instantText(history.timeMs)}`,
    });
}

/** HISTORY_FORGOTTEN where a place is before history. */
export function checkInHistory({ history }: Catalogue, asked: Position | null): void {
  if (history !== null && asked !== null && asked <= history.position)
    throw beforeHistory(history, asked);
}
