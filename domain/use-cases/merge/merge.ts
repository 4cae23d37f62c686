// Merges small packs of a VM: their blocks are copied, as they are and in a better order, into new packs,
// each of which is durable before a PackRewritten says what lies there now. Nothing is decoded, and
// nothing is deleted: packs in which nothing lies any more go as after a compaction
// (use-cases/compact/deletion.ts). Whoever stops at any instant leaves a ledger that is whole.
//
// Memory: one pack that is written, at most twice what goes into it, and one range of a pack that is read.

import { packsToMerge, type MergeablePack } from '../../merging.ts';
import type { PackRewritten } from '../../events/pack-rewritten.ts';
import type { ReadPack } from '../../ports/models.ts';
import { addTo } from '../../values/grouped.ts';
import type { Holding } from '../../values/holding.ts';
import { LedgerError } from '../../values/ledger-error.ts';
import { sliceBlocks } from '../../values/pack.ts';
import type { ContentPlaces } from '../compact/models.ts';
import { PackLimits } from '../compact/pack-limits.ts';
import { sourceColumns, type SourceOf } from '../compact/slot-sources.ts';
import { useRange } from '../pages/pack-ranges.ts';
import { PackWriter, type PackWriterPorts } from '../pages/pack-writer.ts';
import { blocksOf, mergeOrder, type MergedBlock } from './merge-order.ts';

/** A pack that may be merged, and the group whose key it is under. */
export interface GroupedPack extends MergeablePack {
  readonly group: string;
}

/** What merging asks of the projections. */
export interface MergeModels {
  /** Packs that are stored as recording stores them, in which something lies, and of which all can be read. */
  packs(): readonly GroupedPack[];
  /** These packs are merged, or cannot be: `packs` leaves them out from now on, whatever lies there still. */
  pass(packs: readonly MergeablePack[]): void;
  readonly places: ContentPlaces;
  /** Where in the VM's memory contents of packs were written; NO_GFN: nowhere, or it is not known. */
  gfnsOf(packs: readonly MergeablePack[]): Promise<(holding: Holding) => number>;
}

export interface MergePorts extends Omit<PackWriterPorts, 'areBlocksSalted'> {
  readonly models: MergeModels;
  readonly crc32: (bytes: Uint8Array) => number;
  /** Appends the event of a pack that is durable, and folds it. */
  readonly append: (pack: PackRewritten) => Promise<void>;
}

const damagedBlock = (name: string, block: number): LedgerError =>
  new LedgerError(
    'PACK_DAMAGED',
    `block ${block} of pack ${name} has another checksum than its event says; run \`pageledger verify\` to see what it affects, and put the pack back from a copy of the ledger`,
    { name, block },
  );

/** Blocks, as many at once as go into one pack. */
function* packfuls(
  blocks: readonly MergedBlock[],
  sourceOf: SourceOf,
): Generator<readonly MergedBlock[]> {
  const limits = new PackLimits(sourceOf);
  let packful: MergedBlock[] = [];
  for (const block of blocks) {
    if (!limits.hasRoom(block)) {
      yield packful;
      packful = [];
      limits.begin();
    }
    packful.push(block);
    limits.add(block);
  }
  if (packful.length > 0) yield packful;
}

/** The stored bytes of blocks, in their order. Each pack is read once, from the first to the last of its own. */
async function readBlocks(
  { store, crc32 }: MergePorts,
  blocks: readonly MergedBlock[],
): Promise<readonly Uint8Array[]> {
  const stored: Uint8Array[] = [];
  const byPack = new Map<ReadPack, number[]>();
  for (const [i, { pack }] of blocks.entries()) addTo(byPack, pack, i);
  const lengthOf = ({ pack, block }: MergedBlock): number => pack.blocks.lengths[block]!;
  for (const [{ name, blocks: table }, numbers] of byPack) {
    const own = numbers.map((i) => blocks[i]!);
    const neededBytes = own.reduce((sum, block) => sum + lengthOf(block), 0);
    const offsetBytes = Math.min(...own.map((block) => block.offsetBytes));
    const endBytes = Math.max(...own.map((block) => block.offsetBytes + lengthOf(block)));
    const isMost = 2 * neededBytes > endBytes - offsetBytes;
    await useRange(store, { name, offsetBytes, lengthBytes: endBytes - offsetBytes }, (bytes) => {
      for (const [k, merged] of own.entries()) {
        const at = merged.offsetBytes - offsetBytes;
        const whole = bytes.subarray(at, at + lengthOf(merged));
        // Of a range with much else in it nothing but the block may stay.
        const block = isMost ? whole : whole.slice();
        if (crc32(block) !== table.checksums[merged.block]!) throw damagedBlock(name, merged.block);
        stored[numbers[k]!] = block;
      }
    });
  }
  return stored;
}

/** Writes one pack of copied blocks, and names it once it is durable. */
async function writePack(
  ports: MergePorts,
  group: string,
  blocks: readonly MergedBlock[],
): Promise<void> {
  const sourceOf: SourceOf = (holding) => ports.models.places.source(holding);
  // A block that has a salt has it behind it already.
  const writer = new PackWriter({ ...ports, areBlocksSalted: () => false }, { group });
  const stored = await readBlocks(ports, blocks);
  for (const [i, { pack, block }] of blocks.entries())
    writer.addAll({ ...sliceBlocks(pack.blocks, block, block + 1), bytes: stored[i]! });
  const slots = blocks.flatMap((block) => block.slots);
  await writer.seal((pack) =>
    ports.append({ ...pack, ...sourceColumns(slots, sourceOf), isCopied: true }),
  );
  await writer.finish();
}

/**
 * Merges small packs as far as that is decided, and tells `models` which it is done with. PACK_MISSING and
 * PACK_DAMAGED where one cannot be read, and what writing packs and appending may say: what was merged
 * before stays.
 */
export async function mergePacks(ports: MergePorts, fanIn?: number): Promise<void> {
  const { models } = ports;
  for (;;) {
    const packs = packsToMerge(models.packs(), fanIn);
    if (packs.length === 0) return;
    const { group } = packs[0]!;
    const blocks = packs.flatMap(({ ordinal }) => blocksOf(models.places, ordinal) ?? []);
    const ordered = mergeOrder(blocks, await models.gfnsOf(packs));
    const sourceOf: SourceOf = (holding) => models.places.source(holding);
    for (const packful of packfuls(ordered, sourceOf)) await writePack(ports, group, packful);
    models.pass(packs);
  }
}
