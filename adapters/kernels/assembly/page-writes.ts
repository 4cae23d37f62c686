// What the rows of a batch of page events wrote (docs/events.md, "PagesWritten"), in one pass over its
// columns. Nothing here trusts them: each byte is looked for inside its column before it is read, and
// what a row refers to before it is used.

const KIND_MASK: u32 = 3;
const KIND_CLASS: u32 = 0x7c;
const PACK_SLOTS_SHIFT: u32 = 13;
const GFN_MAX: u64 = 0xffff_fffe;
const UNKNOWN: u32 = 0xffff_ffff;
/** For each pack two spans: of contents, and of patterns. */
const PACK_SHIFT: usize = 5;
const SPAN_SHIFT: usize = 4;
/** A span: u32 what slot 0 would hold, u32 the first slot that holds such, u32 how many do. */
const SPAN_FIRST: usize = 4;
const SPAN_COUNT: usize = 8;

/**
 * Writes the page numbers of a batch's rows (u32) to `gfns` and what they hold (u32) to `holdings`;
 * 0 where its columns are malformed. The columns lie at `kinds`, one behind the other: `rows` kinds,
 * `gfnBytes`, `packBytes`, and `references` slots. `spans` tells of `packs` packs, and behind them of the
 * public patterns. Up to two bytes behind the columns are read.
 */
export function pageWrites(
  kinds: usize,
  rows: u32,
  gfnBytes: u32,
  packBytes: u32,
  references: u32,
  spans: usize,
  packs: u32,
  gfns: usize,
  holdings: usize,
): u32 {
  let gfnAt = kinds + rows;
  let packAt = gfnAt + gfnBytes;
  let slotAt = packAt + packBytes;
  const gfnEnd = packAt;
  const packEnd = slotAt;
  const slotEnd = slotAt + ((<usize>references) << 1);
  // The number of the page that would come next.
  let next: u64 = 0;
  let bad: u32 = 0;
  for (let row: usize = 0; row < rows; row += 1) {
    if (gfnAt >= gfnEnd) return 0;
    let gap = <u64>load<u8>(gfnAt);
    gfnAt += 1;
    if (gap >= 0x80) {
      gap &= 0x7f;
      let byte: u64 = 0x80;
      for (let shift: u64 = 7; byte >= 0x80; shift += 7) {
        if (gfnAt >= gfnEnd || shift > 28) return 0;
        byte = <u64>load<u8>(gfnAt);
        gfnAt += 1;
        gap += (byte & 0x7f) << shift;
      }
    }
    const gfn = next + gap;
    if (gfn > GFN_MAX) return 0;
    next = gfn + 1;
    store<u32>(gfns + (row << 2), <u32>gfn);
    const kind = <u32>load<u8>(kinds + row);
    const outcome = kind & KIND_MASK;
    // Which rows refer to something is no pattern that a processor could guess: no branch asks for it.
    const refers = u32(outcome != 0);
    const isReference: u32 = 0 - refers;
    const isPattern = outcome & (outcome >> 1);
    if (packAt + refers > packEnd || slotAt + (refers << 1) > slotEnd) return 0;
    let index = (<u32>load<u8>(packAt)) & isReference;
    packAt += refers;
    if (index >= 0x80) {
      if (packAt >= packEnd) return 0;
      const byte = <u32>load<u8>(packAt);
      packAt += 1;
      index = (index & 0x7f) | ((byte & 0x7f) << 7);
      if (byte >= 0x80) {
        if (packAt >= packEnd) return 0;
        index |= (<u32>load<u8>(packAt)) << 14;
        packAt += 1;
      }
    }
    const slot = (<u32>load<u16>(slotAt)) & isReference;
    slotAt += refers << 1;
    if (index + refers > packs + isPattern) return 0;
    bad |= (kind & KIND_CLASS & (isPattern - 1)) | (slot >> PACK_SLOTS_SHIFT);
    const span = spans + ((<usize>index) << PACK_SHIFT) + ((<usize>isPattern) << SPAN_SHIFT);
    const isIn = slot - load<u32>(span, SPAN_FIRST) < load<u32>(span, SPAN_COUNT);
    const holding = select<u32>(load<u32>(span) + slot, UNKNOWN, isIn);
    store<u32>(holdings + (row << 2), holding & isReference);
  }
  return u32(bad == 0 && gfnAt == gfnEnd && packAt == packEnd && slotAt == slotEnd);
}
