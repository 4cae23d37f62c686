// The contents as bytes, for their state file (docs/format.md, "State files").

import type { PatchTable } from '../../domain/events/patches.ts';
import type { BlockTable } from '../../domain/values/pack.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';
import {
  isWritten,
  type AnyPack,
  type CountedPack,
  type HeldPack,
  type KnownPack,
  type NumberingStart,
  type PackNumbers,
  type RewrittenPack,
} from './packs.ts';
import type { Places } from './places.ts';

const WRITTEN = 0;
const REWRITTEN = 1;

/** What is kept of contents. */
export interface SavedContents {
  readonly start: NumberingStart;
  /** The numbers that the next pack gets. */
  readonly next: PackNumbers;
  readonly all: readonly AnyPack[];
  readonly aliases: ReadonlyMap<number, number>;
  readonly patternAliases: ReadonlyMap<number, number>;
  readonly places: Places['saved'];
  readonly classes: Uint8Array;
}

function writePack(writer: StateWriter, pack: AnyPack): void {
  writer.u32(isWritten(pack) ? WRITTEN : REWRITTEN);
  writer.u32(pack.ordinal);
  writer.text(pack.name).text(pack.group).u64(pack.position).u32(pack.sizeBytes);
  const { codecs, pages, lengths, checksums } = pack.blocks;
  writer.column(codecs).column(pages).column(lengths).column(checksums);
  const { packs, slots, packIndexes, references } = pack.patches;
  writer.text(packs.join(' ')).column(slots).column(packIndexes).column(references);
  if (isWritten(pack))
    writer
      .text(pack.vm)
      .u32(pack.capture)
      .u32(pack.isLinked ? 1 : 0)
      .u32(pack.firstContent)
      .u32(pack.pages)
      .u32(pack.firstPattern)
      .u32(pack.patterns);
  else writer.column(pack.holdings);
}

export function writeContents(writer: StateWriter, saved: SavedContents): void {
  const { start, next } = saved;
  writer.u32(start.written).u32(start.listed).u64(start.numbering);
  writer.u32(next.ordinal).u32(next.firstContent).u32(next.firstPattern);
  writer.column(saved.classes);
  writeAliases(writer, saved.aliases);
  writeAliases(writer, saved.patternAliases);
  writer.u32(saved.all.length);
  for (const pack of saved.all) writePack(writer, pack);
  const { moved, emptiedAtMs } = saved.places;
  writer.u32(moved.size);
  for (const [ordinal, places] of moved) writer.u32(ordinal).column(places);
  writer.column(Float64Array.from([...emptiedAtMs].flat()));
}

function writeAliases(writer: StateWriter, map: ReadonlyMap<number, number>): void {
  const aliases = new Uint32Array(map.size * 2);
  let at = 0;
  for (const [alias, first] of map) {
    aliases[at] = alias;
    aliases[at + 1] = first;
    at += 2;
  }
  writer.column(aliases);
}

function readAliases(reader: StateReader, take: (alias: number, first: number) => void): void {
  const aliases = reader.words();
  for (let i = 0; i + 1 < aliases.length; i += 2) take(aliases[i]!, aliases[i + 1]!);
}

function readBlocks(reader: StateReader): BlockTable {
  const codecs = reader.column();
  const pages = reader.column();
  const blocks = { codecs, pages, lengths: reader.words(), checksums: reader.words() };
  const { lengths, checksums } = blocks;
  const counts = [pages.length, lengths.length, checksums.length];
  if (counts.some((count) => count !== codecs.length)) throw new StateUnfit('a table is uneven');
  return blocks;
}

function readPatches(reader: StateReader): PatchTable {
  const names = reader.text();
  const halves = (): Uint16Array => {
    const bytes = reader.column();
    if (bytes.length % 2 !== 0) throw new StateUnfit('a column of halves has odd bytes');
    return new Uint16Array(bytes.buffer);
  };
  return {
    packs: names === '' ? [] : names.split(' '),
    slots: halves(),
    packIndexes: halves(),
    references: halves(),
  };
}

