// The order to store a VM's contents in: what its newest kept capture holds, by gfn, as that is what is
// restored most and reads best; then what older captures hold beside, the newest first.

import { NumberSet } from '../../domain/values/number-set.ts';
import { isContent } from '../../domain/values/holding.ts';
import { NO_GFN, type Versions, type VmVersions } from '../../domain/use-cases/compact/models.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import { besideOf, decodeBatches } from '../commits.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { allHoldingsOf, type PageTable } from '../table.ts';
import { hasBeside, keptCaptures, type KeptCapture } from './kept-captures.ts';

/** Contents of one capture and where they are, those left out that were met before. */
class Gathered {
  readonly #met: NumberSet;
  readonly #holdings: number[] = [];
  readonly #gfns: number[] = [];

  constructor(met: NumberSet) {
    this.#met = met;
  }

  add(holding: number, gfn: number): void {
    if (!isContent(holding) || !this.#met.add(holding)) return;
    this.#holdings.push(holding);
    this.#gfns.push(gfn);
  }

  addTable(table: PageTable): void {
    for (const [gfn, holding] of table.entries()) this.add(holding, gfn);
  }

  addBeside(beside: Uint32Array): void {
    for (const holding of beside) this.add(holding, NO_GFN);
  }

  addCapture({ table, writes, beside }: KeptCapture): void {
    if (table !== null) this.addTable(table);
    for (const { gfns, holdings } of writes)
      for (const [i, holding] of holdings.entries()) this.add(holding, gfns[i]!);
    this.addBeside(beside);
  }

  take(): Versions {
    return { holdings: Uint32Array.from(this.#holdings), gfns: Uint32Array.from(this.#gfns) };
  }
}

async function besideIn(state: LedgerState, vm: string, row: CaptureRow): Promise<Uint32Array> {
  if (!hasBeside(row)) return new Uint32Array(0);
  const decoded = decodeBatches(await state.tables.events(vm, row));
  return allHoldingsOf(state.contents, besideOf(decoded));
}

async function olderOf(
  state: LedgerState,
  entry: VmEntry,
  { last, table }: { readonly last: CaptureRow; readonly table: PageTable },
): Promise<readonly Versions[]> {
  const met = new NumberSet();
  for (const holding of table) if (isContent(holding)) met.add(holding);
  const older: Versions[] = [];
  for await (const kept of keptCaptures(state, entry)) {
    if (kept.row === last) continue;
    const gathered = new Gathered(met);
    gathered.addCapture(kept);
    older.push(gathered.take());
  }
  return older.toReversed();
}

/**
 * The contents that a VM's kept captures hold; null: it has none. O(pages), and for older ones O(page
 * events of the kept captures).
 */
export async function versionsOf(state: LedgerState, vm: string): Promise<VmVersions | null> {
  const entry = state.catalogue.vms.get(vm);
  const last = entry?.captures.findLast(({ capture }) => !entry.isForgotten(capture));
  if (entry === undefined || last === undefined || entry.state.registered === null) return null;
  const table = await state.tables.at(entry, state.contents, last);
  const newest = new Gathered(new NumberSet());
  newest.addTable(table);
  newest.addBeside(await besideIn(state, vm, last));
  return { newest: newest.take(), table, older: () => olderOf(state, entry, { last, table }) };
}
