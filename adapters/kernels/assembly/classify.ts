// Classes of pages (brief, section 3.6): which pattern describes a page, if any. Two steps, as in
// US9152573: a subset of the page says whether it can be a pattern at all, and nearly every page
// leaves there after one cache line; only then is the whole page matched. Today the grammar has one
// production, the page of zeros. A wider one adds its test to `mayBePattern`, which must accept
// every page that `match` accepts, and its class to `match`.

const PAGE_SHIFT: u32 = 12;
const PAGE_BYTES: usize = 4096;
const CLASS_NONE: u8 = 0;
const CLASS_ZERO: u8 = 1;

/** Looks at 64 bytes: 32 at the page's start, 16 in its middle and 16 at its end. */
function mayBePattern(page: usize): bool {
  const start = v128.or(v128.load(page), v128.load(page, 16));
  const rest = v128.or(v128.load(page, 2048), v128.load(page, 4080));
  return !v128.any_true(v128.or(start, rest));
}

function match(page: usize): u8 {
  const end = page + PAGE_BYTES;
  for (let at = page; at < end; at += 128) {
    const low = v128.or(
      v128.or(v128.load(at), v128.load(at, 16)),
      v128.or(v128.load(at, 32), v128.load(at, 48)),
    );
    const high = v128.or(
      v128.or(v128.load(at, 64), v128.load(at, 80)),
      v128.or(v128.load(at, 96), v128.load(at, 112)),
    );
    if (v128.any_true(v128.or(low, high))) return CLASS_NONE;
  }
  return CLASS_ZERO;
}

/**
 * The classes of `count` pages, page `list[i]` (u32, counted from address `pages`) into byte i of
 * `out`.
 */
export function classify(list: usize, count: u32, pages: usize, out: usize): void {
  for (let i: u32 = 0; i < count; i += 1) {
    const page = pages + ((<usize>load<u32>(list + ((<usize>i) << 2))) << PAGE_SHIFT);
    store<u8>(out + i, mayBePattern(page) ? match(page) : CLASS_NONE);
  }
}
