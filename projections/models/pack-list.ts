// All packs of the contents, in the order of their ordinals: columns of what is searched, and records
// (pack-records.ts) of which a pack is made when somebody asks for it. Of most nobody does.

import type { Position } from '../../domain/ports/event-log.ts';
import { contentOf, isContent, type Holding } from '../../domain/values/holding.ts';
import { fromHex } from '../../domain/values/identifier.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import { GrowingWords } from './growing-words.ts';
import { PackNames } from './pack-names.ts';
import { PackRecords } from './pack-records.ts';
import {
  isWritten,
  NUMBERED_FROM_ZERO,
  numberingAfter,
  type AnyPack,
  type KnownPack,
  type NumberingStart,
  type PackNumbers,
  type RewrittenPack,
} from './packs.ts';
import { Remade } from './remade.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

const NAME = /^[0-9a-f]{64}$/u;

/** The numbers that a pack gave. */
export type GivenNumbers = Pick<KnownPack, 'firstContent' | 'pages' | 'firstPattern' | 'patterns'>;

/** Which contents are held large. */
export interface HeldContents {
  /** Whether any ever was. */
  readonly hasLarge: boolean;
  /** Whether a page that holds this is held large. O(log packs). */
  isLarge(holding: Holding): boolean;
}

/** Whether no number is less than the one before, nor more than the last may be; `step`: nor so little more. */
function ascend({ all }: GrowingWords, end: number, step: number): boolean {
  let least = 0;
  for (const value of all) {
    if (value < least) return false;
    least = value + step;
  }
  return all.length === 0 || least <= end;
}

export class PackList implements HeldContents {
  /** Where numbering was taken up: after so many written packs, of which fewer are here. */
  readonly start: NumberingStart;
  #records = new PackRecords();
  /** By index: the ordinals; and the first numbers that a pack gave, or the next would, of one that gave none. */
  #ordinals = new GrowingWords();
  #firstContents = new GrowingWords();
  #firstPatterns = new GrowingWords();
  /** Indexes of the packs that compaction wrote. */
  #rewritten = new GrowingWords();
  readonly #names = new PackNames((index) => this.#records.name(index));
  readonly #packs = new Remade((index) => this.#make(index));
  /** The pack whose content was asked for last: most that are asked for behind each other are of one. */
  near: KnownPack | null = null;
  /** Whether anything in any of them is held large. */
  hasLarge = false;

  constructor(start: NumberingStart = NUMBERED_FROM_ZERO) {
    this.start = start;
  }

  get length(): number {
    return this.#records.length;
  }

  /** Takes a pack in, the next one. */
  push(pack: AnyPack): void {
    const index = this.length;
    this.#ordinals.push(pack.ordinal);
    if (isWritten(pack)) {
      const before = this.numbering(this.everWritten) ?? this.start.numbering;
      const isListed = this.writtenCount < this.start.listed;
      this.#records.push(pack, isListed ? before : numberingAfter(before, pack.name));
      this.#firstContents.push(pack.firstContent);
      this.#firstPatterns.push(pack.firstPattern);
      this.hasLarge ||= pack.large.length > 0;
    } else {
      this.#firstContents.push(index === 0 ? 0 : this.#nextContent(index - 1));
      this.#firstPatterns.push(index === 0 ? 0 : this.#nextPattern(index - 1));
      this.#records.push(pack, 0n);
      this.#rewritten.push(index);
    }
    this.#names.push(fromHex(pack.name));
    this.#packs.put(index, pack);
  }

