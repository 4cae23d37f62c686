// Packs as the fold knows them (contents.ts has the words).

import type { ReadPack } from '../../domain/ports/models.ts';
import type { Ordinal } from '../../domain/values/place.ts';
import { hasSlot, NO_RUNS, type SlotRuns } from '../../domain/values/slot-runs.ts';
import type { Position } from '../../domain/ports/event-log.ts';

/** What is where in a pack. */
export type Tables = Pick<ReadPack, 'sizeBytes' | 'blocks' | 'patches' | 'references'>;

/** A pack with its tables, which may be read when somebody asks for them. */
abstract class TabledPack implements ReadPack {
  abstract readonly ordinal: Ordinal;
  abstract readonly name: string;
  readonly tables: Tables;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  get sizeBytes(): number {
    return this.tables.sizeBytes;
  }

  get blocks(): Tables['blocks'] {
    return this.tables.blocks;
  }

  get patches(): Tables['patches'] {
    return this.tables.patches;
  }

  get references(): Uint32Array {
    return this.tables.references;
  }
}

/** A pack that a capture wrote, and where it comes from. */
export class KnownPack extends TabledPack {
  readonly ordinal: Ordinal;
  readonly name: string;
  readonly vm: string;
  readonly group: string;
  readonly capture: number;
  /** Position of the commit that brought it. */
  readonly position: Position;
  /** Whether its pages may be shared at all: not those of a VM that shares nothing but patterns. */
  readonly isLinked: boolean;
  /** Slots of contents that are held large. */
  readonly large: SlotRuns;
  /** Its pages are the contents from this number on, in slot order; then its patterns. */
  readonly firstContent: number;
  readonly pages: number;
  readonly firstPattern: number;
  readonly patterns: number;
  /** A class for each of its patterns. */
  readonly classes: Uint8Array;

  constructor(pack: CountedPack, numbers: PackNumbers, classes: Uint8Array) {
    super(pack.tables);
    this.ordinal = numbers.ordinal;
    this.name = pack.name;
    this.vm = pack.vm;
    this.group = pack.group;
    this.capture = pack.capture;
    this.position = pack.position;
    this.isLinked = pack.isLinked;
    this.large = pack.large ?? NO_RUNS;
    this.firstContent = numbers.firstContent;
    this.pages = pack.pages;
    this.firstPattern = numbers.firstPattern;
    this.patterns = pack.patterns;
    this.classes = classes;
  }

  /** Whether a content is held large: it is one of its own, and nobody links to it. */
  isLarge(content: number): boolean {
    return this.large.length > 0 && hasSlot(this.large, content - this.firstContent);
  }

  /** Whether a content is found by its identifier, so that equal pages may be linked to it. */
  isFound(content: number): boolean {
    return this.isLinked && !this.isLarge(content);
  }
}

/** A pack that compaction wrote. */
export class RewrittenPack extends TabledPack {
  readonly ordinal: Ordinal;
  readonly name: string;
  readonly group: string;
  readonly position: Position;
  /** What each of its slots holds; UNKNOWN where the event of its home was lost. */
  readonly holdings: Uint32Array;

  constructor({ name, group, position, holdings, tables }: HeldPack, ordinal: Ordinal) {
    super(tables);
    this.ordinal = ordinal;
    this.name = name;
    this.group = group;
    this.position = position;
    this.holdings = holdings;
  }
}

export type AnyPack = KnownPack | RewrittenPack;

export interface PackOrigin {
  readonly vm: string;
  readonly position: Position;
  readonly isLinked: boolean;
}

/** Where a pack's numbers begin. */
export interface PackNumbers {
  readonly ordinal: number;
  readonly firstContent: number;
  readonly firstPattern: number;
}

/** Where the numbering of packs is taken up: after `written` of them, `listed` of which are known still. */
export interface NumberingStart {
  readonly written: number;
  readonly listed: number;
  readonly numbering: bigint;
}

/** A written pack whose slots were counted, before it has numbers. */
export interface CountedPack extends PackOrigin {
  readonly name: string;
  readonly group: string;
  readonly capture: number;
  readonly pages: number;
  readonly patterns: number;
  readonly tables: Tables;
  /** Absent: nothing in it is held large. */
  readonly large?: SlotRuns | undefined;
}

/** A rewritten pack before it has an ordinal. */
export interface HeldPack {
  readonly name: string;
  readonly group: string;
  readonly position: Position;
  readonly holdings: Uint32Array;
  readonly tables: Tables;
}

/** Of a pack in which nothing lies: it is told of for the numbers that it gave. */
export const NO_TABLES: Tables = {
  sizeBytes: 0,
  blocks: {
    codecs: new Uint8Array(0),
    pages: new Uint8Array(0),
    lengths: new Uint32Array(0),
    checksums: new Uint32Array(0),
  },
  patches: { slots: new Uint16Array(0) },
  references: new Uint32Array(0),
};

export const isWritten = (pack: AnyPack): pack is KnownPack => pack instanceof KnownPack;

/** Digits of a pack's name that its numbering value takes: names are hashes, so a few do. */
const NUMBERING_DIGITS = 16;
/** Odd, so that the order of packs counts. */
const NUMBERING_FACTOR = 0x5851_f42d_4c95_7f2dn;

export const NUMBERED_FROM_ZERO: NumberingStart = { written: 0, listed: 0, numbering: 0n };

/** The numbering of packs once one more has come. */
export const numberingAfter = (before: bigint, name: string): bigint =>
  BigInt.asUintN(64, before * NUMBERING_FACTOR + BigInt(`0x${name.slice(0, NUMBERING_DIGITS)}`));
