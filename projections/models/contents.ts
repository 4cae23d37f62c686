// Contents and patterns: what packs hold, numbered in log order (a pack's first content follows the
// last of the pack before it; its patterns likewise). Where two recorders stored the same content at
// once, the first in log order is the content; the later number is an alias of it. Numbers are for
// ever; where a content lies is not: compaction moves contents, and forgetting releases them. Light:
// needs no identifier to be loaded.
//
// Words: a pack is *written* by a capture, which gives its slots their numbers, or *rewritten* by
// compaction, whose slots stand for contents that have numbers. Places and sources: places.ts.
//
// A content that patches refer to does not become a patch itself: the fold leaves it where it was.
// Only where a capture referred to it that had not seen the patch, patches refer to one.

import { assert } from '../../domain/values/assert.ts';
import { ordinalAt, placeAt, slotAt, type Place } from '../../domain/values/place.ts';
import { contentSlotsOf, slotsOf } from '../../domain/values/pack.ts';
import type { PackWritten } from '../../domain/events/pack-written.ts';
import { CLASS_NONE, IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import {
  FIRST_CONTENT,
  PATTERN_BASE,
  UNKNOWN,
  contentOf,
  holdingOfContent,
  isContent,
  isInPack,
  isKeptPattern,
  type KeptPattern,
  type Content,
  type Holding,
} from '../../domain/values/holding.ts';
import type { PatchTable } from '../../domain/events/patches.ts';
import type { PageLocator } from '../../domain/ports/models.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { PackRewritten } from '../../domain/events/pack-rewritten.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import { Aliases } from './aliases.ts';
import {
  contentsOf,
  readNumbers,
  writeContents,
  writeNumbers,
  type SavedContents,
} from './contents-state.ts';
import { PackList, type GivenNumbers, type HeldContents } from './pack-list.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';
import {
  isWritten,
  KnownPack,
  NO_TABLES,
  RewrittenPack,
  type AnyPack,
  type CountedPack,
  type HeldPack,
  type NumberingStart,
  type PackNumbers,
  type PackOrigin,
} from './packs.ts';
import { Places, type Home } from './places.ts';
import { Referrers } from './referrers.ts';
import { namedSlots, tablesOf } from './rewritten-tables.ts';

export { isWritten, type AnyPack, type KnownPack, type RewrittenPack } from './packs.ts';

/** Where in the log a change of places comes from, and when by its writer's clock. */
export interface PlaceChange {
  readonly position: Position;
  readonly timeMs: number;
}

/** Of what was in a pack that is not here any more. */
const GONE: Place = -2;

/** Most contents a ledger can number, and most patterns. */
const CONTENTS_MAX = PATTERN_BASE - FIRST_CONTENT - 1;
const PATTERNS_MAX = UNKNOWN - PATTERN_BASE - 1;

/** Contents that lie where they were written: holdings from `first` to `end`, and where the first lies. */
interface StillContents {
  readonly first: Holding;
  readonly end: Holding;
  readonly place: Place;
}

const NONE_STILL: StillContents = { first: 0, end: 0, place: 0 };

export class Contents implements PageLocator {
  /** Every pack has an ordinal of its own, and those that are gone had. */
  #list = new PackList();
  readonly #aliases = new Aliases();
  #places = new Places();
  /** Of the pack whose content was asked for last, if none of it has moved. */
  #still = NONE_STILL;
  readonly #referrers = new Referrers(this);
  /** Counts what moved or was released: whoever has seen this count knows where everything lies. */
  changes = 0;
  count = 0;
  patternCount = 0;

  /** Packs that captures wrote, in log order. O(packs). */
  get packs(): readonly KnownPack[] {
    return this.#list.written;
  }

  /** All packs, in the order of their ordinals, each made when its turn comes. O(packs). */
  get all(): Iterable<AnyPack> {
    return this.#list.all();
  }

  /** How many there are. */
  get packCount(): number {
    return this.#list.length;
  }

  /** Packs in which anything lies, of all from the one of a number on. O(packs from there on). */
  neededFrom(number: number): readonly AnyPack[] {
    return this.#list.from(number, (ordinal) => this.#places.lyingIn(ordinal) > 0);
  }

  get hasPacks(): boolean {
    return this.#list.writtenCount > 0;
  }

  /** How many of the packs that captures wrote were committed up to a position. O(log packs). */
  packsTo(position: Position): number {
    return lastWhere(this.#list.writtenCount, (i) => this.#list.positionOf(i) <= position) + 1;
  }

  /** The numbers that written packs gave, from one on. */
  numbersFrom(nth: number): Iterable<GivenNumbers> {
    return this.#list.numbersFrom(nth);
  }

  /** Takes a pack in; a pack named before (a retried capture) keeps its numbers. */
  add(pack: PackWritten, origin: PackOrigin): KnownPack {
    const named = this.#list.writtenOf(pack.name);
    if (named !== undefined) return named;
    const pages = contentSlotsOf(pack.blocks);
    const patterns = slotsOf(pack.blocks) - pages;
    const classes = Uint8Array.from(
      { length: patterns },
      (_, i) => pack.identifiers[(pages + i) * IDENTIFIER_BYTES]!,
    );
    const { name, group, capture, sizeBytes, blocks, large } = pack;
    const references = this.referencesOf(pack.patches);
    const tables = { sizeBytes, blocks, patches: { slots: pack.patches.slots }, references };
    const counted = { ...origin, name, group, capture, pages, patterns, tables, large };
    return this.insert(counted, classes);
  }

  /** Takes a written pack in whose table was counted: one that was emptied for its numbers alone. */
  insert(
    pack: CountedPack,
    classes: Uint8Array,
    numbers?: PackNumbers & { readonly isEmptied: boolean },
  ): KnownPack {
    if (numbers !== undefined) this.#skipTo(numbers);
    assert(this.count + pack.pages <= CONTENTS_MAX, 'contents fit their numbers');
    assert(this.patternCount + pack.patterns <= PATTERNS_MAX, 'patterns fit their numbers');
    const known = new KnownPack(pack, this.numbers.next, classes);
    const slots = pack.pages + pack.patterns;
    const isEmptied = numbers?.isEmptied ?? false;
    const ordinal = isEmptied ? this.#places.addEmptied(slots) : this.#places.add(slots);
    assert(ordinal === known.ordinal, 'packs and their places have the same ordinals');
    this.#list.push(known);
    if (this.#referrers.areCounted)
      for (const reference of known.references) this.#referrers.add(reference, 1);
    this.count += known.pages;
    this.patternCount += known.patterns;
    return known;
  }

  /** Numbers of packs that are gone stay theirs. */
  #skipTo({ ordinal, firstContent, firstPattern }: PackNumbers): void {
    this.#places.skipTo(ordinal);
    this.count = Math.max(this.count, firstContent);
    this.patternCount = Math.max(this.patternCount, firstPattern);
  }

  /** Takes numbering up where packs before it may be gone. The packs that are here come next. */
  startAt(start: NumberingStart): void {
    assert(this.#list.length === 0, 'numbering is taken up before any pack comes');
    this.#list = new PackList(start);
  }

  /** How numbering was taken up, and where it is. */
  get numbers(): { readonly start: NumberingStart; readonly next: PackNumbers } {
    const next = {
      ordinal: this.#places.count,
      firstContent: this.count,
      firstPattern: this.patternCount,
    };
    return { start: this.#list.start, next };
  }

  /** Packs that captures ever wrote. */
  get written(): number {
    return this.#list.everWritten;
  }

  /** What patches refer to; UNKNOWN where the event of a pack was lost. */
  referencesOf({ packs, packIndexes, references }: PatchTable): Uint32Array {
    return namedSlots(this, packs, packIndexes, references).map((holding) => this.firstOf(holding));
  }

  /** Takes a rewritten pack in: what its slots stand for lies there from now on. */
  rewrite(pack: PackRewritten, change: PlaceChange): RewrittenPack {
    const named = this.#list.rewrittenOf(pack.name);
    if (named !== undefined) return named;
    const { position } = change;
    const rewritten = this.insertRewritten({ ...tablesOf(pack, this), position });
    const { holdings } = rewritten;
    const patches = new Map<number, Holding>();
    for (const [i, slot] of rewritten.patches.slots.entries())
      patches.set(slot, rewritten.references[i]!);
    for (const [slot, holding] of holdings.entries()) {
      const home = this.#homeOf(holding);
      const reference = patches.get(slot) ?? null;
      const isKept = home === null || (reference !== null && this.#referrers.has(holding));
      if (isKept) continue;
      const before = this.#patchOf(home);
      this.#places.move(home, placeAt(rewritten.ordinal, slot), change.timeMs);
      this.#recount(home, before);
    }
    this.#changed();
    return rewritten;
  }

  /** Takes a rewritten pack in whose slots lie where they are known to lie. */
  insertRewritten(pack: HeldPack, numbers?: PackNumbers): RewrittenPack {
    if (numbers !== undefined) this.#skipTo(numbers);
    const rewritten = new RewrittenPack(pack, this.#places.add(0));
    this.#list.push(rewritten);
    return rewritten;
  }

  /** Lets go of what a content or a pattern is; false: that was done, or it has no number. */
  release(holding: Holding, timeMs: number): boolean {
    const home = this.#homeOf(holding);
    if (home === null) return false;
    const before = this.#patchOf(home);
    const isNews = this.#places.release(home, timeMs);
    if (isNews) this.#recount(home, before);
    this.#changed();
    return isNews;
  }

  /** Something released is used again. */
  revive(holding: Holding): void {
    const home = this.#homeOf(holding);
    if (home === null || !this.#places.revive(home)) return;
    this.#recount(home, null);
    this.#changed();
  }

  /** Something lies elsewhere from now on, or nowhere. */
  #changed(): void {
    this.changes += 1;
    this.#still = NONE_STILL;
  }

  isReleased(holding: Holding): boolean {
    return isInPack(holding) && this.placeOf(holding) < 0;
  }

  /** Where something released would lie, were it used again; null: nothing is known of that. */
  leftAt(holding: Holding): Place | null {
    const home = this.#homeOf(holding);
    return home === null ? null : this.#places.leftBy(home);
  }

  /** The pack in which something released would lie, were it used again; null: none is known. */
  leftBy(holding: Holding): AnyPack | null {
    const place = this.leftAt(holding);
    return place === null ? null : (this.#list.ofOrdinal(ordinalAt(place)) ?? null);
  }

  /** Another content stands for one from now on: what referred to it is counted anew when it is asked. */
  alias(content: Content, first: Content): void {
    this.#aliases.contents.set(content, first);
    this.#referrers.forget();
  }

  /** Another pattern stands for one from now on. */
  aliasPattern(pattern: KeptPattern, first: KeptPattern): void {
    this.#aliases.patterns.set(pattern, first);
  }

  /** Alias -> first content, as content numbers. */
  get aliases(): ReadonlyMap<Content, Content> {
    return this.#aliases.contents;
  }

  /** Lost pattern -> the one of equal descriptors that stands for it, as pattern numbers. */
  get patternAliases(): ReadonlyMap<KeptPattern, KeptPattern> {
    return this.#aliases.patterns;
  }

  /** What the slot at its place refers to, if that is a patch; null: it is none, or it is released. */
  #patchOf(home: Home): Holding | null {
    const place = this.#places.of(home);
    return place < 0 ? null : this.referenceAt(place);
  }

  /** The counts of references follow a slot that was moved, released or revived. */
  #recount(home: Home, before: Holding | null): void {
    if (!this.#referrers.areCounted) return;
    const after = this.#patchOf(home);
    if (after !== null) this.#referrers.add(after, 1);
    if (before !== null) this.#referrers.add(before, -1);
  }

  /** By content: patches that lie somewhere and refer to it. */
  referrers(): Uint32Array {
    return this.#referrers.all();
  }

  /** Whether what a slot of a pack stands for lies there. */
  liesAt(pack: AnyPack, slot: number): boolean {
    const home = this.#homeOf(this.holdingAt(pack, slot));
    return home !== null && this.#places.of(home) === placeAt(pack.ordinal, slot);
  }

  /** A value that tells whether the first `packs` written packs are numbered as they were; null: not so many. */
  numbering(packs: number): bigint | null {
    return this.#list.numbering(packs);
  }

  /** Contents of the first `packs` written packs. */
  countOf(packs: number): number {
    return this.#list.contentsOf(packs) ?? this.count;
  }

  /** The written pack of a name, or undefined: its PackWritten was lost or not read yet. */
  byName(name: string): KnownPack | undefined {
    return this.#list.writtenOf(name);
  }

  /** The rewritten pack of a name. */
  rewritten(name: string): RewrittenPack | undefined {
    return this.#list.rewrittenOf(name);
  }

  /** The pack of a name, written or rewritten. */
  named(name: string): AnyPack | undefined {
    return this.#list.writtenOf(name) ?? this.#list.rewrittenOf(name);
  }

  /** The written pack that gave a content its number. O(log packs). */
  packOf(content: Content): KnownPack {
    const pack = this.#list.withContent(content);
    assert(pack !== null, 'a content has a pack');
    return pack;
  }

  /** Which of them are held large. */
  get held(): HeldContents {
    return this.#list;
  }

  /** The written pack that gave a content or a kept pattern its number; null: it has none. */
  homePackOf(holding: Holding): KnownPack | null {
    if (isContent(holding)) return this.#list.withContent(contentOf(holding));
    return isKeptPattern(holding) ? this.#list.withPattern(holding - PATTERN_BASE) : null;
  }

  #homeOf(holding: Holding): Home | null {
    const pack = this.homePackOf(holding);
    if (pack === null) return null;
    const slot = isContent(holding)
      ? contentOf(holding) - pack.firstContent
      : pack.pages + holding - PATTERN_BASE - pack.firstPattern;
    return { ordinal: pack.ordinal, slot };
  }

  /** The name and slot by which events refer to a content or a kept pattern. */
  reference(holding: Holding): { readonly pack: string; readonly slot: number } {
    const home = this.#homeOf(holding);
    assert(home !== null, 'only what lies in a pack has a reference');
    return { pack: this.#list.ofOrdinal(home.ordinal)!.name, slot: home.slot };
  }

  /** The name of the pack and the slot where a content or a kept pattern lies; its home's, where it is released. */
  source(holding: Holding): { readonly pack: string; readonly slot: number } {
    const place = this.placeOf(holding);
    if (place < 0) return this.reference(holding);
    return { pack: this.packAt(place).name, slot: slotAt(place) };
  }

  /** Where a content or a kept pattern lies now; below 0: it is released, or its pack is gone. O(log packs). */
  placeOf(holding: Holding): Place {
    const { first, end, place } = this.#still;
    if (holding >= first && holding < end) return place + holding - first;
    assert(isInPack(holding), 'only what lies in a pack has a place');
    const home = this.#homeOf(holding);
    if (home === null) return GONE;
    const pack = this.#list.near;
    if (pack?.ordinal === home.ordinal && !this.#places.hasMoved(home.ordinal)) {
      const from = holdingOfContent(pack.firstContent);
      this.#still = { first: from, end: from + pack.pages, place: placeAt(home.ordinal, 0) };
    }
    return this.#places.of(home);
  }

  packAt(place: Place): AnyPack {
    const pack = this.#list.ofOrdinal(ordinalAt(place));
    assert(pack !== undefined, 'a place is in a pack');
    return pack;
  }

  referenceAt(place: Place): Holding | null {
    const { patches, references } = this.packAt(place);
    const slot = slotAt(place);
    const at = lastWhere(patches.slots.length, (i) => patches.slots[i]! <= slot);
    return patches.slots[at] === slot ? this.firstOf(references[at]!) : null;
  }

  /** Whether a content is stored as a patch now. */
  isPatch(holding: Holding): boolean {
    const place = this.placeOf(holding);
    return place >= 0 && this.referenceAt(place) !== null;
  }

  /** Class of a kept pattern; CLASS_NONE where its pack is gone. O(log packs). */
  classOf(holding: Holding): number {
    assert(isKeptPattern(holding), 'only a kept pattern has a class here');
    const pack = this.homePackOf(holding);
    return pack?.classes[holding - PATTERN_BASE - pack.firstPattern] ?? CLASS_NONE;
  }

  /** What a slot of a pack stands for: of a written pack its own content, though it be an alias. */
  holdingAt(pack: AnyPack, slot: number): Holding {
    return isWritten(pack) ? this.#numberOf(pack, slot) : (pack.holdings[slot] ?? UNKNOWN);
  }

  #numberOf(pack: KnownPack, slot: number): Holding {
    if (slot >= pack.pages + pack.patterns) return UNKNOWN;
    if (slot >= pack.pages) return PATTERN_BASE + pack.firstPattern + slot - pack.pages;
    return FIRST_CONTENT + pack.firstContent + slot;
  }

  /** The content that a slot of a pack holds; null: it keeps a pattern. */
  contentAt(pack: AnyPack, slot: number): Content | null {
    const holding = this.holdingAt(pack, slot);
    return isContent(holding) ? contentOf(holding) : null;
  }

  /** Whether anything lies in a pack still. */
  isNeeded(pack: AnyPack): boolean {
    return this.#places.lyingIn(pack.ordinal) > 0;
  }

  /** How many slots lie in a pack. */
  lyingIn(pack: AnyPack): number {
    return this.#places.lyingIn(pack.ordinal);
  }

  /** Since when nothing lies in a pack, by the clock of who emptied it; null: something does. */
  emptiedAtMs(pack: AnyPack): number | null {
    return this.#places.emptiedAtMs(pack.ordinal);
  }

  /** What a page holds whose reference is (pack, slot): the first of equal contents. */
  holdingOf(pack: KnownPack, slot: number): Holding {
    return this.firstOf(this.#numberOf(pack, slot));
  }

  /** The first of the contents equal to one; anything else as it is. */
  firstOf(holding: Holding): Holding {
    return this.#aliases.firstOf(holding);
  }

  /** Whether anything stands for anything. */
  get hasAliases(): boolean {
    return this.#aliases.areAny;
  }

  /** Whether a later content stands for an earlier one, which page tables of before name. */
  get hasRenewed(): boolean {
    return this.#aliases.hasRenewed;
  }

  /** All that is kept of them. */
  get saved(): SavedContents {
    return {
      ...this.numbers,
      all: [...this.all],
      isEmptied: ({ tables }) => tables === NO_TABLES,
      aliases: this.aliases,
      patternAliases: this.patternAliases,
      places: this.#places.saved,
    };
  }

  /** Writes them as a baseline has them. */
  save(writer: StateWriter): void {
    writeContents(writer, this.saved);
  }

  /** What `save` wrote, and baselines have. StateUnfit where it is none. */
  static load(reader: StateReader): Contents {
    const contents = new Contents();
    const { places, next } = contentsOf(reader, contents);
    contents.#skipTo(next);
    if (!contents.#places.load(places)) throw new StateUnfit('places do not fit their packs');
    return contents;
  }

  /** Writes them as their state file has them: what nobody asked for is copied as it lies. */
  saveState(writer: StateWriter): void {
    const { aliases, patternAliases } = this;
    writeNumbers(writer, { ...this.numbers, aliases, patternAliases });
    this.#list.save(writer);
    this.#places.save(writer);
  }

  /** What `saveState` wrote. StateUnfit where it is none. */
  static loadState(reader: StateReader): Contents {
    const contents = new Contents();
    const { start, next } = readNumbers(reader, contents);
    contents.#list = PackList.load(reader, start, next);
    contents.#places = Places.read(reader);
    if (contents.#places.count > next.ordinal) throw new StateUnfit('places are of no packs');
    contents.#skipTo(next);
    return contents;
  }
}
