// The staging buffer (brief, 3.3): blocks of pages are copied into it one after the other; full, or at
// the capture's end, it is written as one pack, whole and durable, before any event names it.
//
// Invariants: the nth page stored by a capture lies in its pack floor(n / PACK_PAGES_MAX), slot
// n % PACK_PAGES_MAX; packs are announced in order; at most PUTS_MAX puts are under way.

import { assert } from '../assert.ts';
import { toHex } from '../identifier.ts';
import { PACK_HEADER_BYTES, packHeader, type BlockTable } from '../pack.ts';
import { PACK_PAGES_MAX } from '../page.ts';
import { IDENTIFIER_BYTES, type StoredBlocks } from '../page-engine.ts';
import type { PackWritten } from '../pack-event.ts';
import type { PageStore } from '../ports.ts';

const PUTS_MAX = 2;
/** Room to begin with: little for a capture's first pack, as most captures are small. */
const FIRST_STAGING_BYTES = 256 * 1024;
const STAGING_BYTES = 4 * 1024 * 1024;

export interface StagerPorts {
  readonly store: PageStore;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly randomBytes: (count: number) => Uint8Array;
}

class Staging {
  bytes: Uint8Array;
  length = 0;
  pages = 0;
  blocks = 0;
  readonly codecs = new Uint8Array(PACK_PAGES_MAX);
  readonly blockPages = new Uint8Array(PACK_PAGES_MAX);
  readonly lengths = new Uint32Array(PACK_PAGES_MAX);
  readonly checksums = new Uint32Array(PACK_PAGES_MAX);
  readonly identifiers = new Uint8Array(PACK_PAGES_MAX * IDENTIFIER_BYTES);

  constructor(lengthBytes: number) {
    this.bytes = new Uint8Array(lengthBytes);
  }

  start(header: Uint8Array): void {
    this.bytes.set(header, 0);
    this.length = PACK_HEADER_BYTES;
    this.pages = 0;
    this.blocks = 0;
  }

  room(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  table(): BlockTable {
    const count = this.blocks;
    return {
      codecs: this.codecs.slice(0, count),
      pages: this.blockPages.slice(0, count),
      lengths: this.lengths.slice(0, count),
      checksums: this.checksums.slice(0, count),
    };
  }
}

/** Names of a capture's packs as they become durable. */
export type PackAnnounced = (pack: PackWritten, ordinal: number) => void;

export class PackStager {
  readonly #ports: StagerPorts;
  readonly #pack: { readonly group: string; readonly capture: number };
  readonly #announce: PackAnnounced;
  readonly #spare: Staging[] = [];
  #staging: Staging | null = null;
  #sealed = 0;
  /** Announcements in order: each waits for its own put and for the one before. */
  #chain: Promise<void> = Promise.resolve();
  readonly #puts = new Set<Promise<void>>();

  constructor(
    ports: StagerPorts,
    pack: { readonly group: string; readonly capture: number },
    announce: PackAnnounced,
  ) {
    this.#ports = ports;
    this.#pack = pack;
    this.#announce = announce;
  }

  /** Takes blocks in. `identifiers` has a row a page, in the blocks' order. */
  async add(stored: StoredBlocks, identifiers: Uint8Array): Promise<void> {
    let at = 0;
    let page = 0;
    for (let block = 0; block < stored.codecs.length; block += 1) {
      const staging = (this.#staging ??= this.#begin());
      const pages = stored.pages[block]!;
      const length = stored.lengths[block]!;
      assert(staging.pages + pages <= PACK_PAGES_MAX, 'a block lies in one pack');
      staging.room(length);
      staging.bytes.set(stored.bytes.subarray(at, at + length), staging.length);
      staging.codecs[staging.blocks] = stored.codecs[block]!;
      staging.blockPages[staging.blocks] = pages;
      staging.lengths[staging.blocks] = length;
      staging.checksums[staging.blocks] = stored.checksums[block]!;
      staging.identifiers.set(
        identifiers.subarray(page * IDENTIFIER_BYTES, (page + pages) * IDENTIFIER_BYTES),
        staging.pages * IDENTIFIER_BYTES,
      );
      staging.length += length;
      staging.pages += pages;
      staging.blocks += 1;
      at += length;
      page += pages;
      if (staging.pages === PACK_PAGES_MAX) await this.#seal(staging);
    }
  }

  #begin(): Staging {
    const staging =
      this.#spare.pop() ?? new Staging(this.#sealed === 0 ? FIRST_STAGING_BYTES : STAGING_BYTES);
    const random = this.#ports.randomBytes(16);
    staging.start(packHeader({ group: this.#pack.group, random }));
    return staging;
  }

  async #seal(staging: Staging): Promise<void> {
    this.#staging = null;
    const bytes = staging.bytes.subarray(0, staging.length);
    const written: PackWritten = {
      name: toHex(this.#ports.sha256(bytes)),
      capture: this.#pack.capture,
      group: this.#pack.group,
      sizeBytes: staging.length,
      blocks: staging.table(),
      identifiers: staging.identifiers.slice(0, staging.pages * IDENTIFIER_BYTES),
    };
    const ordinal = this.#sealed;
    this.#sealed += 1;
    const put = this.#put(written.name, bytes).finally(() => {
      this.#puts.delete(put);
      this.#spare.push(staging);
    });
    this.#puts.add(put);
    this.#chain = Promise.all([this.#chain, put]).then(() => this.#announce(written, ordinal));
    // A failure is met by `finish`, or by the wait just below; never unhandled.
    this.#chain.catch(() => undefined);
    if (this.#puts.size >= PUTS_MAX) await Promise.race(this.#puts);
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    const done = await this.#ports.store.put({ name, bytes })();
    if (done._tag === 'Left') throw done.left;
  }

  /** Writes what is staged; resolves when every pack is durable and announced. */
  async finish(): Promise<void> {
    if (this.#staging !== null && this.#staging.pages > 0) await this.#seal(this.#staging);
    await this.#chain;
  }
}
