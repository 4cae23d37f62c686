// A plan's pages in batches that fit into the memory of whoever makes them. A batch reads and decodes
// each block once, however many of its pages are in it, and writes neighbours among its pages at once.
// So pages go together that are neighbours, as recording leaves them; but where compaction has put
// similar pages side by side, where a long history lies in thousands of packs, or where each range has to
// be asked for, those go together that lie together, as decoding a block once for each of its pages costs more than writing pages one by one.

import { packOfBlock, PLAN_PAGES_MAX, type PagePlan } from './page-plan.ts';

/** What decoding a page and writing a run take, in microseconds, about. */
const DECODE_US = 3;
const WRITE_US = 4;
/** What beginning to read a pack takes: of opening a file, and of asking a store for a range. */
export const OPEN_FILE_US = 15;
export const ASK_STORE_US = 5000;

/** What batches are made for. */
export interface BatchLimits {
  /** Pages that there is room for at once. */
  readonly pagesMax: number;
  /** What beginning to read a pack takes, in microseconds. */
  readonly openUs: number;
}

/** Pages that are made together. */
export interface PageBatch {
  /** Their numbers, ascending. */
  readonly pages: Uint32Array;
  /** Numbers of the blocks that they are made of, ascending. */
  readonly blocks: Uint32Array;
  /** By block: the row after its last one. */
  readonly rowEnds: Uint32Array;
  /** By row: which page of the block goes onto which of the batch's pages. */
  readonly slots: Uint8Array;
  readonly rooms: Uint32Array;
}

/** What batches of neighbours would cost, and batches of what lies together at most. */
function costs(
  plan: PagePlan,
  { pagesMax, openUs }: BatchLimits,
): { neighbours: number; together: number } {
  const { pages, rowStarts, blocks } = plan;
  const seen = new Uint32Array(plan.blockCount);
  const opened = new Map<number, number>();
  let neighbours = 0;
  let together = pages.length * WRITE_US;
  let pack = plan.packs[0]!;
  let end = 0;
  for (let i = 0; i < pages.length; i += 1) {
    const batch = 1 + Math.floor(i / pagesMax);
    if (i === 0 || pages[i] !== pages[i - 1]! + 1) neighbours += WRITE_US;
    for (let row = rowStarts[i]!; row < rowStarts[i + 1]!; row += 1) {
      const block = blocks[row]!;
      if (seen[block] === batch) continue;
      if (block < pack.firstBlock || block >= end) {
        pack = packOfBlock(plan, block);
        end = pack.firstBlock + pack.table.lengths.length;
      }
      const decoding = pack.table.pages[block - pack.firstBlock]! * DECODE_US;
      neighbours += decoding;
      if (seen[block] === 0) together += decoding;
      seen[block] = batch;
      const last = opened.get(pack.firstBlock);
      if (last === batch) continue;
      neighbours += openUs;
      if (last === undefined) together += openUs;
      opened.set(pack.firstBlock, batch);
    }
  }
  return { neighbours, together };
}

/** The plan's pages, as places in its columns, in the order in which they go into batches. */
function ordered(plan: PagePlan, limits: BatchLimits): Uint32Array {
  const count = plan.pages.length;
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) order[i] = i;
  if (count <= limits.pagesMax) return order;
  const { neighbours, together } = costs(plan, limits);
  if (neighbours <= together) return order;
  // By the block of the page that is stored whole: patches of one page lie together with it.
  const keys = new Float64Array(count);
  for (let i = 0; i < count; i += 1)
    keys[i] = plan.blocks[plan.rowStarts[i + 1]! - 1]! * PLAN_PAGES_MAX + i;
  keys.sort();
  for (let i = 0; i < count; i += 1) order[i] = keys[i]! % PLAN_PAGES_MAX;
  return order;
}

/** Whether numbers do not descend. */
function isAscending(numbers: Float64Array): boolean {
  for (let i = 1; i < numbers.length; i += 1) if (numbers[i - 1]! > numbers[i]!) return false;
  return true;
}

/** The batch of these places in the plan's columns, which ascend. */
function batchOf(plan: PagePlan, places: Uint32Array): PageBatch {
  const { rowStarts } = plan;
  let count = 0;
  for (const i of places) count += rowStarts[i + 1]! - rowStarts[i]!;
  const rooms = new Uint32Array(count);
  const slots = new Uint8Array(count);
  const keys = new Float64Array(count);
  let at = 0;
  for (let room = 0; room < places.length; room += 1) {
    const i = places[room]!;
    for (let row = rowStarts[i]!; row < rowStarts[i + 1]!; row += 1) {
      rooms[at] = room;
      slots[at] = plan.slots[row]!;
      keys[at] = plan.blocks[row]! * ROW_BOUND + at;
      at += 1;
    }
  }
  return sorted(
    { keys, rooms, slots },
    places.map((i) => plan.pages[i]!),
  );
}

/** A row's number in a batch is below this, and together with a block's exact in a double. */
const ROW_BOUND = 2 ** 21;

/** Rows by their blocks. */
function sorted(
  { keys, rooms, slots }: { keys: Float64Array; rooms: Uint32Array; slots: Uint8Array },
  pages: Uint32Array,
): PageBatch {
  const count = keys.length;
  if (!isAscending(keys)) keys.sort();
  const blocks = new Uint32Array(count);
  const rowEnds = new Uint32Array(count);
  const inOrder = { rooms: new Uint32Array(count), slots: new Uint8Array(count) };
  let number = -1;
  for (let row = 0; row < count; row += 1) {
    const block = Math.floor(keys[row]! / ROW_BOUND);
    const from = keys[row]! % ROW_BOUND;
    if (number < 0 || blocks[number] !== block) {
      number += 1;
      blocks[number] = block;
    }
    rowEnds[number] = row + 1;
    inOrder.rooms[row] = rooms[from]!;
    inOrder.slots[row] = slots[from]!;
  }
  return {
    pages,
    blocks: blocks.slice(0, number + 1),
    rowEnds: rowEnds.slice(0, number + 1),
    ...inOrder,
  };
}

/** All pages of a plan, in batches. */
export function* batchesOf(plan: PagePlan, limits: BatchLimits): Generator<PageBatch> {
  const { pagesMax } = limits;
  const order = ordered(plan, limits);
  for (let first = 0; first < order.length; first += pagesMax)
    yield batchOf(plan, order.slice(first, first + pagesMax).toSorted());
}

/** All pages of a plan as one batch. */
export const wholeBatch = (plan: PagePlan): PageBatch =>
  batchOf(plan, Uint32Array.from(plan.pages.keys()));
