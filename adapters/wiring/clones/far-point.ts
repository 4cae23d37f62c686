// A master's point on a host that holds no page of it: what a memory server gave is checked, and guests are
// started over it.

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
import type { GuestTarget } from '../../../domain/ports/guests.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import type { StartedClone } from './clones.ts';
import { startOver } from './guest-over.ts';

/** Says of consecutive pages which is the first that is not what it is known by; null: all are. */
export type PageCheck = (pages: Uint8Array, identifiers: Uint8Array) => number | null;

/** Checks pages by the key of their group. */
export async function pageCheckBy({ key }: GroupKey): Promise<PageCheck> {
  const engine = createPageEngine({ threads: 0 });
  await engine.useKeys(deriveEngineKeys(key));
  return (pages, identifiers) => {
    const found = engine.identify(pages).identifiers;
    for (let at = 0; at < found.length; at += 1)
      if (found[at] !== identifiers[at]) return Math.floor(at / IDENTIFIER_BYTES);
    return null;
  };
}

/** A guest but for a block of its memory, which lies in a file. */
export class FarGuest {
  readonly #guest: Awaited<ReturnType<typeof readStream>>;
  readonly #spool: Spool;
  readonly #mapped: { readonly block: string; readonly bytes: number; readonly path: string };
  /** Pages of the block: 1 at each. */
  readonly #elsewhere: Uint8Array;
  /** The pages of the block among all of the guest. */
  readonly mapped: { readonly gfn: number; readonly pages: number };

  private constructor(
    guest: Awaited<ReturnType<typeof readStream>>,
    spool: Spool,
    mapped: { readonly block: string; readonly bytes: number; readonly path: string },
  ) {
    this.#guest = guest;
    this.#spool = spool;
    this.#mapped = mapped;
    const { blocks } = guest.memoryMap;
    this.#elsewhere = new Uint8Array(blocks.reduce((sum, { pages }) => sum + pages, 0));
    const at = blocks.findIndex(({ name }) => name === mapped.block);
    const gfn = blocks.slice(0, at).reduce((sum, { pages }) => sum + pages, 0);
    const { pages } = blocks[at]!;
    this.#elsewhere.fill(1, gfn, gfn + pages);
    this.mapped = { gfn, pages };
  }

  /** Reads what a memory server gave. Refused where it is no guest with that block. */
  static async read(
    stream: Uint8Array,
    mapped: { readonly block: string; readonly bytes: number; readonly path: string },
  ): Promise<FarGuest> {
    const spool = new Spool();
    try {
      const source = sourceOfChunks(
        (async function* () {
          yield stream;
        })(),
      );
      const label = 'what the memory server gave';
      const guest = await readStream({ source, spool, label });
      const { block, bytes } = mapped;
      const isThere = guest.memoryMap.blocks.some(
        ({ name, pages }) => name === block && pages * PAGE_BYTES === bytes,
      );
      if (isThere) return new FarGuest(guest, spool, mapped);
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

  async #restore(target: GuestTarget): Promise<void> {
    assert(target._tag === 'runs', 'a guest is sent in runs');
    const { memoryMap, device, image } = this.#guest;
    await target.begin({ memoryMap, device });
    const bytes = new Uint8Array(PAGE_BYTES);
    for (let page = 0; page < this.#elsewhere.length; page += 1) {
      if (this.#elsewhere[page] === 1 || image.zeros?.[page] === 1) continue;
      const offsetBytes = image.offsetBytes + page * PAGE_BYTES;
      readMemory(image.file, { bytes, at: 0, lengthBytes: PAGE_BYTES, offsetBytes });
      await target.write({ firstPage: page, pages: bytes });
    }
    await target.done();
  }

  /** Starts a clone by a name that nobody else has; nobody is told of it. */
  async start(request: {
    readonly name: string;
    readonly command: readonly string[];
    readonly isDiskOk: boolean;
    readonly isAccounted: boolean;
    readonly onStderr?: (text: string) => void;
  }): Promise<StartedClone> {
    const { isDiskOk: diskOk, ...rest } = request;
    const guest = await startOver({
      ...rest,
      diskOk,
      onBegun: () => Promise.resolve(),
      mapped: this.#mapped,
      elsewhere: this.#elsewhere,
      restore: (target) => this.#restore(target),
    });
    const sentPages = this.#elsewhere.reduce((sum, is) => sum + 1 - is, 0);
    return { ...guest, id: null, sentPages };
  }

  close(): void {
    this.#spool.close();
  }
}
