// The pages of a kdump (kdump.ts): a table of where each lies, and how it is compressed. What is read of
// them is bounded by what the file has, each page by its size.

import { inflateSync } from 'node:zlib';
import { unpackFrame } from '../../kernels/codec/zstd-frame.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { dumpUnfit, u64, type DumpFile } from './dump-file.ts';
import { unlzo } from './lzo.ts';
import { unsnap } from './snappy.ts';

const DESCRIPTOR_BYTES = 24;
const DESCRIPTORS_READ = 16_384;
/** Flags of a page that say how it is compressed; none: it is as it is. */
const KINDS = 0x27;
const ZLIB = 0x01;
const LZO = 0x02;
const SNAPPY = 0x04;
const ZSTD = 0x20;

/** What to do about a dump that is not sound. */
export const DAMAGED = 'it was cut short, or is damaged; dump it again';

/** The pages of a dump, one after the other. */
export class DumpedPages {
  readonly #file: DumpFile;
  readonly #at: number;
  readonly #bytesMax: number;
  readonly #page = new Uint8Array(PAGE_BYTES);
  #descriptors: DataView = new DataView(new ArrayBuffer(0));
  #next = 0;
  /** Bytes of content read so far: each lies in the file once. */
  #bytes = 0;
  /** Where zeros lie that many pages share. */
  #zerosAt = -1;

  /** `bytesMax` is what the pages can have in all, as they lie in the file. */
  constructor(file: DumpFile, of: { readonly at: number; readonly bytesMax: number }) {
    this.#file = file;
    this.#at = of.at;
    this.#bytesMax = of.bytesMax;
  }

  /** The next one, valid until the one after; null: zeros. */
  take(): Uint8Array | null {
    const within = (this.#next % DESCRIPTORS_READ) * DESCRIPTOR_BYTES;
    if (within === 0) this.#read();
    this.#next += 1;
    if (within >= this.#descriptors.byteLength) throw this.#unfit('ends inside its table of pages');
    const offset = u64(this.#descriptors, within);
    const bytes = this.#descriptors.getUint32(within + 8, true);
    if (offset === this.#zerosAt) return null;
    if (bytes > PAGE_BYTES) throw this.#unfit(`has ${bytes} bytes for a page`);
    const data = this.#file.bytes(offset, bytes, 'a page');
    const page = this.#decoded(data, this.#descriptors.getUint32(within + 12, true));
    if (page.every((byte) => byte === 0)) {
      this.#zerosAt = offset;
      return null;
    }
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) throw this.#unfit('has pages twice');
    return page;
  }

  #read(): void {
    const at = this.#at + this.#next * DESCRIPTOR_BYTES;
    const left = Math.floor(Math.max(0, this.#file.sizeBytes - at) / DESCRIPTOR_BYTES);
    const count = Math.min(left, DESCRIPTORS_READ);
    this.#descriptors = this.#file.view(at, count * DESCRIPTOR_BYTES, 'the table of pages');
  }

  #unfit(found: string): Error {
    return dumpUnfit(this.#file.label, found, DAMAGED);
  }

  #decoded(data: Uint8Array, flags: number): Uint8Array {
    const kind = flags & KINDS;
    const isKnown = kind === 0 || kind === ZLIB || kind === LZO || kind === SNAPPY || kind === ZSTD;
    if (!isKnown || (kind === 0 && data.length !== PAGE_BYTES))
      throw this.#unfit(`has ${data.length} bytes for a page of the kind ${flags}`);
    const page = this.#unpacked(data, kind);
    if (page !== null) return page;
    throw this.#unfit('has a page that is damaged');
  }

  /** Null: it is not sound, or no page. */
  #unpacked(data: Uint8Array, kind: number): Uint8Array | null {
    if (kind === ZLIB) return inflated(data);
    if (kind === LZO) return unlzo(data, this.#page) === PAGE_BYTES ? this.#page : null;
    if (kind === SNAPPY) return unsnap(data, this.#page) === PAGE_BYTES ? this.#page : null;
    if (kind !== ZSTD) return data;
    const unpacked = unpackFrame(data, PAGE_BYTES);
    return unpacked instanceof Uint8Array ? unpacked : null;
  }
}

function inflated(data: Uint8Array): Uint8Array | null {
  try {
    const page = inflateSync(data, { maxOutputLength: PAGE_BYTES });
    return page.length === PAGE_BYTES ? page : null;
  } catch {
    // Its checksum or its form is not right.
    return null;
  }
}
