// What of a pack can be had, where it cannot be had whole.

import * as either from 'fp-ts/lib/Either.js';
import { isOfPack, type PageStore } from '../../../domain/ports/page-store.ts';
import { blockStarts } from '../../../domain/values/pack.ts';
import { PackBytes } from '../../../domain/values/pack-bytes.ts';
import type { AnyPack } from '../../../projections/models/contents.ts';
import type { OpenFinding } from '../../../projections/questions/affected-points.ts';
import { PackCheck } from '../../../projections/questions/pack-check.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** A pack as it was read, or why it cannot be had whole. */
export type ReadPack =
  | { readonly _tag: 'whole'; readonly pack: PackBytes }
  | { readonly _tag: 'damaged'; readonly reason: string };

/** Reads a pack whole; a place that does not answer is thrown. */
export async function wholePack(
  store: PageStore,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: number },
): Promise<ReadPack> {
  const read = await store.get({ name, offsetBytes: 0, lengthBytes: sizeBytes })();
  if (either.isLeft(read)) {
    if (!isOfPack(read.left)) throw read.left;
    return { _tag: 'damaged', reason: read.left.message };
  }
  const pack = new PackBytes(read.right, sha256);
  if (pack.name === name) return { _tag: 'whole', pack };
  return { _tag: 'damaged', reason: 'its bytes are others than were written' };
}

/**
 * All of a pack that can be read, in its place, with zeros for the rest and a byte more than the pack
 * has, by which it is known to be no whole one; null where nothing can be read.
 */
export async function readablePart(store: PageStore, pack: AnyPack): Promise<Uint8Array | null> {
  const { name, sizeBytes, blocks } = pack;
  const part = new Uint8Array(sizeBytes + 1);
  const starts = [0, ...blockStarts(blocks).offsets];
  let isAny = false;
  for (const [i, offsetBytes] of starts.entries()) {
    const lengthBytes = (starts[i + 1] ?? sizeBytes) - offsetBytes;
    if (lengthBytes <= 0) continue;
    const read = await store.get({ name, offsetBytes, lengthBytes })();
    if (either.isRight(read)) {
      part.set(read.right, offsetBytes);
      // The header before the blocks is of no use alone.
      isAny ||= i > 0;
    } else if (!isOfPack(read.left)) throw read.left;
    else if (read.left.code === 'PACK_MISSING') return null;
  }
  return isAny ? part : null;
}

/** What is amiss with a pack of a ledger, as its bytes and their checksums say: without keys. */
export async function damagesOf(ledger: Ledger, pack: AnyPack): Promise<readonly OpenFinding[]> {
  const { store, state } = ledger;
  const found: OpenFinding[] = [];
  const check = new PackCheck(
    {
      contents: state.contents,
      store: store.origin ?? store,
      engine: await ledger.engine(),
      sha256,
      useKey: () => Promise.resolve(false),
      identifierOf: () => null,
    },
    (finding, lost) => found.push({ finding, lost }),
  );
  await check.check(pack);
  return found;
}
