// A pack that a capture wrote as its event says it, whatever its schema, and what has to fit in tables of
// blocks.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { IDENTIFIER_BYTES } from '../ports/page-engine.ts';
import { codecOf, saltBytesOf } from '../values/block-salt.ts';
import { LedgerError } from '../values/ledger-error.ts';
import {
  CODEC_PACKED,
  CODEC_PATTERN,
  contentSlotsOf,
  PACK_HEADER_BYTES,
  PACKED_PAGES_MAX,
  type BlockTable,
} from '../values/pack.ts';
import { BLOCK_PAGES_MAX, PACK_PAGES_MAX, PACK_PATTERNS_MAX, PAGE_BYTES } from '../values/page.ts';
import type { SlotRuns } from '../values/slot-runs.ts';
import type { PatchTable } from './patches.ts';

export interface PackWritten {
  readonly name: string;
  readonly capture: number;
  readonly group: string;
  readonly sizeBytes: number;
  readonly blocks: BlockTable;
  /** IDENTIFIER_BYTES a slot, in slot order. */
  readonly identifiers: Uint8Array;
  readonly patches: PatchTable;
  /** Slots of contents that are held large: each is a content of its own, whatever equals it. Absent: none is. */
  readonly large?: SlotRuns;
}

/** Slots of a pack. */
export const packSlotsOf = (pack: PackWritten): number =>
  pack.identifiers.length / IDENTIFIER_BYTES;

/** The failure of an event that is none. */
export function malformed(why: string): Either<LedgerError, never> {
  return either.left(
    new LedgerError(
      'EVENT_INVALID',
      `a PackWritten event is malformed: ${why}; run \`pageledger verify\``,
      {
        found: why,
      },
    ),
  );
}

/** A sentence on what does not fit in a pack's table of blocks, or null. */
export function blocksFault(
  blocks: BlockTable,
  pack: { readonly slots: number; readonly sizeBytes: number },
): string | null {
  let slots = 0;
  let length = PACK_HEADER_BYTES;
  let isAfterPatterns = false;
  const { codecs, lengths } = blocks;
  for (let i = 0; i < codecs.length; i += 1) {
    const inBlock = blocks.pages[i]!;
    const codec = codecOf(codecs[i]!);
    const saltBytes = saltBytesOf(codecs[i]!);
    if (codec > CODEC_PACKED) return `block ${i} has codec ${codecs[i]}`;
    if (isAfterPatterns && codec !== CODEC_PATTERN)
      return `block ${i} holds contents after patterns`;
    isAfterPatterns = codec === CODEC_PATTERN;
    const pagesMax = codec === CODEC_PACKED ? PACKED_PAGES_MAX : BLOCK_PAGES_MAX;
    if (inBlock < 1 || inBlock > pagesMax) return `block ${i} has ${inBlock} pages`;
    if (lengths[i]! <= saltBytes || lengths[i]! > inBlock * PAGE_BYTES + saltBytes)
      return `block ${i} has ${lengths[i]} bytes`;
    slots += inBlock;
    length += lengths[i]!;
  }
  const contents = contentSlotsOf(blocks);
  if (contents > PACK_PAGES_MAX || slots - contents > PACK_PATTERNS_MAX)
    return `it holds ${contents} contents and ${slots - contents} patterns`;
  if (slots !== pack.slots) return `its blocks hold ${slots} pages, not ${pack.slots}`;
  return length === pack.sizeBytes ? null : `its blocks end at ${length}, not ${pack.sizeBytes}`;
}
