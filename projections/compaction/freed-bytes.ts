// What compaction would give back if captures were forgotten: the stored bytes of what only they hold,
// as far as it lies in packs that compaction empties by its own rules. It leaves out what better
// neighbours save, so it says too little. O(pages) and O(page events), as a compaction's survey.

import { candidatesIn, chosenOf } from '../../domain/use-cases/compact/policy.ts';
import type { SurveyedPack } from '../../domain/use-cases/compact/models.ts';
import { groupedBy } from '../../domain/values/grouped.ts';
import { ordinalAt } from '../../domain/values/place.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { StoredSizes } from '../questions/stored-sizes.ts';
import { HoldingSet } from '../../domain/values/holding-set.ts';
import { keptCaptures, type CaptureFilter } from './kept-captures.ts';
import { surveyOf } from './survey.ts';

/** Ordinals of packs that compaction would empty. */
function emptiedIn(packs: readonly SurveyedPack[]): Set<number> {
  const emptied = new Set<number>();
  for (const all of groupedBy(packs, ({ group }) => group).values()) {
    const candidates = candidatesIn(all);
    let bytesBefore = 0;
    let bytesAfter = 0;
    for (const { sizeBytes, slots, held } of candidates) {
      bytesBefore += sizeBytes;
      bytesAfter += (sizeBytes * held) / slots;
    }
    const chosen = chosenOf(candidates, { bytesBefore, bytesAfter });
    for (const { ordinal } of chosen) emptied.add(ordinal);
  }
  return emptied;
}

/** Bytes by capture number, by VM; what several captures hold counts with the first of them. */
export type FreedBytes = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** What the captures that go free together at least. LOG_DAMAGED where that cannot be told. */
export async function freedBytes(state: LedgerState, goes: CaptureFilter): Promise<FreedBytes> {
  const survey = await surveyOf(
    state,
    (entry, capture) => !entry.isForgotten(capture) && !goes(entry, capture),
  );
  const { contents, catalogue } = state;
  const emptied = emptiedIn(survey.packs);
  const sizes = new StoredSizes(contents);
  const met = new HoldingSet();
  const bytesOf = (holdings: Uint32Array): number => {
    let bytes = 0;
    for (const holding of holdings) {
      if (survey.isNeeded(holding) || !met.add(holding)) continue;
      const place = contents.placeOf(holding);
      if (place >= 0 && emptied.has(ordinalAt(place))) bytes += sizes.bytesOf(holding);
    }
    return bytes;
  };
  const freed = new Map<string, Map<number, number>>();
  for (const entry of catalogue.vms.values()) {
    if (entry.state.registered === null) continue;
    const byCapture = new Map<number, number>();
    for await (const { row, table, writes, beside } of keptCaptures(state, entry, goes)) {
      let bytes = bytesOf(beside);
      if (table !== null) bytes += bytesOf(table);
      for (const { holdings } of writes) bytes += bytesOf(holdings);
      byCapture.set(row.capture, bytes);
    }
    freed.set(entry.vm, byCapture);
  }
  return freed;
}
