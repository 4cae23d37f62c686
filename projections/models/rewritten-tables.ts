// What is where in a rewritten pack. Its event names packs and slots of theirs; of copied blocks it does not
// say the checksums, nor which slots are patches of what: that is as in the packs that they are of.

import type { PackRewritten } from '../../domain/events/pack-rewritten.ts';
import type { PatchTable } from '../../domain/events/patches.ts';
import { UNKNOWN, type Holding } from '../../domain/values/holding.ts';
import { blockStarts, type BlockTable } from '../../domain/values/pack.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import type { AnyPack, HeldPack, Tables } from './packs.ts';

/** Packs by their names, and what their slots stand for. */
interface NamedPacks {
  named(name: string): AnyPack | undefined;
  holdingAt(pack: AnyPack, slot: number): Holding;
  referencesOf(patches: PatchTable): Uint32Array;
}

/** What slots of packs stand for, these by their names; UNKNOWN where the event of a pack was lost. */
export function namedSlots(
  packs: NamedPacks,
  names: readonly string[],
  indexes: Uint16Array,
  slots: Uint16Array,
): Uint32Array {
  const known = names.map((name) => packs.named(name));
  return Uint32Array.from(slots, (slot, i) => {
    const pack = known[indexes[i]!];
    return pack === undefined ? UNKNOWN : packs.holdingAt(pack, slot);
  });
}

/** What is where in a pack that an event names. */
export function tablesOf(pack: PackRewritten, packs: NamedPacks): Omit<HeldPack, 'position'> {
  const { name, group, sources, sourceIndexes, sourceSlots, sizeBytes, blocks, patches } = pack;
  const holdings = namedSlots(packs, sources, sourceIndexes, sourceSlots);
  const tables = pack.isCopied
    ? copiedTables(pack, packs, holdings)
    : {
        sizeBytes,
        blocks,
        patches: { slots: patches.slots },
        references: packs.referencesOf(patches),
      };
  return { name, group, holdings, tables };
}

/** The block of a pack that begins with a slot, if it is as another table has it; null: there is none. */
function sameBlock(
  { blocks }: AnyPack,
  firsts: Uint32Array,
  slot: number,
  { table, block }: { readonly table: BlockTable; readonly block: number },
): number | null {
  const found = lastWhere(blocks.codecs.length, (i) => firsts[i]! <= slot);
  const isSame =
    firsts[found] === slot &&
    blocks.codecs[found] === table.codecs[block] &&
    blocks.pages[found] === table.pages[block] &&
    blocks.lengths[found] === table.lengths[block];
  return isSame ? found : null;
}

/** The same of copied blocks. Of a block that is not in its source as the event has it, nothing is known. */
function copiedTables(pack: PackRewritten, packs: NamedPacks, holdings: Uint32Array): Tables {
  const sources = pack.sources.map((name) => packs.named(name));
  const starts = sources.map((source) => (source ? blockStarts(source.blocks).slots : null));
  const table = pack.blocks;
  const checksums = new Uint32Array(table.codecs.length);
  const patchSlots: number[] = [];
  const references: number[] = [];
  let slot = 0;
  for (let block = 0; block < table.codecs.length; block += 1) {
    const end = slot + table.pages[block]!;
    const from = pack.sourceSlots[slot]!;
    const index = pack.sourceIndexes[slot]!;
    const [source, firsts] = [sources[index], starts[index]];
    const found = source && firsts ? sameBlock(source, firsts, from, { table, block }) : null;
    if (found === null) holdings.fill(UNKNOWN, slot, end);
    else {
      checksums[block] = source!.blocks.checksums[found]!;
      const { slots } = source!.patches;
      let patch = lastWhere(slots.length, (i) => slots[i]! < from) + 1;
      for (; patch < slots.length && slots[patch]! < from + end - slot; patch += 1) {
        patchSlots.push(slot + slots[patch]! - from);
        references.push(source!.references[patch]!);
      }
    }
    slot = end;
  }
  return {
    sizeBytes: pack.sizeBytes,
    blocks: { ...table, checksums },
    patches: { slots: Uint16Array.from(patchSlots) },
    references: Uint32Array.from(references),
  };
}
