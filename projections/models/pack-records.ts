// What is known of packs, as records of fixed width with their details behind each other: a pack is made
// of these when somebody asks for it, and of most packs nobody does.
//
// A record (little-endian): u64 position, u64 numbering after it; 32 bytes name; u32 each: kind, contents,
// patterns, group and VM (their numbers), capture, how its contents are held (pack-holding.ts), where its
// details begin, and their bytes.

import * as t from 'io-ts';
import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { fromHex, toHex } from '../../domain/values/identifier.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { copyOf, GrowingBytes, NO_STATE } from './kept-bytes.ts';
import { hasLarge, heldOf, readHeld, writeLarge } from './pack-holding.ts';
import { passTables, writeTables } from './pack-tables.ts';
import {
  isWritten,
  KnownPack,
  NO_TABLES,
  RewrittenPack,
  type AnyPack,
  type PackNumbers,
} from './packs.ts';
import { Records } from './records.ts';
import { decodeState, StateReader, StateUnfit, StateWriter } from './state-bytes.ts';

const POSITION_AT = 0;
const NUMBERING_AT = 8;
const NAME_AT = 16;
const NAME_BYTES = 32;
const KIND_AT = NAME_AT + NAME_BYTES;
const PAGES_AT = KIND_AT + 4;
const PATTERNS_AT = KIND_AT + 8;
const GROUP_AT = KIND_AT + 12;
const VM_AT = KIND_AT + 16;
const CAPTURE_AT = KIND_AT + 20;
const HELD_AT = KIND_AT + 24;
const DETAILS_AT = KIND_AT + 28;
const DETAIL_BYTES_AT = KIND_AT + 32;
const RECORD_BYTES = KIND_AT + 36;

const REWRITTEN = 1;
/** Of one in which nothing lies. */
const EMPTIED = 2;

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

  /** StateUnfit where there is none. */
  at(number: number): string {
    const text = this.all[number];
    if (text === undefined) throw new StateUnfit('a pack is of what has no name');
    return text;
  }
}

export class PackRecords {
  #records = new Records(RECORD_BYTES);
  #details: StateBytes = NO_STATE;
  readonly #addedDetails = new GrowingBytes();
  #groups = new Texts();
  #vms = new Texts();
  /** What a pack is written with, used again for the next. */
  readonly #recordWriter = new StateWriter();
  readonly #detailsWriter = new StateWriter();

  get length(): number {
    return this.#records.length;
  }

  /** Adds a pack, and the numbering after it. */
  push(pack: AnyPack, numbering: bigint): void {
    const details = this.#detailsWriter.clear();
    const isEmptied = pack.tables === NO_TABLES;
    if (!isEmptied) writeTables(details, pack);
    details.column(isWritten(pack) ? pack.classes : pack.holdings);
    if (isWritten(pack)) writeLarge(details, pack);
    const record = this.#recordWriter.clear();
    record.u64(pack.position).u64(numbering).raw(fromHex(pack.name));
    record.u32((isWritten(pack) ? 0 : REWRITTEN) | (isEmptied ? EMPTIED : 0));
    const group = this.#groups.numberOf(pack.group);
    if (isWritten(pack)) {
      const { pages, patterns, vm, capture } = pack;
      record.u32(pages).u32(patterns).u32(group);
      record.u32(this.#vms.numberOf(vm)).u32(capture).u32(heldOf(pack));
    } else for (const value of [0, 0, group, 0, 0, 0]) record.u32(value);
    record.u32(this.#details.length + this.#addedDetails.length).u32(details.length);
    this.#addedDetails.append(details.bytes());
    this.#records.push(record.bytes());
  }

  isRewritten(index: number): boolean {
    return (this.#records.u32(index, KIND_AT) & REWRITTEN) !== 0;
  }

  /** Whether anything in it is held large. */
  hasLarge(index: number): boolean {
    return hasLarge(this.#records.u32(index, HELD_AT));
  }

  pages(index: number): number {
    return this.#records.u32(index, PAGES_AT);
  }

  patterns(index: number): number {
    return this.#records.u32(index, PATTERNS_AT);
  }

  position(index: number): Position {
    return this.#records.u64(index, POSITION_AT);
  }

  numbering(index: number): bigint {
    return this.#records.u64(index, NUMBERING_AT);
  }

  /** Valid until something else is asked for. */
  name(index: number): Uint8Array {
    return this.#records.bytes(index, NAME_AT, NAME_BYTES);
  }

  #detailsOf(index: number): Uint8Array {
    const at = this.#records.u32(index, DETAILS_AT);
    const length = this.#records.u32(index, DETAIL_BYTES_AT);
    const isAdded = at >= this.#details.length;
    const of = isAdded ? this.#addedDetails : this.#details;
    const from = isAdded ? at - this.#details.length : at;
    if (from + length > of.length) throw new StateUnfit('the details of a pack are cut off');
    return copyOf(of, from, length);
  }

  /** Makes a pack that has these numbers. StateUnfit where what is known of it does not fit itself. */
  make(index: number, numbers: PackNumbers): AnyPack {
    const kind = this.#records.u32(index, KIND_AT);
    const reader = new StateReader(this.#detailsOf(index));
    const tables = (kind & EMPTIED) === 0 ? passTables(reader) : NO_TABLES;
    const of = {
      name: toHex(this.name(index)),
      group: this.#groups.at(this.#records.u32(index, GROUP_AT)),
      position: this.position(index),
      tables,
    };
    if ((kind & REWRITTEN) !== 0)
      return new RewrittenPack({ ...of, holdings: reader.words() }, numbers.ordinal);
    const pack = {
      ...of,
      vm: this.#vms.at(this.#records.u32(index, VM_AT)),
      capture: this.#records.u32(index, CAPTURE_AT),
      pages: this.pages(index),
      patterns: this.patterns(index),
    };
    const classes = reader.column();
    if (classes.length !== pack.patterns) throw new StateUnfit('a pattern has no class');
    const held = readHeld(reader, this.#records.u32(index, HELD_AT), pack.pages);
    return new KnownPack({ ...pack, ...held }, numbers, classes);
  }

  save(writer: StateWriter): void {
    writer.text(JSON.stringify(this.#groups.all)).text(JSON.stringify(this.#vms.all));
    this.#records.save(writer);
    writer.u32(this.#details.length + this.#addedDetails.length);
    writer.kept(this.#details).kept(this.#addedDetails);
  }

  /** What `save` wrote, where it lies. StateUnfit where it is none. */
  static load(reader: StateReader): PackRecords {
    const packs = new PackRecords();
    packs.#groups = new Texts(decodeState(reader.text(), TEXTS));
    packs.#vms = new Texts(decodeState(reader.text(), TEXTS));
    packs.#records = Records.load(reader, RECORD_BYTES);
    packs.#details = reader.kept();
    return packs;
  }
}
