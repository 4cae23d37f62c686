// Merging small packs while recording, joined: what a recorder does between two captures, where the
// ledger lies on this host. Of one that hosts share, `compact` bounds the number of packs: there each
// event and object costs a round trip, and a compaction of another host has the log's word first.

import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import * as either from 'fp-ts/lib/Either.js';
import { recordedCompression } from '../../../domain/ledger.ts';
import { decodePageColumns, KIND_MASK, KIND_STORED } from '../../../domain/events/pages-written.ts';
import { tierOf, packsToMerge, type MergeablePack } from '../../../domain/merging.ts';
import { SAFE_GRACE_MS } from '../../../domain/store.ts';
import { deletePacks } from '../../../domain/use-cases/compact/deletion.ts';
import { NO_GFN } from '../../../domain/use-cases/compact/models.ts';
import {
  mergePacks,
  type GroupedPack,
  type MergeModels,
} from '../../../domain/use-cases/merge/merge.ts';
import { contentOf, isContent, UNKNOWN, type Holding } from '../../../domain/values/holding.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { areAsRecorded, CODEC_PACKED } from '../../../domain/values/pack.ts';
import { placeAt } from '../../../domain/values/place.ts';
import {
  isWritten,
  type AnyPack,
  type Contents,
  type KnownPack,
} from '../../../projections/models/contents.ts';
import { IndexUnfit } from '../../../projections/models/identifier-index.ts';
import { lockMerger } from '../../stores/locks/compactor-lock.ts';
import { deletionFrom, placesOf } from '../forget/compact.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tellFailure, Unreadable } from '../verify/losses.ts';
import { appendPack } from '../verify/repair-packs.ts';

/** Where the pages of these packs were written, by content, as the captures that wrote them say. */
async function gfnsOf(
  { state }: Ledger,
  homes: ReadonlySet<KnownPack>,
): Promise<(holding: Holding) => number> {
  const gfns = new Map<number, number>();
  const byName = new Map([...homes].map((home) => [home.name, home]));
  const read = new Set<string>();
  for (const { vm, capture } of homes) {
    const row = state.catalogue.vms.get(vm)?.capture(capture);
    if (row === undefined || read.has(`${vm} ${capture}`)) continue;
    read.add(`${vm} ${capture}`);
    for (const event of await state.tables.events(vm, row)) {
      const decoded = event.type === 'PagesWritten' ? decodePageColumns(event) : null;
      if (decoded === null || either.isLeft(decoded)) continue;
      const { kinds, packs, packIndexes, slots, gfns: written } = decoded.right;
      for (let i = 0; i < kinds.length; i += 1) {
        if ((kinds[i]! & KIND_MASK) !== KIND_STORED) continue;
        const home = byName.get(packs[packIndexes[i]!] ?? '');
        if (home !== undefined) gfns.set(home.firstContent + slots[i]!, written[i]!);
      }
    }
  }
  return (holding) => (isContent(holding) ? (gfns.get(contentOf(holding)) ?? NO_GFN) : NO_GFN);
}

