// Whether the bytes of packs are those that were written: every pack by its name, every block by its
// checksum, every page by its identifier where the group's key is at hand.

import { toHex } from '../../domain/values/identifier.ts';
import { placeAt } from '../../domain/values/place.ts';
import { run } from '../../domain/ports/run.ts';
import { isLedgerError } from '../../domain/values/ledger-error.ts';
import { blockStarts, PACK_HEADER_BYTES, sliceBlocks, slotsOf } from '../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { IDENTIFIER_BYTES, type PageEngine } from '../../domain/ports/page-engine.ts';
import type { Holding } from '../../domain/values/holding.ts';
import { isOfPack, isPackLost, type PageStore } from '../../domain/ports/page-store.ts';
import { PageReader } from '../../domain/use-cases/pages/page-reader.ts';
import type { AnyPack, Contents } from '../models/contents.ts';
import type { FindLost, OpenFinding } from './affected-points.ts';

export interface PackCheckPorts {
  readonly contents: Contents;
  readonly store: PageStore;
  readonly engine: PageEngine;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** Sets the key of a group; false: it is not at hand. */
  readonly useKey: (group: string) => Promise<boolean>;
  /** The identifier that was recorded of a content; null: its event was lost. */
  readonly identifierOf: (content: number) => Uint8Array | null;
}

/** Kind of a finding of what its place does not give: whether it is whole, nobody can tell. */
export const UNREADABLE = 'unreadable';

/** What lies in a pack, or in some slots of it, and nowhere else. */
export function lyingIn(
  contents: Contents,
  pack: AnyPack,
  { first, end } = { first: 0, end: slotsOf(pack.blocks) },
): Set<Holding> {
  const lying = new Set<Holding>();
  for (let slot = first; slot < end; slot += 1)
    if (contents.liesAt(pack, slot)) lying.add(contents.holdingAt(pack, slot));
  return lying;
}

export class PackCheck {
  readonly #ports: PackCheckPorts;
  readonly #find: FindLost;
  readonly #pages: PageReader;
  readonly checked = { packs: 0, pages: 0 };
  /** Names of packs whose bytes are missing, or others than were written, or cannot be read. */
  readonly damaged = new Set<string>();
  /** Groups whose identifiers could not be checked: no key. */
  readonly withoutKey = new Set<string>();

  constructor(ports: PackCheckPorts, find: FindLost) {
    this.#ports = ports;
    this.#find = find;
    const { engine, store, contents } = ports;
    this.#pages = new PageReader({ engine, store, locator: () => contents });
  }

  /** Checks every pack in which something lies: those that were emptied are none of the ledger's any more. */
  async run(
    onPack: (progress: { readonly done: number; readonly total: number }) => void,
  ): Promise<void> {
    const { contents } = this.#ports;
    const needed = contents.neededFrom(0);
    for (const pack of needed) {
      await this.check(pack);
      this.checked.pages += slotsOf(pack.blocks);
      this.checked.packs += 1;
      onPack({ done: this.checked.packs, total: needed.length });
    }
  }

