// Kinds of page events as the fold says them: a recorder saw what
// was committed when it began, and the log decides.

import {
  KIND_BROKE,
  KIND_MASK,
  KIND_MERGED,
  KIND_STORED,
  type PageColumns,
} from '../../domain/events/pages-written.ts';
import type { CaptureChange } from '../commits.ts';
import type { Contents, KnownPack } from './contents.ts';

/** What is needed of a fold that has come past the change. */
export interface FoldedOutcomes {
  readonly contents: Contents;
  /** Items, by commit, whose SharingBroken the fold decides otherwise than was recorded. */
  readonly toggles: ReadonlyMap<bigint, readonly number[]>;
}

const kindWith = (kind: number, outcome: number): number => (kind & ~KIND_MASK) | outcome;

/**
 * Whether a content was there before it was stored again. One that was released and used again may be
 * stood for by a later one: that changes nothing of how it was stored.
 */
function isOverridden({ aliases }: Contents, content: number): boolean {
  const first = aliases.get(content);
  return first !== undefined && first < content;
}

/**
 * Kinds of a batch's rows: a store whose content was there before is a merge, and KIND_BROKE says
 * whether the write broke a sharing. The batch's own column where nothing differs. O(rows).
 */
export function foldedKinds(
  { contents, toggles }: FoldedOutcomes,
  { position }: Pick<CaptureChange, 'position'>,
  columns: PageColumns,
): Uint8Array {
  const { packIndexes, slots, firstRow } = columns;
  const packs: (KnownPack | undefined)[] = columns.packs.map((name) => contents.byName(name));
  let { kinds } = columns;
  if (contents.aliases.size > 0 || packs.includes(undefined)) {
    kinds = kinds.slice();
    for (let row = 0; row < kinds.length; row += 1) {
      const kind = kinds[row]!;
      if ((kind & KIND_MASK) !== KIND_STORED) continue;
      const pack = packs[packIndexes[row]!];
      const isFirst =
        pack !== undefined && !isOverridden(contents, pack.firstContent + slots[row]!);
      if (!isFirst) kinds[row] = kindWith(kind, KIND_MERGED);
    }
  }
  const toggled = toggles.get(position) ?? [];
  for (const item of toggled) {
    const row = (item - 1) / 2 - firstRow;
    if (row < 0 || row >= kinds.length) continue;
    if (kinds === columns.kinds) kinds = kinds.slice();
    kinds[row]! ^= KIND_BROKE;
  }
  return kinds;
}
