// Layouts of checkpoints, joined: a point is laid out when it is named, and whoever reads a point that was
// reads it by its map. A map or a copy that cannot be had is done without.

import { randomBytes } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import { areBlocksSalted, recordedCompression } from '../../domain/ledger.ts';
import { decodeLayoutMap, type LayoutMap } from '../../domain/events/layout-map.ts';
import type { CheckpointLayout } from '../../domain/events/control.ts';
import { isOfPack, type PageStore } from '../../domain/ports/page-store.ts';
import { run } from '../../domain/ports/run.ts';
import { countReads } from '../../domain/use-cases/layout/counted-reads.ts';
import { layOut, type LaidOut, type LayOutRequest } from '../../domain/use-cases/layout/lay-out.ts';
import { LaidOutPages } from '../../domain/use-cases/layout/laid-out-pages.ts';
import { LaidOutReader, type PointReader } from '../../domain/use-cases/layout/laid-out-reader.ts';
import { PageReader } from '../../domain/use-cases/pages/page-reader.ts';
import { assert } from '../../domain/values/assert.ts';
import { toHex } from '../../domain/values/identifier.ts';
import type { Finding } from '../../domain/values/finding.ts';
import { isLedgerError, LedgerError } from '../../domain/values/ledger-error.ts';
import type { CaptureRow, VmEntry } from '../../projections/models/vm-entry.ts';
import type { LedgerState } from '../../projections/models/ledger-state.ts';
import { sha256 } from './digest.ts';
import type { Ledger } from './ledger.ts';
import { wholePack } from './pack-parts.ts';

/** A point of a VM. */
interface Point {
  readonly entry: VmEntry;
  readonly row: CaptureRow;
}

/** A layout that has copies. */
export type CopiedLayout = CheckpointLayout & {
  readonly map: NonNullable<CheckpointLayout['map']>;
};

/** Whether a layout has copies. */
export const hasCopies = (layout: CheckpointLayout | null): layout is CopiedLayout =>
  layout !== null && layout.map !== null;

/** The layout that a point is read by; null: it has no checkpoint that copies were made for. */
function layoutOfPoint({ entry, row }: Point): CopiedLayout | null {
  const named = entry.checkpoints.filter(({ capture }) => capture === row.capture);
  return named.map(({ layout }) => layout).findLast(hasCopies) ?? null;
}

/** The map of a layout. PACK_MISSING, PACK_DAMAGED. */
export async function readLayoutMap(
  store: Pick<PageStore, 'get'>,
  { map: { name, bytes: lengthBytes } }: CopiedLayout,
): Promise<LayoutMap> {
  const bytes = await run(store.get({ name, offsetBytes: 0, lengthBytes }));
  const isSound = toHex(sha256(bytes)) === name;
  const read = isSound
    ? decodeLayoutMap(bytes)
    : either.left('its bytes are others than were written');
  if (either.isRight(read)) return read.right;
  throw new LedgerError(
    'PACK_DAMAGED',
    `the map ${name} of a checkpoint cannot be used: ${read.left}; the point is whole without it: run \`pageledger verify\``,
    { name },
  );
}

/** A point and what its pages hold. */
interface TabledPoint {
  readonly point: Point;
  readonly table: Uint32Array;
}

/** Where a point's pages are read from: by the map of its checkpoint; null: it has none that can be had. */
async function laidOutPages(
  { state, store }: Ledger,
  { point, table }: TabledPoint,
  onLost: (reason: string) => void = () => undefined,
): Promise<LaidOutPages | null> {
  const layout = layoutOfPoint(point);
  if (layout === null) return null;
  try {
    const map = await readLayoutMap(store, layout);
    return new LaidOutPages(() => state.contents, map, table);
  } catch (thrown) {
    if (!isOfPack(thrown)) throw thrown;
    onLost(thrown.message);
    return null;
  }
}

/** Who reads a point: by the map of its checkpoint, where it was laid out. */
export async function pointReader(ledger: Ledger, of: TabledPoint): Promise<PointReader> {
  const plain = await ledger.pageReader();
  const onLost = (reason: string): void => ledger.tell(withoutCopies(reason));
  const pages = await laidOutPages(ledger, of, onLost);
  if (pages === null) return plain;
  const { state, store } = ledger;
  return new LaidOutReader({
    plain,
    copies: new PageReader({
      engine: await ledger.engine(),
      store,
      locator: () => pages,
      catchUp: () => state.catchUp({ heavy: false }),
    }),
    isTheirs: pages.isFailing,
    onLost,
  });
}

/** Storage blocks that all of a point takes, read as `pointReader` reads it. POINT_DAMAGED. */
async function pointReads(ledger: Ledger, point: Point): Promise<number> {
  const { tables, contents } = ledger.state;
  const table = await tables.at(point.entry, contents, point.row);
  const pages = await laidOutPages(ledger, { point, table });
  return pages === null ? countReads(contents, table) : countReads(pages, table, pages.storageEnds);
}

/** Points that were laid out, each once. */
function laidOutPoints({ state }: Ledger): Point[] {
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
  const { tables, contents } = ledger.state;
  for (const point of laidOutPoints(ledger)) {
    if (point.entry.state.registered?.group !== group) continue;
    const table = await tables.at(point.entry, contents, point.row);
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

const withoutCopies = (reason: string): string =>
  `the point is read without the copies of its checkpoint, which are not needed for it: ${reason}`;

/** Copies what lies apart of a point; nothing names it yet. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED. */
export async function layOutPoint(
  ledger: Ledger,
  { entry, row }: Point,
  options: Pick<LayOutRequest, 'bufferBytes' | 'onPages'> = {},
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
      pages: await ledger.pageReader(),
      locator: () => state.contents,
      compression: recordedCompression(facts),
      areBlocksSalted: () => areBlocksSalted(facts),
    },
    {
      group: registered.group,
      capture: row.capture,
      table: await state.tables.at(entry, state.contents, row),
      label: `capture ${row.capture} of VM ${entry.vm}`,
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