/** The small packs of a ledger, kept up with its contents. */
class SmallPacks implements MergeModels {
  readonly #ledger: Ledger;
  #contents: Contents | null = null;
  #seen = 0;
  #packs: AnyPack[] = [];
  readonly #passed = new Set<string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  #useOf(pack: AnyPack): GroupedPack | null {
    const { contents } = this.#ledger.state;
    const { ordinal, group } = pack;
    const vm = isWritten(pack) ? pack.vm : this.#homesOf(pack).next().value?.vm;
    return vm === undefined ? null : { ordinal, group, vm, slots: contents.lyingIn(pack) };
  }

  *#homesOf(pack: AnyPack): Generator<KnownPack> {
    if (isWritten(pack)) yield pack;
    else
      for (const holding of pack.holdings) {
        const home = holding === UNKNOWN ? null : this.#ledger.state.contents.homePackOf(holding);
        if (home !== null) yield home;
      }
  }

  packs(): readonly GroupedPack[] {
    const { contents, losses } = this.#ledger.state;
    if (contents !== this.#contents) {
      this.#contents = contents;
      this.#seen = 0;
      this.#packs = [];
    }
    const isSmall = (pack: AnyPack): boolean =>
      contents.isNeeded(pack) &&
      tierOf({ slots: contents.lyingIn(pack) }) !== null &&
      !this.#passed.has(pack.name);
    const news = contents.neededFrom(this.#seen);
    this.#seen = contents.packCount;
    this.#packs.push(...news.filter((pack) => isWritten(pack) || areAsRecorded(pack.blocks)));
    this.#packs = this.#packs.filter(isSmall);
    const isNoneLost = losses.slots.size === 0;
    const unreadable = isNoneLost ? new Set() : new Unreadable(this.#ledger).ordinals();
    return this.#packs
      .filter(({ ordinal }) => !unreadable.has(ordinal))
      .flatMap((pack) => this.#useOf(pack) ?? []);
  }

  pass(packs: readonly MergeablePack[]): void {
    const { contents } = this.#ledger.state;
    for (const { ordinal } of packs) {
      const pack = contents.packAt(placeAt(ordinal, 0));
      // Of those that were merged nothing is left, and they are many.
      if (contents.isNeeded(pack)) this.#passed.add(pack.name);
    }
  }

  get places(): MergeModels['places'] {
    return placesOf(this.#ledger);
  }

  gfnsOf(packs: readonly MergeablePack[]): Promise<(holding: Holding) => number> {
    const { contents } = this.#ledger.state;
    const known = packs.map(({ ordinal }) => contents.packAt(placeAt(ordinal, 0)));
    return gfnsOf(this.#ledger, new Set(known.flatMap((pack) => [...this.#homesOf(pack)])));
  }
}

/** How a recorder merges; what is not said is as it is for users. */
export interface MergeRules {
  readonly fanIn?: number;
}

/** Merges small packs between the captures of one recorder. */
export class PackMerger {
  readonly #ledger: Ledger;
  readonly #rules: MergeRules;
  readonly #packs: SmallPacks;
  /** After a failure that does not go by itself, or where the ledger is not one to merge in. */
  #isOff: boolean;
  /** When it was last looked for packs to delete. */
  #deletedAtMs: number | null = null;

  constructor(ledger: Ledger, rules: MergeRules = {}) {
    this.#ledger = ledger;
    this.#rules = rules;
    this.#packs = new SmallPacks(ledger);
    this.#isOff = ledger.isShared;
  }

  get #isWanted(): boolean {
    const { catalogue } = this.#ledger.state;
    const { codec } = recordedCompression(catalogue.facts);
    // Earlier releases' compaction would take what is merged for what it wrote itself.
    if (this.#isOff || codec !== CODEC_PACKED || catalogue.lostStore !== null) return false;
    return packsToMerge(this.#packs.packs(), this.#rules.fanIn).length > 0;
  }

  /**
   * Merges, where a VM has too many small packs and nobody compacts. What was recorded stays as it is
   * where that fails, so it fails nothing.
   */
  async merge(): Promise<void> {
    if (!this.#isWanted) return;
    const lock = await lockMerger(this.#ledger.locks)();
    if (either.isLeft(lock)) return;
    try {
      // Where there are no locks, a compaction would be met in the midst of its work.
      this.#isOff = lock.right.unavailable !== null;
      if (!this.#isOff) await this.#mergeAlone();
    } catch (thrown) {
      // Derived state that was damaged is made anew by the next capture.
      if (!isLedgerError(thrown) && !(thrown instanceof IndexUnfit)) throw thrown;
      this.#isOff = !(await tellFailure(this.#ledger, thrown).catch(() => false));
    } finally {
      await lock.right.release();
    }
  }

  async #mergeAlone(): Promise<void> {
    const ledger = this.#ledger;
    const { store, state, clock } = ledger;
    await state.catchUp({ heavy: true });
    await mergePacks(
      {
        store,
        sha256,
        randomBytes,
        crc32,
        engine: await ledger.engine(),
        models: this.#packs,
        append: (pack) => appendPack(ledger, pack),
      },
      this.#rules.fanIn,
    );
    const now = clock();
    if (this.#deletedAtMs !== null && now < this.#deletedAtMs + SAFE_GRACE_MS) return;
    this.#deletedAtMs = now;
    await deletePacks(
      {
        store,
        clock,
        catchUp: () => state.catchUp({ heavy: true }),
        isRecorded: () => Promise.resolve(true),
        // What no event names is for `compact`, which reads the whole log first.
        doubt: () => Promise.resolve('captures are being recorded'),
        ...deletionFrom(ledger),
      },
      { graceMs: SAFE_GRACE_MS, isDryRun: false },
    );
  }
}
