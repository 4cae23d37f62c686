// A master's point on a host that holds no page of it: what a memory server gave is checked, and guests are
// started over it.

import { timingSafeEqual } from 'node:crypto';
import { sourceOfChunks } from '../../guests/qemu/byte-window.ts';
import { Spool } from '../../guests/qemu/spool.ts';
import { readStream } from '../../guests/qemu/stream-reader.ts';
import { readMemory } from '../../files/memory-file.ts';
import { createPageEngine } from '../../kernels/engine/page-engine.ts';
import { deriveEngineKeys } from '../../kernels/keys.ts';
import type { GroupKey } from '../../stores/keys/group-keys.ts';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { GuestTarget, RestoredGuest } from '../../../domain/ports/guests.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import type { StartedClone } from './clones.ts';
import { startOver } from './guest-over.ts';
import { SEAL_BYTES, sealBy, type SealedPart } from './master-memory.ts';

/** Holds pages against what they are known by. */
export interface PageCheck {
  /** Of consecutive pages the first that is not what it is known by; null: all are. */
  wrongIn(pages: Uint8Array, identifiers: Uint8Array): number | null;
  /** What a page of zeros is known by. */
  readonly zero: Uint8Array;
  /** Whether who has the key made a part of what is given of a master. */
  isSealed(
    seal: Uint8Array,
    of: { readonly part: SealedPart; readonly master: string; readonly bytes: Uint8Array },
  ): boolean;
}

/** Checks pages by the key of their group. */
export async function pageCheckBy(group: GroupKey): Promise<PageCheck> {
  const { key } = group;
  const sealOf = sealBy(group);
  const engine = createPageEngine({ threads: 0 });
  await engine.useKeys(deriveEngineKeys(key));
  return {
    wrongIn(pages, identifiers) {
      const found = engine.identify(pages).identifiers;
      for (let at = 0; at < found.length; at += 1)
        if (found[at] !== identifiers[at]) return Math.floor(at / IDENTIFIER_BYTES);
      return null;
    },
    zero: engine.identify(new Uint8Array(PAGE_BYTES)).identifiers.slice(0, IDENTIFIER_BYTES),
    isSealed: (seal, { part, master, bytes }) =>
      seal.length === SEAL_BYTES && timingSafeEqual(seal, sealOf(part, master, bytes)),
  };
}

/** A block of memory that a server gives: its name and its size. */
export interface FarBlock {
  readonly block: string;
  readonly bytes: number;
}

/** A guest but for a block of its memory, which lies elsewhere. */
export class FarGuest {
  readonly #guest: Awaited<ReturnType<typeof readStream>>;
  readonly #spool: Spool;
  readonly #of: FarBlock;
  /** The pages of the block among all of the guest. */
  readonly mapped: { readonly gfn: number; readonly pages: number };

  private constructor(
    guest: Awaited<ReturnType<typeof readStream>>,
    spool: Spool,
    of: FarBlock & { readonly at: number },
  ) {
    this.#guest = guest;
    this.#spool = spool;
    this.#of = of;
    const { blocks } = guest.memoryMap;
    const gfn = blocks.slice(0, of.at).reduce((sum, { pages }) => sum + pages, 0);
    this.mapped = { gfn, pages: of.bytes / PAGE_BYTES };
  }

  /** Reads what a memory server gave. Refused where it is no guest with that block. */
  static async read(stream: Uint8Array, { block, bytes }: FarBlock): Promise<FarGuest> {
    const spool = new Spool();
    try {
      const source = sourceOfChunks(
        (async function* () {
          yield stream;
        })(),
      );
      const label = 'what the memory server gave';
      const guest = await readStream({ source, spool, label });
      const at = guest.memoryMap.blocks.findIndex(
        ({ name, pages }) => name === block && pages * PAGE_BYTES === bytes,
      );
      if (at >= 0) return new FarGuest(guest, spool, { block, bytes, at });
      throw new LedgerError(
        'PEER_REFUSED',
        `${label} is no guest whose block ${block} has ${bytes} bytes`,
        { block, bytes },
      );
    } catch (thrown) {
      spool.close();
      throw thrown;
    }
  }

  /** What the guest is, but for its pages. */
  get described(): RestoredGuest {
    const { memoryMap, device } = this.#guest;
    return { memoryMap, device };
  }

  /** Pages of the guest, all blocks. */
  get pages(): number {
    return this.#guest.memoryMap.blocks.reduce((sum, { pages }) => sum + pages, 0);
  }

  /** Whether a page is of the block that lies elsewhere. */
  isMapped(page: number): boolean {
    const { gfn, pages } = this.mapped;
    return page >= gfn && page < gfn + pages;
  }

  /** Whether a page that came with the guest is zeros. */
  isZero(page: number): boolean {
    return this.#guest.image.zeros?.[page] === 1;
  }

  /** The bytes of a page that came with the guest. */
  page(page: number): Uint8Array {
    const { file, offsetBytes: from } = this.#guest.image;
    const bytes = new Uint8Array(PAGE_BYTES);
    const offsetBytes = from + page * PAGE_BYTES;
    readMemory(file, { bytes, at: 0, lengthBytes: PAGE_BYTES, offsetBytes });
    return bytes;
  }

  async #restore(target: GuestTarget): Promise<void> {
    assert(target._tag === 'runs', 'a guest is sent in runs');
    await target.begin(this.described);
    for (let page = 0; page < this.pages; page += 1)
      if (!this.isMapped(page) && !this.isZero(page))
        await target.write({ firstPage: page, pages: this.page(page) });
    await target.done();
  }

  /** Starts a clone over the block in a file, by a name that nobody else has; nobody is told of it. */
  async start(request: {
    readonly name: string;
    readonly path: string;
    readonly command: readonly string[];
    readonly isDiskOk: boolean;
    readonly isAccounted: boolean;
    readonly onStderr?: (text: string) => void;
  }): Promise<StartedClone> {
    const { isDiskOk: diskOk, path, ...rest } = request;
    const { gfn, pages } = this.mapped;
    const guest = await startOver({
      ...rest,
      diskOk,
      onBegun: () => Promise.resolve(),
      mapped: { ...this.#of, path },
      elsewhere: new Uint8Array(this.pages).fill(1, gfn, gfn + pages),
      restore: (target) => this.#restore(target),
    });
    return { ...guest, id: null, sentPages: this.pages - pages };
  }

  close(): void {
    this.#spool.close();
  }
}
