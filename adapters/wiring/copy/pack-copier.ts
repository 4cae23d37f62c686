// The packs of a copy: what the target lacks is read whole, checked and put; of what cannot be read whole,
// what can be.

import * as either from 'fp-ts/lib/Either.js';
import { decodePackRewritten } from '../../../domain/events/pack-rewritten.ts';
import { decodePackWritten } from '../../../domain/events/pack-written.ts';
import type { StoredEvent } from '../../../domain/ports/event-log.ts';
import { isOfPack, type PageStore } from '../../../domain/ports/page-store.ts';
import { run } from '../../../domain/ports/run.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { hasCopies, readLayoutMap, type CopiedLayout } from '../points/point-reader.ts';
import { readablePart, wholePack } from './pack-parts.ts';

/** Packs under way at once. */
const PACKS_AT_ONCE = 4;

/** What an event says of a pack. */
interface NamedPack {
  readonly name: string;
  readonly sizeBytes: number;
}

/** Packs of the source that the target lacks, copied and checked. */
export class PackCopier {
  readonly #from: Ledger;
  readonly #to: Ledger;
  readonly #held = new Map<string, number>();
  readonly #onBytes: (bytes: number) => void;
  /** By name: why a pack that is needed could not be copied whole. */
  readonly missed = new Map<string, string>();
  packs = 0;
  bytes = 0;

  constructor(ports: {
    readonly from: Ledger;
    readonly to: Ledger;
    readonly onBytes: (bytes: number) => void;
  }) {
    this.#from = ports.from;
    this.#to = ports.to;
    this.#onBytes = ports.onBytes;
  }

  /** Where packs lie: what this host keeps of them is for those who read a part of them again. */
  get #store(): PageStore {
    const { store } = this.#from;
    return store.origin ?? store;
  }

  async look(): Promise<void> {
    for await (const { name, sizeBytes } of this.#to.store.list()) this.#held.set(name, sizeBytes);
  }

  /** Every pack that these events name, and that is needed, is in the target when this resolves, as far as it can be read. */
  async bring(events: readonly StoredEvent[]): Promise<void> {
    const wanted = events.filter(namesPack).map(packOf);
    const next = wanted.values();
    const work = async (): Promise<void> => {
      for (const pack of next) await this.#bringOne(pack);
    };
    await Promise.all(Array.from({ length: PACKS_AT_ONCE }, work));
  }

  /** The same of packs that points need, and that events named which are gone. */
  async bringNeeded(): Promise<void> {
    const { contents } = this.#from.state;
    for (const pack of contents.all)
      if (contents.isNeeded(pack) && !this.#held.has(pack.name)) await this.#bringOne(pack);
  }

  /**
   * What was copied for checkpoints, as far as it can be read: points are whole without it. It comes
   * last, as the events that name it say no more than that it may be there.
   */
  async bringLayouts(): Promise<void> {
    for (const { checkpoints } of this.#from.state.catalogue.vms.values())
      for (const { layout } of checkpoints) if (hasCopies(layout)) await this.#bringLayout(layout);
  }

  async #bringLayout(layout: CopiedLayout): Promise<void> {
    try {
      const { packs } = await readLayoutMap(this.#store, layout);
      for (const pack of packs) await this.#bringWhole(pack);
      await this.#bringWhole({ name: layout.map.name, sizeBytes: layout.map.bytes });
    } catch (thrown) {
      if (!isOfPack(thrown)) throw thrown;
    }
  }

  /** Whether the source's points need a pack; null: no capture that is committed names it. */
  #isNeeded(name: string): boolean | null {
    const { contents } = this.#from.state;
    const pack = contents.named(name);
    return pack === undefined ? null : contents.isNeeded(pack);
  }

  async #bringOne({ name, sizeBytes }: NamedPack): Promise<void> {
    if (this.#isNeeded(name) === false) return;
    this.#onBytes(sizeBytes);
    const damage = await this.#bringWhole({ name, sizeBytes });
    if (damage === null) return;
    // Compaction may have deleted it just now, and said so before.
    await this.#from.state.catchUp({ heavy: false });
    if (this.#isNeeded(name) !== true) return;
    this.missed.set(name, damage);
    const part = await readablePart(this.#store, this.#from.state.contents.named(name)!);
    if (part !== null) await run(this.#to.store.putPart({ name, bytes: part }));
  }

  /** A pack, where the target has it or it can be read whole: null; else why it cannot be. */
  async #bringWhole({ name, sizeBytes }: NamedPack): Promise<string | null> {
    if (this.#held.get(name) === sizeBytes) return null;
    const found = await wholePack(this.#store, { name, sizeBytes });
    if (found._tag !== 'whole') return found.reason;
    await run(this.#to.store.put(found.pack));
    this.#held.set(name, sizeBytes);
    this.packs += 1;
    this.bytes += sizeBytes;
    return null;
  }
}

/** Whether an event says where a pack is. */
export const namesPack = ({ type }: StoredEvent): boolean =>
  type === 'PackWritten' || type === 'PackRewritten';

function packOf(event: StoredEvent): NamedPack {
  const pack: either.Either<LedgerError, NamedPack> =
    event.type === 'PackWritten' ? decodePackWritten(event) : decodePackRewritten(event);
  if (either.isRight(pack)) return pack.right;
  throw pack.left;
}