function readDoubles(reader: StateReader): Float64Array {
  const bytes = reader.column();
  if (bytes.length % 8 !== 0) throw new StateUnfit('a column of doubles has odd bytes');
  return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
}

/** The contents that a state is read into. */
interface ContentsTarget {
  alias(content: number, first: number): void;
  aliasPattern(pattern: number, first: number): void;
  /** The numbers that the next pack would get. */
  readonly numbers: { readonly next: PackNumbers };
  startAt(start: NumberingStart): void;
  insert(pack: CountedPack, classes: Uint8Array, numbers: PackNumbers): KnownPack;
  insertRewritten(pack: HeldPack, numbers: PackNumbers): RewrittenPack;
}

const areInOrder = (before: PackNumbers, after: PackNumbers): boolean =>
  before.ordinal <= after.ordinal &&
  before.firstContent <= after.firstContent &&
  before.firstPattern <= after.firstPattern;

/** Numbers that are not below those that the next pack would get, nor beyond the last. */
function checkNumbers(
  numbers: PackNumbers,
  { next }: ContentsTarget['numbers'],
  end: PackNumbers,
): PackNumbers {
  if (!areInOrder(next, numbers) || !areInOrder(numbers, end))
    throw new StateUnfit('packs are numbered twice, or out of order');
  return numbers;
}

/** Takes the packs and aliases in, and gives what moved. StateUnfit where it is none. */
export function contentsOf(
  reader: StateReader,
  contents: ContentsTarget,
): { readonly places: Places['saved']; readonly next: PackNumbers } {
  const start = { written: reader.u32(), listed: reader.u32(), numbering: reader.u64() };
  contents.startAt(start);
  const next = {
    ordinal: reader.u32(),
    firstContent: reader.u32(),
    firstPattern: reader.u32(),
  };
  const classes = reader.column();
  if (classes.length !== next.firstPattern) throw new StateUnfit('patterns have no class each');
  readAliases(reader, (alias, first) => contents.alias(alias, first));
  readAliases(reader, (alias, first) => contents.aliasPattern(alias, first));
  const count = reader.u32();
  for (let i = 0; i < count; i += 1) {
    const kind = reader.u32();
    const ordinal = reader.u32();
    const of = { name: reader.text(), group: reader.text(), position: reader.u64() };
    const sizeBytes = reader.u32();
    const stored = { ...of, sizeBytes, blocks: readBlocks(reader), patches: readPatches(reader) };
    if (kind === REWRITTEN) {
      const holdings = reader.words();
      const numbers = { ...contents.numbers.next, ordinal };
      contents.insertRewritten(
        { ...stored, holdings },
        checkNumbers(numbers, contents.numbers, next),
      );
      continue;
    }
    const origin = { vm: reader.text(), capture: reader.u32(), isLinked: reader.u32() === 1 };
    const firstContent = reader.u32();
    const pages = reader.u32();
    const firstPattern = reader.u32();
    const patterns = reader.u32();
    const first = { ordinal, firstContent, firstPattern };
    const numbers = checkNumbers(first, contents.numbers, next);
    const after = {
      ordinal: ordinal + 1,
      firstContent: firstContent + pages,
      firstPattern: firstPattern + patterns,
    };
    checkNumbers(after, contents.numbers, next);
    contents.insert(
      { ...stored, ...origin, pages, patterns },
      classes.subarray(firstPattern, firstPattern + patterns),
      numbers,
    );
  }
  const moved = new Map<number, Float64Array>();
  const movedCount = reader.u32();
  for (let i = 0; i < movedCount; i += 1) moved.set(reader.u32(), readDoubles(reader));
  const emptiedAtMs = new Map<number, number>();
  const emptied = readDoubles(reader);
  for (let i = 0; i + 1 < emptied.length; i += 2) emptiedAtMs.set(emptied[i]!, emptied[i + 1]!);
  checkNumbers(next, contents.numbers, next);
  return { places: { moved, emptiedAtMs }, next };
}
