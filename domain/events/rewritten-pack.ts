// A rewritten pack as its event says it, whatever its schema, and what has to fit.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { LedgerError } from '../values/ledger-error.ts';
import type { BlockTable } from '../values/pack.ts';
import { PACK_SLOTS } from '../values/page.ts';
import type { PatchTable } from './patches.ts';
import { isGroupName } from './streams.ts';
import { blocksFault } from './written-pack.ts';

/** Most packs whose slots one rewritten pack stands for: their names stand in its event. */
export const SOURCE_PACKS_MAX = 3072;

export interface PackRewritten {
  readonly name: string;
  readonly group: string;
  readonly sizeBytes: number;
  readonly blocks: BlockTable;
  /**
   * Names of packs whose slots hold what this one holds: up to schema 3 the packs that first held it,
   * from schema 4 on those where it lay, and behind them those that only its patches name.
   */
  readonly sources: readonly string[];
  /** Of each slot: the pack, as an index, and the slot that it stands for. */
  readonly sourceIndexes: Uint16Array;
  readonly sourceSlots: Uint16Array;
  readonly patches: PatchTable;
  /**
   * Whether its blocks are copied whole. In an event of schema 4 their checksums are zeros then, and it
   * names no patches: both are those of the sources.
   */
  readonly isCopied: boolean;
}

/** The failure of an event that is none. */
export const malformed = (why: string): Either<LedgerError, never> =>
  either.left(
    new LedgerError(
      'EVENT_INVALID',
      `a PackRewritten event is malformed: ${why}; run \`pageledger verify\``,
      { found: why },
    ),
  );

/** A sentence on what does not fit in a pack's table or its sources, or null. */
export function rewrittenFault(pack: PackRewritten): string | null {
  if (!isGroupName(pack.group)) return 'its group has a name that is not allowed';
  for (let i = 0; i < pack.sourceSlots.length; i += 1)
    if (pack.sourceIndexes[i]! >= pack.sources.length || pack.sourceSlots[i]! >= PACK_SLOTS)
      return `its slot ${i} stands for slot ${pack.sourceSlots[i]} of pack ${pack.sourceIndexes[i]}`;
  return blocksFault(pack.blocks, { slots: pack.sourceSlots.length, sizeBytes: pack.sizeBytes });
}
