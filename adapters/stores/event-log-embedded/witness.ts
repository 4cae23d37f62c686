// Witnesses: what a writer knew to be durable in a stream, kept beside the log, so that damage to a
// stream's last records is not taken for the torn tail of a crash (docs/format.md, "Event log").
// Nothing depends on a witness being there: one that is absent, old or damaged only witnesses less.
//
// A witness file has two slots, at 0 and 512; the one with the lower revision is written next. A
// slot (little-endian), zeros where never written:
//
//      0     4  magic "PLWT"
//      4     4  CRC-32 of the bytes from 8 to the name's end
//      8     8  revision
//     16     8  position of the record
//     24     8  the place after it
//     32    32  chain value of the record
//     64     1  bytes of the stream's name
//     65     -  stream name

import { hash } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isNoFile } from '../../files/failures.ts';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import { HASH_BYTES } from './layout.ts';
import type { Head } from './stream-heads.ts';

const SLOT_MAGIC = 0x5457_4c50;
const SLOT_BYTES = 512;
const WITNESS_BYTES = 2 * SLOT_BYTES;
const CHECKED_OFFSET = 8;
const HASH_OFFSET = 32;
const NAME_OFFSET = 65;
/** Witness files that are kept open: a writer of one stream or a few writes them all the time. */
const IDLE_FILES_MAX = 64;

export interface Witness extends Head {
  readonly stream: string;
}

/** A slot that is neither empty nor sound. */
export interface SlotDamage {
  readonly offsetBytes: number;
  readonly reason: string;
}

export interface WitnessFile {
  /** The newest sound slot. */
  readonly witness: Witness | null;
  readonly damages: readonly SlotDamage[];
  /** Where the next witness goes: 0 or SLOT_BYTES. */
  readonly nextOffset: number;
}

const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/u;

/** The name of a stream's witness; streams whose names are no file names are hashed. */
export const witnessName = (stream: string): string =>
  PLAIN_NAME.test(stream) ? stream : `~${hash('sha256', stream)}`;

function encodeSlot(witness: Witness): Uint8Array {
  const name = new TextEncoder().encode(witness.stream);
  const bytes = new Uint8Array(SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SLOT_MAGIC, true);
  view.setBigUint64(8, BigInt(witness.revision), true);
  view.setBigUint64(16, BigInt(witness.position), true);
  view.setBigUint64(24, BigInt(witness.end), true);
  bytes.set(witness.hash, HASH_OFFSET);
  view.setUint8(NAME_OFFSET - 1, name.length);
  bytes.set(name, NAME_OFFSET);
  const covered = bytes.subarray(CHECKED_OFFSET, NAME_OFFSET + name.length);
  view.setUint32(4, crc32(covered), true);
  return bytes;
}

