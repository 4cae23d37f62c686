// What a state of contents is read into, and what both layouts of it have in common.

import type { PatchTable } from '../../domain/events/patches.ts';
import type { BlockTable } from '../../domain/values/pack.ts';
import type {
  CountedPack,
  HeldPack,
  KnownPack,
  NumberingStart,
  PackNumbers,
  RewrittenPack,
} from './packs.ts';
import type { Places } from './places.ts';
import { StateUnfit, type StateReader } from './state-bytes.ts';

/** Takes pairs in, of what stands for what. */
function readAliases(reader: StateReader, take: (alias: number, first: number) => void): void {
  const aliases = reader.words();
  for (let i = 0; i + 1 < aliases.length; i += 2) take(aliases[i]!, aliases[i + 1]!);
}

/** Takes in which contents, and which patterns, stand for others. */
export function readAllAliases(
  reader: StateReader,
  contents: Pick<ContentsTarget, 'alias' | 'aliasPattern'>,
): void {
  readAliases(reader, (content, first) => contents.alias(content, first));
  readAliases(reader, (pattern, first) => contents.aliasPattern(pattern, first));
}

/** A table of blocks. */
export function readBlocks(reader: StateReader): BlockTable {
  const codecs = reader.column();
  const pages = reader.column();
  const blocks = { codecs, pages, lengths: reader.words(), checksums: reader.words() };
  const { lengths, checksums } = blocks;
  const counts = [pages.length, lengths.length, checksums.length];
  if (counts.some((count) => count !== codecs.length)) throw new StateUnfit('a table is uneven');
  return blocks;
}

/** The contents that a state is read into. */
export interface ContentsTarget {
  alias(content: number, first: number): void;
  aliasPattern(pattern: number, first: number): void;
  /** The numbers that the next pack would get. */
  readonly numbers: { readonly next: PackNumbers };
  startAt(start: NumberingStart): void;
  referencesOf(patches: PatchTable): Uint32Array;
  insert(
    pack: CountedPack,
    classes: Uint8Array,
    numbers: PackNumbers & { readonly isEmptied: boolean },
  ): KnownPack;
  insertRewritten(pack: HeldPack, numbers: PackNumbers): RewrittenPack;
}

/** What is left to take up once packs and aliases are in. */
export interface ReadContents {
  readonly places: Places['saved'];
  readonly next: PackNumbers;
}

const areInOrder = (before: PackNumbers, after: PackNumbers): boolean =>
  before.ordinal <= after.ordinal &&
  before.firstContent <= after.firstContent &&
  before.firstPattern <= after.firstPattern;

/** Numbers that are not below those that the next pack would get, nor beyond the last. */
export function checkNumbers(
  numbers: PackNumbers,
  { next }: ContentsTarget['numbers'],
  end: PackNumbers,
): void {
  if (!areInOrder(next, numbers) || !areInOrder(numbers, end))
    throw new StateUnfit('packs are numbered twice, or out of order');
}

/** Takes a written pack in whose numbers are in order. */
export function takeWritten(
  contents: ContentsTarget,
  pack: CountedPack,
  of: {
    readonly first: PackNumbers & { readonly isEmptied: boolean };
    readonly classes: Uint8Array;
  },
  end: PackNumbers,
): void {
  const { first, classes } = of;
  checkNumbers(first, contents.numbers, end);
  const after = {
    ordinal: first.ordinal + 1,
    firstContent: first.firstContent + pack.pages,
    firstPattern: first.firstPattern + pack.patterns,
  };
  checkNumbers(after, contents.numbers, end);
  contents.insert(pack, classes, first);
}

/** Takes a rewritten pack in whose number is in order. */
export function takeRewritten(
  contents: ContentsTarget,
  pack: HeldPack,
  of: { readonly ordinal: number; readonly end: PackNumbers },
): void {
  const numbers = { ...contents.numbers.next, ordinal: of.ordinal };
  checkNumbers(numbers, contents.numbers, of.end);
  contents.insertRewritten(pack, numbers);
}

/** By ordinal: when packs were emptied. */
export function readEmptied(reader: StateReader): Map<number, number> {
  const emptiedAtMs = new Map<number, number>();
  const emptied = reader.doubles();
  for (let i = 0; i + 1 < emptied.length; i += 2) emptiedAtMs.set(emptied[i]!, emptied[i + 1]!);
  return emptiedAtMs;
}