  /** Checks a pack. A place that does not answer is thrown. */
  async check(pack: AnyPack): Promise<void> {
    let isDamaged = false;
    await this.#check(pack, (finding, lost) => {
      const { contents } = this.#ports;
      // What an equal content stands for, or was stored anew, is not read any more: no point needs it.
      const read = new Set([...(lost ?? [])].filter((each) => contents.firstOf(each) === each));
      const isOfSlots = finding.kind !== 'pack' || (lost !== null && lost.size > 0);
      const isNote = isOfSlots && lost !== null && read.size === 0;
      isDamaged ||= !isNote;
      this.#find(isNote ? { ...finding, isNote } : finding, read);
    });
    if (isDamaged) this.damaged.add(pack.name);
  }

  async #check(pack: AnyPack, find: FindLost): Promise<void> {
    const { contents, store, sha256 } = this.#ports;
    const everything = lyingIn(contents, pack);
    const where = `pack ${pack.name}`;
    const read = await store.get({
      name: pack.name,
      offsetBytes: 0,
      lengthBytes: pack.sizeBytes,
    })();
    if (read._tag === 'Left' && read.left.code === 'PACK_MISSING') {
      find({ kind: 'pack', where, reason: read.left.message }, everything);
      return;
    }
    if (read._tag === 'Left' && !isOfPack(read.left)) throw read.left;
    // Of one that is cut off, or has a place that cannot be read, other blocks are whole.
    const bytes = read._tag === 'Right' ? read.right : null;
    const isNamed = bytes !== null && toHex(sha256(bytes)) === pack.name;
    const found = await this.#blocks(pack, bytes);
    const isNowhereRead =
      found.length === pack.blocks.codecs.length &&
      found.every(({ finding: { kind } }) => kind === UNREADABLE);
    if (isNowhereRead)
      find({ kind: UNREADABLE, where, reason: found[0]!.finding.reason }, everything);
    else for (const { finding, lost } of found) find(finding, lost);
    if (isNamed || found.length > 0) return;
    find(
      {
        kind: 'pack',
        where: `${where}, bytes 0..${PACK_HEADER_BYTES - 1}`,
        reason: 'its bytes do not have the digest that is its name; its blocks are whole',
      },
      new Set(),
    );
  }

  /** The stored bytes of a block of a pack that is at hand, or that is not there whole. */
  async #blockBytes(
    pack: AnyPack,
    range: { readonly bytes: Uint8Array | null; readonly from: number; readonly end: number },
  ): Promise<Uint8Array> {
    const { bytes, from, end } = range;
    if (bytes !== null) return bytes.subarray(from, end);
    const part = { name: pack.name, offsetBytes: from, lengthBytes: end - from };
    return run(this.#ports.store.get(part));
  }

  /** Checks every block of a pack. */
  async #blocks(pack: AnyPack, bytes: Uint8Array | null): Promise<OpenFinding[]> {
    const { contents, engine, useKey } = this.#ports;
    const { slots, offsets } = blockStarts(pack.blocks);
    const hasKey = await useKey(pack.group);
    if (!hasKey) this.withoutKey.add(pack.group);
    const findings: OpenFinding[] = [];
    for (let block = 0; block < pack.blocks.codecs.length; block += 1) {
      const where = `pack ${pack.name}, bytes ${offsets[block]}..${offsets[block + 1]! - 1}`;
      const range = { first: slots[block]!, end: slots[block + 1]! };
      let pages: Uint8Array;
      try {
        pages = engine.decode({
          bytes: await this.#blockBytes(pack, {
            bytes,
            from: offsets[block]!,
            end: offsets[block + 1]!,
          }),
          blocks: sliceBlocks(pack.blocks, block, block + 1),
          label: `pack ${pack.name}`,
        });
      } catch (thrown) {
        if (!isOfPack(thrown)) throw thrown;
        const kind = isPackLost(thrown) ? 'block' : UNREADABLE;
        const lost = lyingIn(contents, pack, range);
        findings.push({ finding: { kind, where, reason: thrown.message }, lost });
        continue;
      }
      if (!hasKey || (await this.#isIdentified(pack, range, pages))) continue;
      const reason = 'its pages do not have the identifiers that were recorded';
      const lost = lyingIn(contents, pack, range);
      findings.push({ finding: { kind: 'identifier', where, reason }, lost });
    }
    return findings;
  }

  /** Whether the pages of a block have the identifiers that were recorded of them. */
  async #isIdentified(
    pack: AnyPack,
    { first, end }: { readonly first: number; readonly end: number },
    pages: Uint8Array,
  ): Promise<boolean> {
    const { engine, identifierOf, contents } = this.#ports;
    const whole = pages.slice();
    for (let slot = first; slot < end; slot += 1) {
      const reference = contents.referenceAt(placeAt(pack.ordinal, slot));
      if (reference === null) continue;
      const page = await this.#referencePage(reference);
      // Why the reference cannot be read is a finding of its own.
      if (page === null) return true;
      const at = (slot - first) * PAGE_BYTES;
      for (let i = 0; i < PAGE_BYTES; i += 1) whole[at + i]! ^= page[i]!;
    }
    const { identifiers } = engine.identify(whole);
    for (let slot = first; slot < end; slot += 1) {
      const content = contents.contentAt(pack, slot);
      const recorded = content === null ? null : identifierOf(content);
      const at = (slot - first) * IDENTIFIER_BYTES;
      if (recorded !== null && !recorded.every((byte, i) => byte === identifiers[at + i]))
        return false;
    }
    return true;
  }

  async #referencePage(reference: Holding): Promise<Uint8Array | null> {
    try {
      return await this.#pages.read([reference], new Uint8Array(PAGE_BYTES));
    } catch (thrown) {
      if (isLedgerError(thrown)) return null;
      throw thrown;
    }
  }
}
