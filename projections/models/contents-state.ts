// The contents as bytes, for their state file and for baselines (docs/format.md, "State files"). Those that
// begin otherwise are of before: contents-state-1.ts reads them.

import type { Position } from '../../domain/ports/event-log.ts';
import { fromHex, toHex } from '../../domain/values/identifier.ts';
import { readFirstContents } from './contents-state-1.ts';
import {
  checkNumbers,
  readAllAliases,
  readEmptied,
  takeRewritten,
  takeWritten,
  type ContentsTarget,
  type ReadContents,
} from './contents-target.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';
import {
  isWritten,
  NO_TABLES,
  type AnyPack,
  type NumberingStart,
  type PackNumbers,
} from './packs.ts';
import { heldOf, readHeld, writeLarge } from './pack-holding.ts';
import { passTables, writeTables } from './pack-tables.ts';
import type { MovedSlots, Places } from './places.ts';

/** What no number of packs is: it tells these bytes from the first ones. */
const MARK = 0xffff_ffff;
const LAYOUT = 2;
const NAME_BYTES = 32;

const WRITTEN = 0;
const REWRITTEN = 1;
/** Of one in which nothing lies. */
const EMPTIED = 2;

/** What is kept of contents. */
export interface SavedContents {
  readonly start: NumberingStart;
  /** The numbers that the next pack gets. */
  readonly next: PackNumbers;
  readonly all: readonly AnyPack[];
  /** Where a pack is told to stand in the log; absent: where it does. */
  readonly positionOf?: (pack: AnyPack) => Position;
  /** Whether a pack is told of for its numbers alone. */
  readonly isEmptied: (pack: AnyPack) => boolean;
  readonly aliases: ReadonlyMap<number, number>;
  readonly patternAliases: ReadonlyMap<number, number>;
  readonly places: Places['saved'];
}

function writePack(writer: StateWriter, pack: AnyPack, saved: SavedContents): void {
  const isEmptied = saved.isEmptied(pack);
  writer.u32((isWritten(pack) ? WRITTEN : REWRITTEN) | (isEmptied ? EMPTIED : 0));
  writer
    .u32(pack.ordinal)
    .raw(fromHex(pack.name))
    .text(pack.group)
    .u64(saved.positionOf?.(pack) ?? pack.position);
  if (!isEmptied) writeTables(writer, pack);
  if (!isWritten(pack)) writer.column(isEmptied ? NO_TABLES.references : pack.holdings);
  else
    writer
      .text(pack.vm)
      .u32(pack.capture)
      .u32(heldOf(pack))
      .u32(pack.firstContent)
      .u32(pack.pages)
      .u32(pack.firstPattern)
      .column(pack.classes);
  if (isWritten(pack)) writeLarge(writer, pack);
}

/** Writes how contents are numbered, and what stands for what. */
export function writeNumbers(
  writer: StateWriter,
  saved: Pick<SavedContents, 'start' | 'next' | 'aliases' | 'patternAliases'>,
): void {
  const { start, next } = saved;
  writer.u32(start.written).u32(start.listed).u64(start.numbering);
  writer.u32(next.ordinal).u32(next.firstContent).u32(next.firstPattern);
  writeAliases(writer, saved.aliases);
  writeAliases(writer, saved.patternAliases);
}

export function writeContents(writer: StateWriter, saved: SavedContents): void {
  writer.u32(MARK).u32(LAYOUT);
  writeNumbers(writer, saved);
  writer.u32(saved.all.length);
  for (const pack of saved.all) writePack(writer, pack, saved);
  const { moved, emptiedAtMs } = saved.places;
  writer.u32(moved.size);
  for (const [ordinal, { slots, places }] of moved)
    writer.u32(ordinal).column(slots).column(places);
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

function readPack(reader: StateReader, contents: ContentsTarget, end: PackNumbers): void {
  const kind = reader.u32();
  if (kind > (REWRITTEN | EMPTIED)) throw new StateUnfit('a pack of another kind');
  const ordinal = reader.u32();
  const name = toHex(reader.raw(NAME_BYTES));
  const of = { name, group: reader.text(), position: reader.u64() };
  const isEmptied = (kind & EMPTIED) !== 0;
  const tables = isEmptied ? NO_TABLES : passTables(reader);
  if ((kind & REWRITTEN) !== 0) {
    takeRewritten(contents, { ...of, tables, holdings: reader.words() }, { ordinal, end });
    return;
  }
  const origin = { vm: reader.text(), capture: reader.u32() };
  const held = reader.u32();
  const [firstContent, pages, firstPattern] = [reader.u32(), reader.u32(), reader.u32()];
  const classes = reader.column();
  const counted = { pages, patterns: classes.length, ...readHeld(reader, held, pages) };
  const pack = { ...of, tables, ...origin, ...counted };
  const first = { ordinal, firstContent, firstPattern, isEmptied };
  takeWritten(contents, pack, { first, classes }, end);
}

/** Takes aliases in, and gives how contents are numbered. */
export function readNumbers(
  reader: StateReader,
  contents: Pick<ContentsTarget, 'alias' | 'aliasPattern'>,
): { readonly start: NumberingStart; readonly next: PackNumbers } {
  const start = { written: reader.u32(), listed: reader.u32(), numbering: reader.u64() };
  const next = {
    ordinal: reader.u32(),
    firstContent: reader.u32(),
    firstPattern: reader.u32(),
  };
  readAllAliases(reader, contents);
  return { start, next };
}

/** Takes the packs and aliases in, and gives what moved. StateUnfit where it is none. */
export function contentsOf(reader: StateReader, contents: ContentsTarget): ReadContents {
  const mark = reader.u32();
  if (mark !== MARK) return readFirstContents(reader, contents, mark);
  if (reader.u32() !== LAYOUT) throw new StateUnfit('contents in another layout');
  const { start, next } = readNumbers(reader, contents);
  contents.startAt(start);
  for (let left = reader.u32(); left > 0; left -= 1) readPack(reader, contents, next);
  const moved = new Map<number, MovedSlots>();
  for (let left = reader.u32(); left > 0; left -= 1)
    moved.set(reader.u32(), { slots: reader.halves(), places: reader.doubles() });
  const emptiedAtMs = readEmptied(reader);
  checkNumbers(next, contents.numbers, next);
  return { places: { moved, emptiedAtMs }, next };
}
