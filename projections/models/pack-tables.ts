// The tables of a pack as bytes: passed over where they are read, and taken apart when somebody asks.

import { readBlocks } from './contents-target.ts';
import type { AnyPack, Tables } from './packs.ts';
import { StateReader, StateUnfit, type StateWriter } from './state-bytes.ts';

/** Writes what is where in a pack. */
export function writeTables(writer: StateWriter, { tables }: AnyPack): void {
  if (tables instanceof LaterTables) {
    writer.raw(tables.bytes);
    return;
  }
  const { sizeBytes, blocks, patches, references } = tables;
  const { codecs, pages, lengths, checksums } = blocks;
  writer.u32(sizeBytes).column(codecs).column(pages).column(lengths).column(checksums);
  writer.column(patches.slots).column(references);
}

/** Passes over tables, which fit each other by their lengths. */
export function passTables(reader: StateReader): LaterTables {
  const { at } = reader;
  const sizeBytes = reader.u32();
  const [codecs, pages, lengths, checksums] = [
    reader.pass(1),
    reader.pass(1),
    reader.pass(4),
    reader.pass(4),
  ];
  if (pages !== codecs || lengths !== codecs || checksums !== codecs)
    throw new StateUnfit('a table is uneven');
  if (reader.pass(2) !== reader.pass(4)) throw new StateUnfit('a table of patches is uneven');
  return new LaterTables(sizeBytes, reader.since(at));
}

/** Tables of a pack as they stand in a state, read when somebody asks: of most packs nobody does. */
class LaterTables implements Tables {
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
  #read: Tables | null = null;

  constructor(sizeBytes: number, bytes: Uint8Array) {
    this.sizeBytes = sizeBytes;
    this.bytes = bytes;
  }

  get #tables(): Tables {
    if (this.#read !== null) return this.#read;
    const reader = new StateReader(this.bytes);
    const sizeBytes = reader.u32();
    const blocks = readBlocks(reader);
    const patches = { slots: reader.halves() };
    this.#read = { sizeBytes, blocks, patches, references: reader.words() };
    return this.#read;
  }

  get blocks(): Tables['blocks'] {
    return this.#tables.blocks;
  }

  get patches(): Tables['patches'] {
    return this.#tables.patches;
  }

  get references(): Uint32Array {
    return this.#tables.references;
  }
}
