// Difference Engine's Table 1 for a ledger: what its VMs' last captures are made of, what is left of
// that after sharing, in pages of 4 KiB as the paper counts, and the bytes it takes.

import { sharingOf, type Ledger } from '../../../index.ts';
import { FIRST_CONTENT, isContent } from '../../../domain/values/holding.ts';

export interface SharingTable {
  readonly pages: number;
  readonly zero: number;
  /** Pages of a pattern other than zeros. */
  readonly pattern: number;
  /** Pages that hold what another page holds too, and the contents of those. */
  readonly sharable: number;
  readonly sharableContents: number;
  /** Pages whose content no other page holds. */
  readonly single: number;
  /** Contents that are stored as patches, and those whole ones that patches refer to. */
  readonly patched: number;
  readonly references: number;
  /** Bytes of all contents as they are stored, compressed; of the page store, and of the log. */
  readonly uniqueBytes: number;
  readonly storedBytes: number;
  readonly logBytes: number;
}

/** How many pages hold each content, over the last captures of all VMs. */
async function copiesOf({ state }: Ledger): Promise<Uint32Array> {
  const { contents, catalogue, tables } = state;
  const copies = new Uint32Array(contents.count);
  for (const entry of catalogue.vms.values()) {
    const table = await tables.at(entry, contents, entry.captures.at(-1)!);
    for (const holding of table) if (isContent(holding)) copies[holding - FIRST_CONTENT]! += 1;
  }
  return copies;
}

/** The table of a ledger whose state is caught up. */
export async function sharingTableOf(ledger: Ledger): Promise<SharingTable> {
  const { contents, next } = ledger.state;
  const report = await sharingOf(ledger, { position: next, vm: null });
  const { pages, zero, pattern, uniqueBytes, storedBytes, logBytes } = report;
  const referrers = contents.referrers();
  const table = { sharable: 0, sharableContents: 0, single: 0, patched: 0, references: 0 };
  for (const [content, copies] of (await copiesOf(ledger)).entries()) {
    if (copies === 0) continue;
    const holding = FIRST_CONTENT + content;
    if (copies === 1) table.single += 1;
    else {
      table.sharable += copies;
      table.sharableContents += 1;
    }
    if (contents.isPatch(holding)) table.patched += 1;
    else if (referrers[content]! > 0) table.references += 1;
  }
  return { pages, zero, pattern, ...table, uniqueBytes, storedBytes, logBytes };
}

/** Pages that are left when every content is there once. */
export const pagesShared = ({ sharableContents, single }: SharingTable): number =>
  sharableContents + single;