function decodeSlot(bytes: Uint8Array): Witness | string | null {
  if (bytes.every((byte) => byte === 0)) return null;
  if (bytes.length < NAME_OFFSET) return `found ${bytes.length} bytes, expected ${SLOT_BYTES}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0, true);
  if (magic !== SLOT_MAGIC) return `found ${magic.toString(16)} as magic, expected PLWT`;
  const nameEnd = NAME_OFFSET + view.getUint8(NAME_OFFSET - 1);
  if (nameEnd > bytes.length) return `found ${bytes.length} bytes, expected ${nameEnd} or more`;
  const found = crc32(bytes.subarray(CHECKED_OFFSET, nameEnd));
  const expected = view.getUint32(4, true);
  if (found !== expected) {
    return `found bytes with CRC-32 ${found.toString(16)}, expected ${expected.toString(16)}`;
  }
  return {
    stream: Buffer.from(bytes.subarray(NAME_OFFSET, nameEnd)).toString('utf8'),
    revision: Number(view.getBigUint64(8, true)),
    position: Number(view.getBigUint64(16, true)),
    end: Number(view.getBigUint64(24, true)),
    hash: bytes.slice(HASH_OFFSET, HASH_OFFSET + HASH_BYTES),
  };
}

/** What a witness file's bytes say. */
function readWitnessFile(bytes: Uint8Array): WitnessFile {
  const damages: SlotDamage[] = [];
  let witness: Witness | null = null;
  let nextOffset = 0;
  for (const offsetBytes of [0, SLOT_BYTES]) {
    const slot = decodeSlot(bytes.subarray(offsetBytes, offsetBytes + SLOT_BYTES));
    if (typeof slot === 'string') damages.push({ offsetBytes, reason: slot });
    else if (slot !== null && (witness === null || slot.revision > witness.revision)) {
      witness = slot;
      nextOffset = SLOT_BYTES - offsetBytes;
    }
  }
  return { witness, damages, nextOffset };
}

/** A witness file in its folder. */
export interface NamedWitness {
  readonly path: string;
  readonly name: string;
  readonly file: WitnessFile;
}

/** The folder of witnesses. */
export class Witnesses {
  readonly folder: string;
  readonly #files: FilePort;
  /** Streams whose witness file is known to be there, and where its next slot is. */
  readonly #nextOffsets = new Map<string, number>();
  readonly #idle = new Map<string, OpenFile>();

  constructor(folder: string, files: FilePort) {
    this.folder = folder;
    this.#files = files;
  }

  path(stream: string): string {
    return join(this.folder, witnessName(stream));
  }

  /** What the witness of a stream says; null: nothing. */
  async of(stream: string): Promise<Witness | null> {
    const found = await this.#load(witnessName(stream));
    return found?.witness?.stream === stream ? found.witness : null;
  }

  async #load(name: string): Promise<WitnessFile | null> {
    try {
      const bytes = await this.#files.load(join(this.folder, name), WITNESS_BYTES);
      return bytes === null ? null : readWitnessFile(bytes);
    } catch (thrown) {
      if (!isNoFile(thrown)) throw thrown;
      const damage = { offsetBytes: 0, reason: thrown.message };
      return { witness: null, damages: [damage], nextOffset: 0 };
    }
  }

  /** All witness files, by name. */
  async *all(): AsyncGenerator<NamedWitness> {
    for (const name of await this.#files.list(this.folder)) {
      const file = await this.#load(name);
      if (file !== null) yield { path: join(this.folder, name), name, file };
    }
  }

  /** Makes a stream's file durably present, so that later its absence is no crash's doing. */
  async prepare(stream: string): Promise<void> {
    if (this.#nextOffsets.has(stream)) return;
    const found = await this.#load(witnessName(stream));
    if (found === null) {
      await this.#keep(stream, await this.#open(stream));
      await this.#files.syncFolder(this.folder);
    }
    this.#nextOffsets.set(stream, found?.nextOffset ?? 0);
  }

  /**
   * Writes what is durable now. Not synced unless asked for: a witness that is lost witnesses less,
   * nothing else.
   */
  async write(witness: Witness, { isDurable = false } = {}): Promise<void> {
    const { stream } = witness;
    const offset = this.#nextOffsets.get(stream) ?? 0;
    const file = this.#idle.get(stream) ?? (await this.#open(stream));
    // While it is written to it is not idle, so that nobody closes it.
    this.#idle.delete(stream);
    await file.write(encodeSlot(witness), offset);
    if (isDurable) await file.sync();
    this.#nextOffsets.set(stream, SLOT_BYTES - offset);
    await this.#keep(stream, file);
  }

  #open(stream: string): Promise<OpenFile> {
    return this.#files.open(this.path(stream), 'create');
  }

  async #keep(stream: string, file: OpenFile): Promise<void> {
    this.#idle.set(stream, file);
    if (this.#idle.size <= IDLE_FILES_MAX) return;
    const [oldest, oldestFile] = this.#idle.entries().next().value!;
    this.#idle.delete(oldest);
    await oldestFile.close();
  }

  async close(): Promise<void> {
    const files = [...this.#idle.values()];
    this.#idle.clear();
    for (const file of files) await file.close();
  }
}
