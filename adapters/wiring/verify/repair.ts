// Repair: what is damaged is put back from another ledger where that has the same pack whole, or looked
// for by identifier (heal.ts); what stays lost is said in the log, and what is there again is said as
// well; what is whole in damaged packs is stored anew (rescue.ts), and what is derived is made anew. No
// event is altered, and nothing is deleted.

import type { Finding } from '../../../domain/values/finding.ts';
import type { Holding } from '../../../domain/values/holding.ts';
import { run } from '../../../domain/ports/run.ts';
import type { AnyPack } from '../../../projections/models/contents.ts';
import type { VerifySummary } from '../../../projections/questions/verify.ts';
import { verify } from './verify.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { healFilesOf } from './heal-files.ts';
import { heal, type HealSources } from './heal.ts';
import { wholePack } from '../copy/pack-parts.ts';
import { rescue } from './rescue.ts';
import { lostIn, slotsOfHoldings, tellFound, tellLost } from './losses.ts';

export interface RepairRequest extends Pick<HealSources, 'from'> {
  /** Files of memory, or such as were kept beside a capture. */
  readonly images: readonly string[];
  /** Somebody has said that many packs may be lost. */
  readonly isConfirmed: boolean;
  readonly onProgress: (progress: { readonly done: number; readonly total: number }) => void;
  /** Called again and again while content is looked for; what it throws ends the repair, which leaves no packs behind that no event names. */
  readonly onStep?: () => void;
}

export interface Repaired {
  /** What is amiss still. */
  readonly findings: readonly Finding[];
  readonly summary: VerifySummary;
  /** Packs that were put back from the other ledger. */
  readonly packs: number;
  /** Pages and patterns that were found by identifier, and stored anew. */
  readonly healed: number;
  /** Pages and patterns that were whole in damaged packs, and lie in others now. */
  readonly rescued: number;
  /** Groups of which content is lost and was not looked for: their keys are not at hand. */
  readonly withoutKey: readonly string[];
}

/** Puts a pack back that the other ledger has whole; false: it has it not. */
async function putBack(ledger: Ledger, from: Ledger, pack: AnyPack): Promise<boolean> {
  const { name } = pack;
  const read = await wholePack(from.store.origin ?? from.store, pack);
  if (read._tag !== 'whole') return false;
  await run(ledger.store.put(read.pack));
  await ledger.store.drop?.(name);
  return true;
}

/** Repairs what can be, and checks everything once more. Refused where very much is lost. */
export async function repair(ledger: Ledger, request: RepairRequest): Promise<Repaired> {
  const { from, images, isConfirmed, onProgress, onStep = () => undefined } = request;
  const { state } = ledger;
  const files = await healFilesOf(ledger, images);
  const { damagedPacks } = await verify(ledger, onProgress);
  await state.catchUp({ heavy: true });
  const { contents } = state;
  const damaged = damagedPacks.flatMap((name) => contents.named(name) ?? []);
  const left: AnyPack[] = [];
  for (const pack of damaged)
    if (from === null || !(await putBack(ledger, from, pack))) left.push(pack);
  const isSought = from !== null || images.length > 0;
  const { pages: healed, withoutKey } = isSought
    ? await heal(ledger, { from, files, onStep }, await lostIn(ledger, left))
    : { pages: 0, withoutKey: [] };
  // What was found is not lost: only what stays so is said, and may be too much.
  const stays = await lostIn(ledger, left);
  await tellLost(ledger, { ...stays, isConfirmed });
  const rescued = left.length === 0 ? 0 : await rescue(ledger, left, { found: stays, onStep });
  await findAgain(ledger);
  await state.rebuild();
  const { findings, summary } = await verify(ledger, onProgress);
  const packs = damaged.length - left.length;
  return { findings, summary, packs, healed, rescued, withoutKey };
}

/** Says what was lost, as the log says, and can be read now. */
async function findAgain(ledger: Ledger): Promise<void> {
  const { contents, losses } = ledger.state;
  const named: Holding[] = [...losses.slots].flatMap(([name, slots]) => {
    const pack = contents.byName(name);
    return pack === undefined ? [] : [...slots].map((slot) => contents.holdingAt(pack, slot));
  });
  // What another stands for is not read any more.
  const isRead = (each: Holding): boolean =>
    contents.firstOf(each) === each && contents.placeOf(each) >= 0;
  const there = named.filter(isRead);
  const packs = new Set(there.map((each) => contents.packAt(contents.placeOf(each))));
  const { lost, unread } = await lostIn(ledger, [...packs]);
  await tellFound(
    ledger,
    slotsOfHoldings(
      contents,
      there.filter((each) => !lost.has(each) && !unread.has(each)),
    ),
  );
}
