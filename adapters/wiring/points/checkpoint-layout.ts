// Layouts of checkpoints, joined: a point is laid out when it is named; what that did is kept an eye on.

import { randomBytes } from 'node:crypto';
import { areBlocksSalted, recordedCompression } from '../../../domain/ledger.ts';
import type { Image } from '../../../domain/ports/guests.ts';
import { isOfPack, type PageStore } from '../../../domain/ports/page-store.ts';
import { pagesOfImage, pagesOfPacks } from '../../../domain/use-cases/layout/copied-pages.ts';
import { countReads } from '../../../domain/use-cases/layout/counted-reads.ts';
import {
  layOut,
  type LaidOut,
  type LayOutRequest,
} from '../../../domain/use-cases/layout/lay-out.ts';
import { plainStorageEnds } from '../../../domain/use-cases/layout/storage-block-numbers.ts';
import { assert } from '../../../domain/values/assert.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { readFully } from '../../kernels/engine/file-pages.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { wholePack } from '../copy/pack-parts.ts';
import { hasCopies, laidOutPages, readLayoutMap, type CopiedLayout } from './point-reader.ts';
import { labelOf, tableOf, type VmPoint } from '../ledger/vm-point.ts';

/** Storage blocks that all of a point takes, read as `readPoint` reads it. POINT_DAMAGED. */
async function pointReads(ledger: Ledger, point: VmPoint): Promise<number> {
  const { contents } = ledger.state;
  const table = await tableOf(ledger, point, { isWhole: false });
  const pages = await laidOutPages(ledger, { point, table });
  return pages === null
    ? countReads(contents, table)
    : countReads(pages, table, { endsOf: pages.storageEnds(plainStorageEnds) });
}

/** Points that were laid out, each once. */
function laidOutPoints({ state }: Ledger): VmPoint[] {
  return [...state.catalogue.vms.values()].flatMap((entry) => {
    const captures = entry.checkpoints.flatMap(({ capture, layout }) =>
      layout === null ? [] : capture,
    );
    const rows = [...new Set(captures)]
      .toSorted((a, b) => a - b)
      .map((each) => entry.capture(each));
    return rows.flatMap((row) => (row === undefined ? [] : { entry, row }));
  });
}

/** What points of a group that were laid out hold, but what they are read from copies of. */
export async function* uncopied(ledger: Ledger, group: string): AsyncGenerator<Uint32Array> {
  for (const point of laidOutPoints(ledger)) {
    if (point.entry.state.registered?.group !== group) continue;
    const table = await tableOf(ledger, point, { isWhole: false });
    const pages = await laidOutPages(ledger, { point, table });
    yield pages === null ? table : table.filter((holding) => !pages.isCopied(holding));
  }
}

/** Points that were laid out, and the reads that they take all together. */
export interface LaidOutReads {
  readonly points: number;
  readonly reads: number;
}

/** The reads of points that were laid out, but for those of which something is lost. */
export async function laidOutReads(ledger: Ledger): Promise<LaidOutReads> {
  const all = { points: 0, reads: 0 };
  for (const point of laidOutPoints(ledger))
    try {
      all.reads += await pointReads(ledger, point);
      all.points += 1;
    } catch (thrown) {
      if (!isLedgerError(thrown)) throw thrown;
    }
  return all;
}

/** How a point is laid out. */
export interface LayOutOptions extends Pick<
  LayOutRequest,
  'bufferBytes' | 'onPages' | 'together' | 'before'
> {
  /** All of the point's memory, where it is at hand: no page is read back. */
  readonly image?: Image;
}

/** Pages of an image, side by side. */
const readImage = (image: Image, offsetBytes: number, bytes: Uint8Array): void => {
  const { file, label } = image;
  readFully({ file, label, offsetBytes, bytes, at: 0, lengthBytes: bytes.length });
};

/** Copies what lies apart of a point; nothing names it yet. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED. */
export async function layOutPoint(
  ledger: Ledger,
  { entry, row }: VmPoint,
  { image, ...options }: LayOutOptions = {},
): Promise<LaidOut> {
  const { state, store } = ledger;
  const { facts } = state.catalogue;
  const { registered } = entry.state;
  assert(registered !== null, 'a VM with captures is registered');
  return layOut(
    {
      store,
      sha256,
      randomBytes,
      engine: await ledger.engine(),
      pages:
        image === undefined
          ? pagesOfPacks(await ledger.pageReader())
          : pagesOfImage(image, readImage),
      locator: () => state.contents,
      compression: recordedCompression(facts),
      areBlocksSalted: () => areBlocksSalted(facts),
    },
    {
      group: registered.group,
      capture: row.capture,
      table: await tableOf(ledger, { entry, row }, { isWhole: false }),
      label: labelOf({ entry, row }),
      ...options,
    },
  );
}

/** What of checkpoints' copies cannot be read: notes, as every point is whole without them. */
export async function layoutFindings(
  ledger: Ledger,
  { catalogue }: LedgerState,
): Promise<Finding[]> {
  const store = ledger.store.origin ?? ledger.store;
  const findings: Finding[] = [];
  for (const { vm, checkpoints } of catalogue.vms.values())
    for (const { name, layout } of checkpoints) {
      const reason = hasCopies(layout) ? await damageOf(store, layout) : null;
      const where = `the copies of checkpoint ${name} of VM ${vm}`;
      if (reason !== null)
        findings.push({ kind: 'layout', where, reason, affects: [], isNote: true });
    }
  return findings;
}

/** Why copies cannot all be read; null: they can. */
async function damageOf(store: PageStore, layout: CopiedLayout): Promise<string | null> {
  try {
    for (const pack of (await readLayoutMap(store, layout)).packs) {
      const read = await wholePack(store, pack);
      if (read._tag === 'damaged') return read.reason;
    }
    return null;
  } catch (thrown) {
    if (isOfPack(thrown)) return thrown.message;
    throw thrown;
  }
}
