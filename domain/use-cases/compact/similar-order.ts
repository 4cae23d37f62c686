// The order to store whole pages in: pages with common stretches of bytes side by side, so that a block
// holds them together (similar-pages.ts). Sketches tell of content and stay in memory.

import { CHUNK_PAGES, type PageEngine } from '../../ports/page-engine.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import type { Holding } from '../../values/holding.ts';
import { GROUPED_PAGES_MAX, groupSimilar } from '../../values/similar-pages.ts';
import type { PageReader } from '../pages/page-reader.ts';
import { GROUP_PAGES } from './policy.ts';

/** Numbers of pages at hand, similar ones side by side. At most CHUNK_PAGES pages. */
export async function similarPages(
  engine: Pick<PageEngine, 'sketch'>,
  pages: Uint8Array,
): Promise<Uint32Array> {
  return groupSimilar(await engine.sketch(pages), { groupPagesMax: GROUP_PAGES });
}

/** Sketches of contents, in their order; each block is read about once. */
async function sketchesOf(
  ports: { readonly engine: PageEngine; readonly pages: Pick<PageReader, 'read'> },
  holdings: readonly Holding[],
): Promise<Uint32Array> {
  const under: Promise<Uint32Array>[] = [];
  for (let first = 0; first < holdings.length; first += CHUNK_PAGES) {
    const some = holdings.slice(first, first + CHUNK_PAGES);
    const shared = new SharedArrayBuffer(some.length * PAGE_BYTES);
    const pages = await ports.pages.read(some, new Uint8Array(shared));
    const sketch = ports.engine.sketch(pages);
    sketch.catch(() => undefined);
    under.push(sketch);
    // As many chunks of pages in memory as threads have in hand.
    const waited = under.length - 2 * Math.max(1, ports.engine.threads);
    if (waited >= 0) await under[waited];
  }
  const sketches = await Promise.all(under);
  const all = new Uint32Array(sketches.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const sketch of sketches) {
    all.set(sketch, at);
    at += sketch.length;
  }
  return all;
}

/** Contents with similar ones side by side. */
export async function similarOrder(
  ports: { readonly engine: PageEngine; readonly pages: Pick<PageReader, 'read'> },
  holdings: readonly Holding[],
): Promise<readonly Holding[]> {
  const ordered: Holding[] = [];
  for (let first = 0; first < holdings.length; first += GROUPED_PAGES_MAX) {
    const some = holdings.slice(first, first + GROUPED_PAGES_MAX);
    const order = groupSimilar(await sketchesOf(ports, some), { groupPagesMax: GROUP_PAGES });
    for (const page of order) ordered.push(some[page]!);
  }
  return ordered;
}
