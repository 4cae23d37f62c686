// What damaged packs have that is whole, stored anew: then nothing depends on them.

import { descriptorsOf } from '../../../domain/use-cases/compact/kept-patterns.ts';
import { PackRewriter } from '../../../domain/use-cases/compact/pack-rewriter.ts';
import { isContent, type Holding } from '../../../domain/values/holding.ts';
import type { AnyPack } from '../../../projections/models/contents.ts';
import { lyingIn } from '../../../projections/questions/pack-check.ts';
import { placesOf } from '../forget/compact.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { unreadableIn, type Lost } from './losses.ts';
import { alone, packPorts } from './repair-packs.ts';

/** What of a pack can be read still, and lies in it. */
function wholeIn(
  { state: { contents } }: Ledger,
  pack: AnyPack,
  unreadable: ReadonlySet<Holding>,
): Holding[] {
  const isWhole = (holding: Holding): boolean => !unreadable.has(contents.firstOf(holding));
  return [...lyingIn(contents, pack)].filter(isWhole);
}

/**
 * Stores anew what can still be read of damaged packs, so that nothing that is whole lies in one: how
 * many pages and patterns. COMPACTION_BUSY.
 */
export function rescue(
  ledger: Ledger,
  packs: readonly AnyPack[],
  { found, onStep }: { readonly found: Lost; readonly onStep: () => void },
): Promise<number> {
  return alone(ledger, async () => {
    const unreadable = unreadableIn(ledger, found);
    let rescued = 0;
    for (const pack of packs) {
      onStep();
      rescued += await rescueFrom(ledger, pack, unreadable);
    }
    return rescued;
  });
}

async function rescueFrom(
  ledger: Ledger,
  pack: AnyPack,
  unreadable: ReadonlySet<Holding>,
): Promise<number> {
  const { store } = ledger;
  const whole = wholeIn(ledger, pack, unreadable);
  if (whole.length === 0) return 0;
  const engine = await ledger.engine();
  const pages = await ledger.pageReader();
  const places = placesOf(ledger);
  const rewriter = new PackRewriter(
    { ...packPorts(ledger), engine, pages, places },
    { group: pack.group, onPages: () => {} },
  );
  try {
    const kept = new Set(whole);
    const isNeeded = (holding: Holding): boolean => kept.has(holding);
    const patterns = await descriptorsOf({ engine, store, places }, pack, { isNeeded });
    for (const holding of whole) if (isContent(holding)) await rewriter.add(holding, null);
    await rewriter.finish(patterns);
  } finally {
    await rewriter.abandon();
  }
  return whole.length;
}
