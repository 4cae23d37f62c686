// Sketches by which pages with common stretches of bytes are found, wherever in the pages these lie:
// a database's page and its copy in a journal, a string and its copy on a heap.
//
// A rolling hash of the last 32 bytes, h = 2h + gear[byte] modulo 2^32, goes through the page. Where
// its top six bits are zero, which is at one place in 64 and depends on those 32 bytes alone, they
// are an anchor: its number is h, mixed. The features of a page are its eight least numbers of
// anchors, ascending, each once; where there are fewer, the rest is NO_FEATURE. Pages that have many
// stretches in common have features in common (Broder, "On the resemblance and containment of
// documents", 1997). gear[b] is b + 1, mixed.

const PAGE_SHIFT: u32 = 12;
const PAGE_BYTES: usize = 4096;
const FEATURES: u32 = 8;
const NO_FEATURE: u32 = 0xffff_ffff;
/** A hash knows this many bytes: those before have been shifted out. */
const WINDOW_BYTES: usize = 32;
/** An anchor's hash is below this. */
const ANCHOR_BELOW: u32 = 1 << 26;

/** The finaliser of MurmurHash3: each bit of the number changes half of the result's. */
function mix(number: u32): u32 {
  let mixed = number;
  mixed = (mixed ^ (mixed >>> 16)) * 0x85eb_ca6b;
  mixed = (mixed ^ (mixed >>> 13)) * 0xc2b2_ae35;
  return mixed ^ (mixed >>> 16);
}

const gear = memory.data(1024, 16);
for (let byte: u32 = 0; byte < 256; byte += 1) store<u32>(gear + (byte << 2), mix(byte + 1));

function roll(hash: u32, at: usize): u32 {
  return (hash << 1) + load<u32>(gear + ((<usize>load<u8>(at)) << 2));
}

/** Puts a number in its place among the features at `row`, unless it is there or too great. */
function insert(row: usize, number: u32): void {
  let place: u32 = FEATURES;
  while (place > 0 && load<u32>(row + ((<usize>place - 1) << 2)) > number) place -= 1;
  if (place === FEATURES) return;
  if (place > 0 && load<u32>(row + ((<usize>place - 1) << 2)) === number) return;
  for (let i: u32 = FEATURES - 1; i > place; i -= 1)
    store<u32>(row + ((<usize>i) << 2), load<u32>(row + ((<usize>i - 1) << 2)));
  store<u32>(row + ((<usize>place) << 2), number);
}

/** The features of `count` consecutive pages, eight u32 each, to `out`. */
export function similarity(pages: usize, count: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i += 1) {
    const page = pages + ((<usize>i) << PAGE_SHIFT);
    const row = out + <usize>i * ((<usize>FEATURES) << 2);
    for (let k: usize = 0; k < <usize>FEATURES; k += 1) store<u32>(row + (k << 2), NO_FEATURE);
    let hash: u32 = 0;
    let at = page;
    for (; at < page + WINDOW_BYTES - 1; at += 1) hash = roll(hash, at);
    // A run of one byte, such as zeros, gives the same hash again and again: it is looked at once.
    let last: u32 = 0;
    for (; at < page + PAGE_BYTES; at += 1) {
      hash = roll(hash, at);
      if (hash >= ANCHOR_BELOW || hash === last) continue;
      last = hash;
      insert(row, mix(hash));
    }
  }
}
