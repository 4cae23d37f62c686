// Lays a checkpoint's point out: pages that lie apart are copied, in their order, block of pages by block
// of pages, each compressed or raw, into packs of the checkpoint's own, whose blocks are read by storage
// block; then their map is written. All of it is durable before the event that names it, and means
// nothing without that: whoever stops at any instant leaves what no event names. A point that was
// captured just now is copied from the memory that was captured.
//
// Memory: the page reader's two windows, or a MiB, the packs that are being put, the map.

import type { CheckpointLayout } from '../../events/control.ts';
import { run } from '../../ports/run.ts';
import type { PageLocator } from '../../ports/models.ts';
import type { Compression, PageEngine } from '../../ports/page-engine.ts';
import { assert } from '../../values/assert.ts';
import { encodeLayoutMap, type LaidOutPack, type LayoutMap } from '../../events/layout-map.ts';
import { PackBytes } from '../../values/pack-bytes.ts';
import { PACK_PAGES_MAX, PAGE_BYTES } from '../../values/page.ts';
import { STAGING_BLOCK_BYTES, storageBlockEnds } from '../../values/storage-blocks.ts';
import { PackWriter, type PackWriterPorts } from '../pages/pack-writer.ts';
import type { CopiedPages } from './copied-pages.ts';
import { countReads } from './counted-reads.ts';
import { LaidOutPages } from './laid-out-pages.ts';
import { planLayout, type LayoutPlan } from './layout-plan.ts';
import { plainStorageEnds, type StorageEnds } from './storage-block-numbers.ts';

export interface LayOutPorts extends PackWriterPorts {
  readonly engine: Pick<PageEngine, 'encode' | 'encodePatterns'>;
  /** Where the pages are taken from that are copied. */
  readonly pages: CopiedPages;
  readonly locator: () => PageLocator;
  readonly compression: Compression;
}

export interface LayOutRequest {
  readonly group: string;
  readonly capture: number;
  /** What the pages of the capture hold. */
  readonly table: Uint32Array;
  /** What a message calls the point. */
  readonly label: string;
  /** Sets of pages that are asked for together, in that order; absent: none are known. */
  readonly together?: readonly Uint32Array[];
  /** How the point is read until now; absent: as the ledger has its pages. */
  readonly before?: { readonly locator: PageLocator; readonly endsOf: StorageEnds };
  /** Bytes of the staging buffer; absent: as for users. */
  readonly bufferBytes?: number;
  readonly onPages?: (progress: { readonly pages: number; readonly pageCount: number }) => void;
}

/** What was written for a checkpoint; nothing names it yet. */
export interface LaidOut {
  readonly layout: CheckpointLayout;
  /** Pages that were copied, and storage blocks that hold them. */
  readonly pages: number;
  readonly storageBlocks: number;
  /**
   * Storage blocks that all of the point takes, before and with the copies; where it is known what is
   * asked for together, those that this takes, one after the other.
   */
  readonly readsBefore: number;
  readonly reads: number;
  /** Deletes what was written, where it shall not be named. */
  readonly takeBack: () => Promise<void>;
}

const NOTHING: CheckpointLayout = { bytes: 0, map: null, packs: [] };

/** Writes the copies; in their order, whole packs. */
async function writeCopies(
  ports: LayOutPorts,
  plan: LayoutPlan,
  { writer, request }: { readonly writer: PackWriter; readonly request: LayOutRequest },
): Promise<readonly LaidOutPack[]> {
  const { engine, compression } = ports;
  const { label, bufferBytes = STAGING_BLOCK_BYTES, onPages } = request;
  const packs: LaidOutPack[] = [];
  const seal = (): Promise<void> =>
    writer.seal(({ name, sizeBytes, blocks }) => {
      const storageEnds = storageBlockEnds(blocks.lengths, bufferBytes);
      packs.push({ name, sizeBytes, blocks, storageEnds });
    });
  let done = 0;
  for await (const { firstPage, pages } of ports.pages(plan, label)) {
    assert(firstPage === done, 'every page that is copied is there');
    for (let at = 0; at < pages.length;) {
      const end = Math.min(pages.length, at + (PACK_PAGES_MAX - writer.slots) * PAGE_BYTES);
      writer.addAll(engine.encode(pages.subarray(at, end), compression));
      at = end;
      if (writer.slots === PACK_PAGES_MAX) await seal();
    }
    done += pages.length / PAGE_BYTES;
    onPages?.({ pages: done, pageCount: plan.gfns.length });
  }
  assert(done === plan.gfns.length, 'every page that is copied was written');
  if (writer.slots > 0) await seal();
  await writer.finish();
  return packs;
}

/** Puts the map; its name and its length. */
async function putMap({ store, sha256 }: LayOutPorts, map: LayoutMap) {
  const pack = new PackBytes(encodeLayoutMap(map), sha256);
  await run(store.put(pack));
  return { name: pack.name, bytes: pack.bytes.length };
}

/**
 * Lays a point out. Where copies would make it no better there are none. What was written is taken
 * back where that fails. POINT_DAMAGED, and what reading and writing packs may say.
 */
export async function layOut(ports: LayOutPorts, request: LayOutRequest): Promise<LaidOut> {
  const { capture, table, together = [], before } = request;
  const asked = together.flatMap((set) => [...set]);
  const counted = asked.length === 0 ? table : Uint32Array.from(asked, (gfn) => table[gfn]!);
  const whole = asked.length === 0 ? {} : { regionPages: Infinity };
  const readsBefore = countReads(before?.locator ?? ports.locator(), counted, {
    ...whole,
    ...(before === undefined ? {} : { endsOf: before.endsOf }),
  });
  const nothing = (): LaidOut => ({
    layout: NOTHING,
    pages: 0,
    storageBlocks: 0,
    readsBefore,
    reads: readsBefore,
    takeBack: () => Promise.resolve(),
  });
  const plan = planLayout(ports.locator(), table, together);
  if (plan.gfns.length === 0) return nothing();
  const writer = new PackWriter(ports, request);
  try {
    const packs = await writeCopies(ports, plan, { writer, request });
    const map = { capture, packs, gfns: plan.gfns };
    const laidOut = new LaidOutPages(ports.locator, map, table);
    const reads = countReads(laidOut, counted, {
      ...whole,
      endsOf: laidOut.storageEnds(plainStorageEnds),
    });
    if (reads >= readsBefore) {
      await writer.takeBack();
      return nothing();
    }
    const named = await putMap(ports, map);
    const copied = packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return {
      layout: { bytes: copied, map: named, packs: packs.map(({ name }) => name) },
      pages: plan.gfns.length,
      storageBlocks: packs.reduce((sum, { storageEnds }) => sum + storageEnds.length, 0),
      readsBefore,
      reads,
      takeBack: async () => {
        await writer.takeBack();
        await ports.store.delete(named.name)();
      },
    };
  } catch (thrown) {
    await writer.takeBack();
    throw thrown;
  }
}
