// All packs of the contents, in the order of their ordinals. Those that were loaded lie as records of
// fixed width, of which a pack is made when somebody asks for it: of most nobody does. Those that came
// since follow.
//
// A record (little-endian): u64 position, u64 numbering after it; 32 bytes name; u32 each: kind, ordinal,
// first content, contents, first pattern, patterns, group and VM (their numbers), capture, how its contents
// are held (pack-holding.ts), where its details begin, and their bytes.

import * as t from 'io-ts';
import { fromHex, toHex } from '../../domain/values/identifier.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { contentOf, isContent, type Holding } from '../../domain/values/holding.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import { hasLarge, heldOf, readHeld, writeLarge } from './pack-holding.ts';
import { passTables, writeTables } from './pack-tables.ts';
import {
  isWritten,
  KnownPack,
  NO_TABLES,
  NUMBERED_FROM_ZERO,
  numberingAfter,
  RewrittenPack,
  type AnyPack,
  type NumberingStart,
  type PackNumbers,
} from './packs.ts';
import { decodeState, StateReader, StateUnfit, StateWriter } from './state-bytes.ts';

const POSITION_AT = 0;
const NUMBERING_AT = 8;
const NAME_AT = 16;
const NAME_BYTES = 32;
const KIND_AT = NAME_AT + NAME_BYTES;
const ORDINAL_AT = KIND_AT + 4;
const FIRST_CONTENT_AT = KIND_AT + 8;
const PAGES_AT = KIND_AT + 12;
const FIRST_PATTERN_AT = KIND_AT + 16;
const PATTERNS_AT = KIND_AT + 20;
const GROUP_AT = KIND_AT + 24;
const VM_AT = KIND_AT + 28;
const CAPTURE_AT = KIND_AT + 32;
const HELD_AT = KIND_AT + 36;
const DETAILS_AT = KIND_AT + 40;
const DETAIL_BYTES_AT = KIND_AT + 44;
const RECORD_BYTES = KIND_AT + 48;

const REWRITTEN = 1;
/** Of one in which nothing lies. */
const EMPTIED = 2;

const NAME = /^[0-9a-f]{64}$/u;
const TEXTS = t.array(t.string);

/** Texts, each of which has a number. */
class Texts {
  readonly all: string[] = [];
  readonly #numbers = new Map<string, number>();

  constructor(texts: readonly string[] = []) {
    for (const text of texts) this.numberOf(text);
  }

  numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.all.length);
    return this.all.push(text) - 1;
  }
}

/** The numbers that a pack gave. */
export type GivenNumbers = Pick<KnownPack, 'firstContent' | 'pages' | 'firstPattern' | 'patterns'>;

/** Which contents are held large. */
export interface HeldContents {
  /** Whether any ever was. */
  readonly hasLarge: boolean;
  /** Whether a page that holds this is held large. O(log packs). */
  isLarge(holding: Holding): boolean;
}

export class PackList implements HeldContents {
  /** Where numbering was taken up: after so many written packs, of which fewer are here. */
  readonly start: NumberingStart;
  #records: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #details: Uint8Array = new Uint8Array(0);
  #groups = new Texts();
  #vms = new Texts();
  /** The pack whose content was asked for last: most that are asked for behind each other are of one. */
  near: KnownPack | null = null;
  /** Packs that have a record. */
  #recorded = 0;
  length = 0;
  /** Packs that were made, by index; those without a record all were. */
  readonly #made: AnyPack[] = [];
  #madeCount = 0;
  /** Indexes of the packs that captures wrote. */
  readonly #written: number[] = [];
  /** By index of a pack that captures wrote and that has no record: the numbering after it. */
  readonly #numberings = new Map<number, bigint>();
  /** Whether anything in any of them is held large. */
  hasLarge = false;
  readonly #byOrdinal = new Map<number, AnyPack>();
  readonly #byName = new Map<string, KnownPack>();
  readonly #rewrittenByName = new Map<string, RewrittenPack>();
  /** Records by their names: an index and 1 in a slot, 0 in an empty one. Made when it is first needed. */
  #slots: Uint32Array | null = null;

  constructor(start: NumberingStart = NUMBERED_FROM_ZERO) {
    this.start = start;
  }

