// The sharing state where history begins: made of what a baseline keeps of each pack (baseline.ts).

import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { NumberSet } from '../../domain/values/number-set.ts';
import { FIRST_CONTENT, PATTERN_BASE } from '../../domain/values/holding.ts';
import type { Baseline, KeptSlots } from './baseline.ts';
import { Contents, isWritten, type KnownPack } from './contents.ts';
import { IdentifierIndex, type IdentifierColumn } from './identifier-index.ts';
import { Sharing } from './sharing.ts';
import { StateReader, StateUnfit } from './state-bytes.ts';

/** What the state is made into. */
interface Made {
  readonly column: IdentifierColumn;
  readonly index: IdentifierIndex;
  readonly holders: Uint32Array;
  /** Of all patterns; zeros where one is gone. */
  readonly patterns: Uint8Array;
  readonly released: NumberSet;
  readonly releasedPatterns: NumberSet;
}

const hasSlot = (slots: Uint8Array, slot: number): boolean =>
  (slots[slot >> 3]! & (1 << (slot & 7))) !== 0;

/** Patterns that are gone are found no more. */
function releaseGone({ releasedPatterns }: Made, from: number, to: number): void {
  for (let pattern = from; pattern < to; pattern += 1) releasedPatterns.add(pattern);
}

function takeContent(
  made: Made,
  contents: Contents,
  of: { readonly content: number; readonly isFound: boolean; readonly identifier: Uint8Array },
): void {
  const { content, isFound, identifier } = of;
  made.column.append(content, identifier);
  if (contents.isReleased(FIRST_CONTENT + content)) made.released.add(content);
  else if (isFound && !contents.aliases.has(content)) made.index.insert(identifier, 0, content);
}

function takePack(made: Made, contents: Contents, pack: KnownPack, kept: KeptSlots): void {
  const { pages, patterns, firstContent, firstPattern } = pack;
  const slots = pages + patterns;
  if (kept.slots.length * 8 < slots) throw new StateUnfit('slots of a pack are not told');
  let row = 0;
  let contentsKept = 0;
  for (let slot = 0; slot < slots; slot += 1) {
    const isKept = hasSlot(kept.slots, slot);
    const at = row * IDENTIFIER_BYTES;
    const identifier = kept.identifiers.subarray(at, at + IDENTIFIER_BYTES);
    if (isKept && identifier.length < IDENTIFIER_BYTES)
      throw new StateUnfit('identifiers of a pack are not told');
    if (isKept) row += 1;
    if (slot < pages) {
      const content = firstContent + slot;
      if (!isKept) {
        made.released.add(content);
        continue;
      }
      takeContent(made, contents, { content, isFound: pack.isFound(content), identifier });
      made.holders[content] = kept.holders[contentsKept] ?? 0;
      contentsKept += 1;
      continue;
    }
    const pattern = firstPattern + slot - pages;
    if (isKept) made.patterns.set(identifier, pattern * IDENTIFIER_BYTES);
    if (!isKept || contents.isReleased(PATTERN_BASE + pattern)) made.releasedPatterns.add(pattern);
  }
}

/** The sharing state at a baseline. StateUnfit where it contradicts itself. */
export function sharingAt(baseline: Baseline, column: IdentifierColumn): Sharing {
  const contents = Contents.load(new StateReader(baseline.contents));
  const { count, patternCount } = contents;
  const kept = new Map(baseline.kept.map((of) => [of.ordinal, of]));
  const made: Made = {
    column,
    index: new IdentifierIndex(column),
    holders: new Uint32Array(count),
    patterns: new Uint8Array(patternCount * IDENTIFIER_BYTES),
    released: new NumberSet(),
    releasedPatterns: new NumberSet(),
  };
  column.clear();
  let next = 0;
  let nextPattern = 0;
  for (const pack of contents.packs) {
    if (!isWritten(pack)) continue;
    releaseGone(made, nextPattern, pack.firstPattern);
    const of = kept.get(pack.ordinal);
    if (of === undefined) throw new StateUnfit('a pack has no slots');
    takePack(made, contents, pack, of);
    next = pack.firstContent + pack.pages;
    nextPattern = pack.firstPattern + pack.patterns;
  }
  releaseGone(made, nextPattern, patternCount);
  // The last record of the column is there, whatever is gone.
  if (next < count) column.append(count - 1, new Uint8Array(IDENTIFIER_BYTES));
  const sharing = new Sharing(column, { ...made, indexed: count });
  for (const holding of baseline.hidden) sharing.hide(holding);
  return sharing;
}