  /** The number after those of a pack's contents; of one that compaction wrote there are none. */
  #nextContent(index: number): number {
    return this.#firstContents.at(index) + this.#records.pages(index);
  }

  #nextPattern(index: number): number {
    return this.#firstPatterns.at(index) + this.#records.patterns(index);
  }

  #make(index: number): AnyPack {
    const [firstContent, firstPattern] = [
      this.#firstContents.at(index),
      this.#firstPatterns.at(index),
    ];
    const isPast = index + 1 < this.length && this.#isPast(index);
    if (isPast) throw new StateUnfit('contents are numbered twice');
    return this.#records.make(index, {
      ordinal: this.#ordinals.at(index),
      firstContent,
      firstPattern,
    });
  }

  /** Whether its numbers go past the first ones of the pack behind it. */
  #isPast(index: number): boolean {
    const areContents = this.#nextContent(index) > this.#firstContents.at(index + 1);
    return areContents || this.#nextPattern(index) > this.#firstPatterns.at(index + 1);
  }

  /** The pack of an index. */
  #at(index: number): AnyPack {
    return this.#packs.at(index);
  }

  /** All packs, each made when its turn comes: very many take hundreds of megabytes together. */
  *all(): Generator<AnyPack> {
    for (let index = 0; index < this.length; index += 1) yield this.#at(index);
  }

  /** Packs from an index on, of whose ordinals is asked: no others are made. */
  from(index: number, isAsked: (ordinal: number) => boolean): AnyPack[] {
    const packs: AnyPack[] = [];
    for (let i = index; i < this.length; i += 1)
      if (isAsked(this.#ordinals.at(i))) packs.push(this.#at(i));
    return packs;
  }

  /** All packs that captures wrote, each made. O(packs). */
  get written(): readonly KnownPack[] {
    return Array.from({ length: this.writtenCount }, (_, nth) => this.writtenAt(nth));
  }

  get writtenCount(): number {
    return this.length - this.#rewritten.length;
  }

  /** The index of one of the packs that captures wrote. O(log packs). */
  #indexOf(nth: number): number {
    const { length } = this.#rewritten;
    return nth + lastWhere(length, (i) => this.#rewritten.at(i) - i <= nth) + 1;
  }

  /** Of the packs that captures wrote one, by its number from 0. */
  writtenAt(nth: number): KnownPack {
    return this.#writtenPack(this.#indexOf(nth));
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
    return nth < this.writtenCount ? this.#firstContents.at(this.#indexOf(nth)) : null;
  }

  /** Where in the log the commit stands that brought it. */
  positionOf(nth: number): Position {
    return this.#records.position(this.#indexOf(nth));
  }

  /** The numbers of the packs that captures wrote, from one on. */
  *numbersFrom(nth: number): Generator<GivenNumbers> {
    for (let each = nth; each < this.writtenCount; each += 1) {
      const index = this.#indexOf(each);
      yield {
        firstContent: this.#firstContents.at(index),
        pages: this.#records.pages(index),
        firstPattern: this.#firstPatterns.at(index),
        patterns: this.#records.patterns(index),
      };
    }
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
    return more > 0 && nth < this.writtenCount ? this.#records.numbering(this.#indexOf(nth)) : null;
  }

  /** The pack of the last first number at or before one; null: a capture wrote none there. */
  #lastTo(firsts: GrowingWords, number: number): KnownPack | null {
    const index = lastWhere(this.length, (i) => firsts.at(i) <= number);
    const pack = index < 0 ? null : this.#at(index);
    return pack !== null && isWritten(pack) ? pack : null;
  }

  /** The pack that gave a content its number; null: none that is here. O(log packs). */
  withContent(content: number): KnownPack | null {
    const { near } = this;
    if (near !== null && content >= near.firstContent && content < near.firstContent + near.pages)
      return near;
    const pack = this.#lastTo(this.#firstContents, content);
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
    const pack = this.#lastTo(this.#firstPatterns, pattern);
    return pack !== null && pattern < pack.firstPattern + pack.patterns ? pack : null;
  }

  /** The pack of an ordinal; undefined: it is not here. O(log packs). */
  ofOrdinal(ordinal: number): AnyPack | undefined {
    const index = lastWhere(this.length, (i) => this.#ordinals.at(i) <= ordinal);
    return index < 0 || this.#ordinals.at(index) !== ordinal ? undefined : this.#at(index);
  }

  #named(name: string, isRewritten: boolean): AnyPack | undefined {
    if (!NAME.test(name)) return undefined;
    const isAsked = (index: number): boolean => this.#records.isRewritten(index) === isRewritten;
    const index = this.#names.find(fromHex(name), isAsked);
    return index < 0 ? undefined : this.#at(index);
  }

  /** The pack of a name that a capture wrote. */
  writtenOf(name: string): KnownPack | undefined {
    const pack = this.#named(name, false);
    return pack !== undefined && isWritten(pack) ? pack : undefined;
  }

  /** The pack of a name that compaction wrote. */
  rewrittenOf(name: string): RewrittenPack | undefined {
    const pack = this.#named(name, true);
    return pack === undefined || isWritten(pack) ? undefined : pack;
  }

  /** Writes all: what a state has as it lies there, and what came since. */
  save(writer: StateWriter): void {
    this.#records.save(writer);
    writer.column(this.#ordinals.all);
    writer.column(this.#firstContents.all).column(this.#firstPatterns.all);
    writer.column(this.#rewritten.all).u32(Number(this.hasLarge));
    this.#names.save(writer);
  }

  /** What `save` wrote, of packs with numbers up to `next`. StateUnfit where it is none. */
  static load(reader: StateReader, start: NumberingStart, next: PackNumbers): PackList {
    const list = new PackList(start);
    list.#records = PackRecords.load(reader);
    list.#ordinals = new GrowingWords(reader.words());
    list.#firstContents = new GrowingWords(reader.words());
    list.#firstPatterns = new GrowingWords(reader.words());
    list.#rewritten = new GrowingWords(reader.words());
    list.hasLarge = reader.u32() !== 0;
    list.#names.load(reader, list.length);
    list.#check(next);
    return list;
  }

  #check(next: PackNumbers): void {
    const columns = [this.#ordinals, this.#firstContents, this.#firstPatterns];
    if (columns.some(({ length }) => length !== this.length))
      throw new StateUnfit('packs have no numbers each');
    const areInOrder =
      ascend(this.#ordinals, next.ordinal, 1) &&
      ascend(this.#firstContents, next.firstContent, 0) &&
      ascend(this.#firstPatterns, next.firstPattern, 0) &&
      ascend(this.#rewritten, this.length, 1);
    if (!areInOrder) throw new StateUnfit('packs are numbered twice, or out of order');
    const last = this.length - 1;
    const isBeyond =
      last >= 0 &&
      (this.#nextContent(last) > next.firstContent || this.#nextPattern(last) > next.firstPattern);
    if (isBeyond || this.writtenCount < this.start.listed)
      throw new StateUnfit('packs and what they number do not fit');
  }
}
