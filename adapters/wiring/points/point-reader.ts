// Who reads a point, joined: by the map of its checkpoint where it was laid out, from the copies of that
// as far as it has some. A map or a copy that cannot be had is done without.

import * as either from 'fp-ts/lib/Either.js';
import { decodeLayoutMap, type LayoutMap } from '../../../domain/events/layout-map.ts';
import type { CheckpointLayout } from '../../../domain/events/control.ts';
import type { PageLocator } from '../../../domain/ports/models.ts';
import { isOfPack, type PageStore } from '../../../domain/ports/page-store.ts';
import { run } from '../../../domain/ports/run.ts';
import { LaidOutPages } from '../../../domain/use-cases/layout/laid-out-pages.ts';
import {
  LaidOutReader,
  type PointReader,
} from '../../../domain/use-cases/layout/laid-out-reader.ts';
import type { StorageEnds } from '../../../domain/use-cases/layout/storage-block-numbers.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { CheckpointRow } from '../../../projections/models/vm-entry.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** A layout that has copies. */
export type CopiedLayout = CheckpointLayout & {
  readonly map: NonNullable<CheckpointLayout['map']>;
};

/** Whether a layout has copies. */
export const hasCopies = (layout: CheckpointLayout | null): layout is CopiedLayout =>
  layout !== null && layout.map !== null;

/** The checkpoint whose layout a point is read by; null: it has none that copies were made for. */
function copiedAt({ entry, row }: VmPoint): (CheckpointRow & { layout: CopiedLayout }) | null {
  const named = entry.checkpoints.findLast(
    ({ capture, layout }) => capture === row.capture && hasCopies(layout),
  );
  return named === undefined || !hasCopies(named.layout)
    ? null
    : { ...named, layout: named.layout };
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
export interface TabledPoint {
  readonly point: VmPoint;
  readonly table: Uint32Array;
}

/** Where a point's pages are read from: by the map of its checkpoint; null: it has none that can be had. */
export async function laidOutPages(
  { state, store }: Ledger,
  { point, table }: TabledPoint,
  onLost: (reason: string) => void = () => undefined,
): Promise<LaidOutPages | null> {
  const checkpoint = copiedAt(point);
  if (checkpoint === null) return null;
  try {
    const map = await readLayoutMap(store, checkpoint.layout);
    return new LaidOutPages(() => state.contents, map, table);
  } catch (thrown) {
    if (!isOfPack(thrown)) throw thrown;
    onLost(thrown.message);
    return null;
  }
}

/** Who reads a point, and where it finds its pages. */
export interface ReadPoint {
  readonly reader: PointReader;
  /** Where pages are read from. */
  readonly locator: PageLocator;
  /** Where storage blocks end: of copies as the map says, of other packs as `others` has it. */
  readonly storageEnds: (others: StorageEnds) => StorageEnds;
  /** Whether copies were made by what guests asked for. */
  readonly isTraced: boolean;
}

/** Makes ready what reads a point: by the map of its checkpoint, where it was laid out. */
export async function readPoint(ledger: Ledger, of: TabledPoint): Promise<ReadPoint> {
  const plain = await ledger.pageReader();
  const onLost = (reason: string): void =>
    ledger.tell(
      `the point is read without the copies of its checkpoint, which are not needed for it: ${reason}`,
    );
  const pages = await laidOutPages(ledger, of, onLost);
  if (pages === null)
    return {
      reader: plain,
      locator: ledger.state.contents,
      storageEnds: (others) => others,
      isTraced: false,
    };
  const isTraced = (copiedAt(of.point)?.traced ?? null) !== null;
  const reader = new LaidOutReader({
    plain,
    copies: plain.finding(() => pages),
    isTheirs: pages.isFailing,
    onLost,
  });
  return { reader, locator: pages, storageEnds: (others) => pages.storageEnds(others), isTraced };
}