  #u32(index: number, at: number): number {
    return this.#view.getUint32(index * RECORD_BYTES + at, true);
  }

  /** Takes a pack in, the next one. */
  push(pack: AnyPack): void {
    const index = this.length;
    this.#made[index] = pack;
    this.#madeCount += 1;
    this.length += 1;
    this.#byOrdinal.set(pack.ordinal, pack);
    if (isWritten(pack)) {
      const before = this.numbering(this.everWritten) ?? this.start.numbering;
      const isListed = this.writtenCount < this.start.listed;
      this.#numberings.set(index, isListed ? before : numberingAfter(before, pack.name));
      this.#written.push(index);
      this.#byName.set(pack.name, pack);
      this.hasLarge ||= pack.large.length > 0;
    } else this.#rewrittenByName.set(pack.name, pack);
  }

  /** The pack of an index. */
  #at(index: number): AnyPack {
    const made = this.#made[index];
    if (made !== undefined) return made;
    this.#madeCount += 1;
    return (this.#made[index] = this.#make(index));
  }

  /** All packs, each made. O(packs) once. */
  get all(): readonly AnyPack[] {
    for (let i = 0; this.#madeCount < this.length; i += 1) this.#at(i);
    return this.#made;
  }

  /** All packs that captures wrote, each made. O(packs). */
  get written(): readonly KnownPack[] {
    return this.#written.map((_, nth) => this.writtenAt(nth));
  }

  get writtenCount(): number {
    return this.#written.length;
  }

  /** Of the packs that captures wrote one, by its number from 0. */
  writtenAt(nth: number): KnownPack {
    return this.#writtenPack(this.#written[nth]!);
  }

  #writtenPack(index: number): KnownPack {
    const pack = this.#at(index);
    if (!isWritten(pack)) throw new StateUnfit('a pack is of two kinds');
    return pack;
  }

  /** Contents of the first packs that were ever written; null: of all, or of more than there are. */
  contentsOf(packs: number): number | null {
    if (packs < this.start.written) return 0;
    const nth = packs - this.start.written + this.start.listed;
    return nth < this.writtenCount ? this.#firstContentOf(nth) : null;
  }

  /** The numbers that it gave first. */
  #firstContentOf(nth: number): number {
    const index = this.#written[nth]!;
    return index < this.#recorded
      ? this.#u32(index, FIRST_CONTENT_AT)
      : this.writtenAt(nth).firstContent;
  }

  #firstPatternOf(nth: number): number {
    const index = this.#written[nth]!;
    return index < this.#recorded
      ? this.#u32(index, FIRST_PATTERN_AT)
      : this.writtenAt(nth).firstPattern;
  }

  /** Where in the log the commit stands that brought it. */
  positionOf(nth: number): Position {
    const index = this.#written[nth]!;
    if (index >= this.#recorded) return this.writtenAt(nth).position;
    return this.#view.getBigUint64(index * RECORD_BYTES + POSITION_AT, true);
  }

  /** The numbers of the packs that captures wrote, from one on. */
  *numbersFrom(nth: number): Generator<GivenNumbers> {
    for (const index of this.#written.slice(nth))
      yield index >= this.#recorded
        ? this.#writtenPack(index)
        : {
            firstContent: this.#u32(index, FIRST_CONTENT_AT),
            pages: this.#u32(index, PAGES_AT),
            firstPattern: this.#u32(index, FIRST_PATTERN_AT),
            patterns: this.#u32(index, PATTERNS_AT),
          };
  }

  /** Packs that captures ever wrote. */
  get everWritten(): number {
    return this.start.written + this.writtenCount - this.start.listed;
  }

  /** The numbering of the first packs that were ever written; null: there are not so many, or it is gone. */
  numbering(packs: number): bigint | null {
    const more = packs - this.start.written;
    if (more === 0) return this.start.numbering;
    const nth = this.start.listed + more - 1;
    return more > 0 && nth < this.writtenCount ? this.#numberingOf(nth) : null;
  }

  /** The pack that gave a content its number; null: none that is here. O(log packs). */
  withContent(content: number): KnownPack | null {
    const { near } = this;
    if (near !== null && content >= near.firstContent && content < near.firstContent + near.pages)
      return near;
    const nth = lastWhere(this.writtenCount, (i) => this.#firstContentOf(i) <= content);
    const pack = nth < 0 ? null : this.writtenAt(nth);
    if (pack === null || content >= pack.firstContent + pack.pages) return null;
    return (this.near = pack);
  }

  isLarge(holding: Holding): boolean {
    if (!this.hasLarge || !isContent(holding)) return false;
    const content = contentOf(holding);
    return this.withContent(content)?.isLarge(content) ?? false;
  }

  /** The same of a pattern. */
  withPattern(pattern: number): KnownPack | null {
    const nth = lastWhere(this.writtenCount, (i) => this.#firstPatternOf(i) <= pattern);
    const pack = nth < 0 ? null : this.writtenAt(nth);
    return pack !== null && pattern < pack.firstPattern + pack.patterns ? pack : null;
  }

  #numberingOf(nth: number): bigint {
    const index = this.#written[nth]!;
    if (index >= this.#recorded) return this.#numberings.get(index)!;
    return this.#view.getBigUint64(index * RECORD_BYTES + NUMBERING_AT, true);
  }

  /** The pack of an ordinal; undefined: it is not here. */
  ofOrdinal(ordinal: number): AnyPack | undefined {
    const known = this.#byOrdinal.get(ordinal);
    if (known !== undefined) return known;
    const index = lastWhere(this.#recorded, (i) => this.#u32(i, ORDINAL_AT) <= ordinal);
    if (index < 0 || this.#u32(index, ORDINAL_AT) !== ordinal) return undefined;
    return this.#at(index);
  }

  /** The pack of a name that a capture wrote. */
  writtenOf(name: string): KnownPack | undefined {
    const pack = this.#byName.get(name) ?? this.#recordOf(name, 0);
    return pack !== undefined && isWritten(pack) ? pack : undefined;
  }

  /** The pack of a name that compaction wrote. */
  rewrittenOf(name: string): RewrittenPack | undefined {
    const pack = this.#rewrittenByName.get(name) ?? this.#recordOf(name, REWRITTEN);
    return pack === undefined || isWritten(pack) ? undefined : pack;
  }

  #slotOf(name: Uint8Array, slots: number): number {
    return (name[0]! | (name[1]! << 8) | (name[2]! << 16) | (name[3]! << 24)) & (slots - 1);
  }

  #table(): Uint32Array {
    if (this.#slots !== null) return this.#slots;
    const table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * this.#recorded + 2)));
    for (let i = 0; i < this.#recorded; i += 1) {
      let slot = this.#slotOf(this.#nameAt(i), table.length);
      while (table[slot] !== 0) slot = (slot + 1) & (table.length - 1);
      table[slot] = i + 1;
    }
    return (this.#slots = table);
  }

  #nameAt(index: number): Uint8Array {
    const at = index * RECORD_BYTES + NAME_AT;
    return this.#records.subarray(at, at + NAME_BYTES);
  }

  #recordOf(name: string, kind: number): AnyPack | undefined {
    if (this.#recorded === 0 || !NAME.test(name)) return undefined;
    const bytes = fromHex(name);
    const table = this.#table();
    let slot = this.#slotOf(bytes, table.length);
    for (; table[slot] !== 0; slot = (slot + 1) & (table.length - 1)) {
      const index = table[slot]! - 1;
      const of = this.#nameAt(index);
      const isOfKind = (this.#u32(index, KIND_AT) & REWRITTEN) === kind;
      if (isOfKind && bytes.every((byte, i) => byte === of[i])) return this.#at(index);
    }
    return undefined;
  }

  #make(index: number): AnyPack {
    const kind = this.#u32(index, KIND_AT);
    const at = this.#u32(index, DETAILS_AT);
    const reader = new StateReader(
      this.#details.subarray(at, at + this.#u32(index, DETAIL_BYTES_AT)),
    );
    const tables = (kind & EMPTIED) === 0 ? passTables(reader) : NO_TABLES;
    const ordinal = this.#u32(index, ORDINAL_AT);
    const of = {
      name: toHex(this.#nameAt(index)),
      group: this.#groups.all[this.#u32(index, GROUP_AT)]!,
      position: this.#view.getBigUint64(index * RECORD_BYTES + POSITION_AT, true),
      tables,
    };
    if ((kind & REWRITTEN) !== 0)
      return new RewrittenPack({ ...of, holdings: reader.words() }, ordinal);
    const pack = {
      ...of,
      vm: this.#vms.all[this.#u32(index, VM_AT)]!,
      capture: this.#u32(index, CAPTURE_AT),
      pages: this.#u32(index, PAGES_AT),
      patterns: this.#u32(index, PATTERNS_AT),
    };
    const firstContent = this.#u32(index, FIRST_CONTENT_AT);
    const firstPattern = this.#u32(index, FIRST_PATTERN_AT);
    const classes = reader.column();
    if (classes.length !== pack.patterns) throw new StateUnfit('a pattern has no class');
    const held = readHeld(reader, this.#u32(index, HELD_AT), pack.pages);
    return new KnownPack({ ...pack, ...held }, { ordinal, firstContent, firstPattern }, classes);
  }

  /** Writes all: what has a record as it lies, and records of the others. */
  save(writer: StateWriter): void {
    const details = new StateWriter().raw(this.#details);
    const records = new StateWriter().raw(this.#records);
    for (let i = this.#recorded; i < this.length; i += 1) {
      const at = details.bytes().length;
      const pack = this.#at(i);
      const isEmptied = pack.tables === NO_TABLES;
      if (!isEmptied) writeTables(details, pack);
      details.column(isWritten(pack) ? pack.classes : pack.holdings);
      if (isWritten(pack)) writeLarge(details, pack);
      records.u64(pack.position).u64(this.#numberings.get(i) ?? 0n);
      records.raw(fromHex(pack.name));
      records.u32((isWritten(pack) ? 0 : REWRITTEN) | (isEmptied ? EMPTIED : 0)).u32(pack.ordinal);
      const group = this.#groups.numberOf(pack.group);
      if (isWritten(pack)) {
        const { firstContent, pages, firstPattern, patterns, vm, capture } = pack;
        records.u32(firstContent).u32(pages).u32(firstPattern).u32(patterns).u32(group);
        records.u32(this.#vms.numberOf(vm)).u32(capture).u32(heldOf(pack));
      } else for (const value of [0, 0, 0, 0, group, 0, 0, 0]) records.u32(value);
      records.u32(at).u32(details.bytes().length - at);
    }
    writer.text(JSON.stringify(this.#groups.all)).text(JSON.stringify(this.#vms.all));
    writer.column(records.bytes()).column(details.bytes());
  }

  /**
   * What `save` wrote, of packs with numbers up to `next`, the written ones numbered on without gaps after
   * those that are listed. StateUnfit where it is none.
   */
  static load(reader: StateReader, start: NumberingStart, next: PackNumbers): PackList {
    const list = new PackList(start);
    list.#groups = new Texts(decodeState(reader.text(), TEXTS));
    list.#vms = new Texts(decodeState(reader.text(), TEXTS));
    list.#records = reader.part();
    const { buffer, byteOffset, byteLength } = list.#records;
    if (byteLength % RECORD_BYTES !== 0) throw new StateUnfit('packs are cut off');
    list.#view = new DataView(buffer, byteOffset, byteLength);
    list.#details = reader.part();
    list.#recorded = byteLength / RECORD_BYTES;
    list.length = list.#recorded;
    list.#check(next);
    return list;
  }

  #check(next: PackNumbers): void {
    const { start } = this;
    const after = { ordinal: 0, details: 0, contents: 0, patterns: 0 };
    for (let i = 0; i < this.length; i += 1) {
      const ordinal = this.#u32(i, ORDINAL_AT);
      const isKnown = this.#u32(i, GROUP_AT) < this.#groups.all.length;
      if (ordinal < after.ordinal || this.#u32(i, DETAILS_AT) !== after.details || !isKnown)
        throw new StateUnfit('packs are numbered twice, or out of order');
      after.ordinal = ordinal + 1;
      after.details += this.#u32(i, DETAIL_BYTES_AT);
      if ((this.#u32(i, KIND_AT) & REWRITTEN) !== 0) continue;
      const nth = this.#written.push(i) - 1;
      this.hasLarge ||= hasLarge(this.#u32(i, HELD_AT));
      const contents = this.#u32(i, FIRST_CONTENT_AT);
      const patterns = this.#u32(i, FIRST_PATTERN_AT);
      const isGap = contents !== after.contents || patterns !== after.patterns;
      const isBefore = contents < after.contents || patterns < after.patterns;
      // Of packs before the start some may be gone, with their numbers.
      const mayBeGap = nth < start.listed || (nth === start.listed && start.written > 0);
      if (isBefore || (isGap && !mayBeGap) || this.#u32(i, VM_AT) >= this.#vms.all.length)
        throw new StateUnfit('contents are not numbered without gaps');
      after.contents = contents + this.#u32(i, PAGES_AT);
      after.patterns = patterns + this.#u32(i, PATTERNS_AT);
    }
    const isLast = this.#written.length > start.listed || start.written === 0;
    const isShort = after.contents !== next.firstContent || after.patterns !== next.firstPattern;
    const isBeyond =
      after.ordinal > next.ordinal ||
      after.contents > next.firstContent ||
      after.patterns > next.firstPattern ||
      after.details !== this.#details.length;
    if (isBeyond || (isLast && isShort) || this.#written.length < start.listed)
      throw new StateUnfit('packs and what they number do not fit');
  }
}
