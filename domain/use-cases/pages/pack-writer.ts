// Writes packs: blocks are copied into a staging buffer one after the other; sealed, it is
// put as one pack, whole and durable, before any event names it. What an event says of a pack beyond its
// blocks and patches is its caller's: identifiers, or what was rewritten.
//
// Invariants: packs are announced in the order in which they were sealed; at most PUTS_MAX puts are
// under way.

import { assert } from '../../values/assert.ts';
import { SALT_BYTES } from '../../values/block-salt.ts';
import type { BlockTable } from '../../values/pack.ts';
import { PackBytes } from '../../values/pack-bytes.ts';
import type { PageEngine, StoredBlocks } from '../../ports/page-engine.ts';
import type { PageStore } from '../../ports/page-store.ts';
import { run } from '../../ports/run.ts';
import type { PatchTable } from '../../events/patches.ts';
import { giveStaging, takeStaging, type SlotOfPack, type Staging } from './staging.ts';

const PUTS_MAX = 2;

export interface PackWriterPorts {
  readonly store: PageStore;
  readonly engine: Pick<PageEngine, 'encodePatterns'>;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Whether blocks are salted: not in a ledger that releases read which know no salts. */
  readonly areBlocksSalted: () => boolean;
}

/** What events say of every pack. */
export interface SealedPack {
  readonly name: string;
  readonly group: string;
  readonly sizeBytes: number;
  readonly blocks: BlockTable;
  readonly patches: PatchTable;
}

export class PackWriter {
  readonly #ports: PackWriterPorts;
  readonly #group: string;
  #staging: Staging | null = null;
  /** The packs that were sealed. */
  readonly #sealed: { readonly name: string; readonly sizeBytes: number }[] = [];
  /** Announcements in order: each waits for its own put and for the one before. */
  #chain: Promise<void> = Promise.resolve();
  readonly #puts = new Set<Promise<void>>();

  constructor(ports: PackWriterPorts, { group }: { readonly group: string }) {
    this.#ports = ports;
    this.#group = group;
  }

  /** Slots of the pack under way. */
  get slots(): number {
    return this.#staging?.pages ?? 0;
  }

  /** Packs that were sealed. */
  get sealed(): number {
    return this.#sealed.length;
  }

  /** Takes in a block of those stored, whose bytes begin at `offsetBytes`; the slot of its first page. */
  add(stored: StoredBlocks, block: number, offsetBytes: number): number {
    return (this.#staging ??= this.#begin()).add(stored, block, offsetBytes);
  }

  /** The page in a slot of the pack under way is a patch. In the order of the slots. */
  refer(slot: number, reference: SlotOfPack): void {
    assert(this.#staging !== null && slot < this.#staging.pages, 'a patch lies in a slot');
    this.#staging.patchSlots.push(slot);
    this.#staging.references.push(reference);
  }

  /** Takes in all of some blocks; the slot of their first page. */
  addAll(stored: StoredBlocks): number {
    const first = this.slots;
    let offsetBytes = 0;
    for (let block = 0; block < stored.codecs.length; block += 1) {
      this.add(stored, block, offsetBytes);
      offsetBytes += stored.lengths[block]!;
    }
    return first;
  }

  /** Takes in descriptors of patterns, each in a slot; the first one's. */
  addPatterns(descriptors: readonly Uint8Array[]): number {
    return this.addAll(this.#ports.engine.encodePatterns(descriptors));
  }

  #begin(): Staging {
    const staging = takeStaging({ isFirst: this.sealed === 0 });
    staging.start(this.#ports.areBlocksSalted() ? SALT_BYTES : 0);
    return staging;
  }

  /**
   * Ends the pack under way, which has a slot; it is announced when it is durable and those before it
   * were announced. Resolves when there is room for another.
   */
  async seal(announce: (pack: SealedPack) => void | Promise<void>): Promise<void> {
    const staging = this.#staging;
    assert(staging !== null && staging.pages > 0, 'a pack has a slot');
    this.#staging = null;
    staging.complete(this.#group, this.#ports.randomBytes(staging.randomCount));
    const whole = new PackBytes(staging.bytes.subarray(0, staging.length), this.#ports.sha256);
    const pack: SealedPack = {
      name: whole.name,
      group: this.#group,
      sizeBytes: staging.length,
      blocks: staging.table(),
      patches: staging.patches(),
    };
    this.#sealed.push({ name: pack.name, sizeBytes: pack.sizeBytes });
    // Of a put that failed somebody may still read the bytes.
    const put = this.#put(whole)
      .then(() => giveStaging(staging))
      .finally(() => this.#puts.delete(put));
    this.#puts.add(put);
    this.#chain = Promise.all([this.#chain, put]).then(() => announce(pack));
    // A failure is met by `finish`, or by the wait just below; never unhandled.
    this.#chain.catch(() => undefined);
    if (this.#puts.size >= PUTS_MAX) await Promise.race(this.#puts);
  }

  async #put(pack: PackBytes): Promise<void> {
    const done = await this.#ports.store.put(pack)();
    if (done._tag === 'Left') throw done.left;
  }

  /** Resolves when every pack that was sealed is durable and announced. */
  async finish(): Promise<void> {
    await this.#chain;
  }

  /** Whether every pack that was sealed is in the store, after `finish`. */
  async areThere(): Promise<boolean> {
    for (const pack of this.#sealed) if (!(await run(this.#ports.store.has(pack)))) return false;
    return true;
  }

  /**
   * Deletes every pack that was put, where nothing that names one was or will be appended. What cannot
   * be deleted stays, as what nobody names.
   */
  async takeBack(): Promise<void> {
    await Promise.allSettled([this.#chain, ...this.#puts]);
    for (const { name } of this.#sealed) {
      const done = await this.#ports.store.delete(name)();
      if (done._tag === 'Left') return;
    }
  }
}
