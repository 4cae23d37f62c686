// Contents: the pages that packs hold, numbered in log order (a pack's first page follows the last of
// the pack before it). Where two recorders stored the same content at once, the first in log order is
// the content; the later number is an alias of it. Light: needs no identifier to be loaded.

import { assert } from '../domain/assert.ts';
import { packPagesOf, type PackWritten } from '../domain/pack-event.ts';
import { FIRST_CONTENT, UNKNOWN, type Holding } from '../domain/page-writes.ts';
import type { ReadPack } from '../domain/read-models.ts';
import type { Position } from '../domain/ports.ts';
import { StateUnfit, type StateReader, type StateWriter } from './bytes.ts';

/** A pack and where it comes from. */
export interface KnownPack extends ReadPack {
  readonly ordinal: number;
  readonly vm: string;
  readonly group: string;
  readonly capture: number;
  /** Position of the commit that brought it. */
  readonly position: Position;
}

/** Digits of a pack's name that its numbering value takes: names are hashes, so a few do. */
const NUMBERING_DIGITS = 16;
/** Odd, so that the order of packs counts. */
const NUMBERING_FACTOR = 0x5851_f42d_4c95_7f2dn;

/** Most contents a ledger can number. */
export const CONTENTS_MAX = UNKNOWN - FIRST_CONTENT - 1;

export class Contents {
  readonly packs: KnownPack[] = [];
  readonly #byName = new Map<string, KnownPack>();
  /** What the numbers of the first so many packs depend on: the packs' names, in their order. */
  readonly #numberings: bigint[] = [0n];
  /** Alias -> first content, as content numbers. */
  readonly aliases = new Map<number, number>();
  count = 0;

  /** Takes a pack in; a pack named before (a retried capture) keeps its numbers. */
  add(pack: PackWritten, origin: { vm: string; position: Position }): KnownPack {
    const pages = packPagesOf(pack);
    const named = this.#byName.get(pack.name);
    if (named !== undefined) return named;
    assert(this.count + pages <= CONTENTS_MAX, 'contents fit their numbers');
    const known: KnownPack = {
      ordinal: this.packs.length,
      name: pack.name,
      vm: origin.vm,
      group: pack.group,
      capture: pack.capture,
      position: origin.position,
      firstContent: this.count,
      pages,
      sizeBytes: pack.sizeBytes,
      blocks: pack.blocks,
    };
    this.#insert(known);
    return known;
  }

  #insert(known: KnownPack): void {
    this.packs.push(known);
    this.#byName.set(known.name, known);
    const before = this.#numberings.at(-1)!;
    const name = BigInt(`0x${known.name.slice(0, NUMBERING_DIGITS)}`);
    this.#numberings.push(BigInt.asUintN(64, before * NUMBERING_FACTOR + name));
    this.count += known.pages;
  }

  /** A value that tells whether the first `packs` packs are numbered as they were; null: not so many. */
  numbering(packs: number): bigint | null {
    return this.#numberings[packs] ?? null;
  }

  /** The pack of a name, or undefined: its PackWritten was lost or not read yet. */
  byName(name: string): KnownPack | undefined {
    return this.#byName.get(name);
  }

  /** The pack that holds a content. O(log packs). */
  packOf(content: number): KnownPack {
    let low = 0;
    let high = this.packs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.packs[middle]!.firstContent <= content) low = middle;
      else high = middle - 1;
    }
    const pack = this.packs[low];
    assert(pack !== undefined && content < pack.firstContent + pack.pages, 'a content has a pack');
    return pack;
  }

  /** What a page holds whose reference is (pack, slot): the first of equal contents. */
  holdingOf(pack: KnownPack, slot: number): Holding {
    const content = pack.firstContent + slot;
    if (slot >= pack.pages) return UNKNOWN;
    return FIRST_CONTENT + (this.aliases.get(content) ?? content);
  }

  save(writer: StateWriter): void {
    writer.u32(this.packs.length);
    for (const pack of this.packs) {
      writer.text(pack.name).text(pack.vm).text(pack.group);
      writer.u32(pack.capture).u64(pack.position).u32(pack.pages).u32(pack.sizeBytes);
      const { codecs, pages, lengths, checksums } = pack.blocks;
      writer.column(codecs).column(pages).column(lengths).column(checksums);
    }
    const aliases = new Uint32Array(this.aliases.size * 2);
    let at = 0;
    for (const [alias, first] of this.aliases) {
      aliases[at] = alias;
      aliases[at + 1] = first;
      at += 2;
    }
    writer.column(aliases);
  }

  static load(reader: StateReader): Contents {
    const contents = new Contents();
    const packs = reader.u32();
    for (let i = 0; i < packs; i += 1) {
      const names = { name: reader.text(), vm: reader.text(), group: reader.text() };
      const capture = reader.u32();
      const position = reader.u64();
      const pages = reader.u32();
      const sizeBytes = reader.u32();
      const codecs = reader.column();
      const blockPages = reader.column();
      const blocks = {
        codecs,
        pages: blockPages,
        lengths: reader.words(),
        checksums: reader.words(),
      };
      if (blocks.lengths.length !== codecs.length) throw new StateUnfit('a pack table is uneven');
      const numbers = { capture, position, pages, sizeBytes };
      const place = { ordinal: contents.packs.length, firstContent: contents.count };
      contents.#insert({ ...names, ...numbers, ...place, blocks });
    }
    const aliases = reader.words();
    for (let i = 0; i + 1 < aliases.length; i += 2)
      contents.aliases.set(aliases[i]!, aliases[i + 1]!);
    return contents;
  }
}
