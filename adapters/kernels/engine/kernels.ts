// The WebAssembly kernels behind typed functions. An instance owns one memory, allocated once: the
// key material, then an arena that the caller lays out. Addresses are bytes from the memory's start.
// Views of `bytes` stay valid for the instance's life, since its memory never grows again.

import { assert } from '../../../domain/values/assert.ts';
import { KEY_BYTES } from '../../../domain/ports/page-engine.ts';
import type { EngineKeys } from '../../../domain/ports/page-engine.ts';
import { PACKED_PAGES_MAX } from '../../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { instanceOf } from '../compiled.ts';

/** Bytes of the fingerprint's key: a page, and 32 bytes for each pass after the first. */
export const FINGERPRINT_KEY_BYTES = PAGE_BYTES + 2 * 32;

const WASM_PAGE_BYTES = 64 * 1024;
/** The arena begins on a page of the machine, past both keys. */
const KEYS_BYTES = 2 * PAGE_BYTES;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  arenaBase(): number;
  classify(
    list: number,
    count: number,
    pages: number,
    periods: number,
    periodCount: number,
    classes: number,
    descriptors: number,
    lengths: number,
  ): number;
  fingerprint(pages: number, count: number, key: number, out: number): void;
  identify(list: number, count: number, pages: number, key: number, out: number): void;
  changedRows(previous: number, next: number, rows: number, out: number): number;
  patch(page: number, reference: number, out: number): number;
  similarity(pages: number, count: number, out: number): void;
  pageWrites(
    kinds: number,
    rows: number,
    gfnBytes: number,
    packBytes: number,
    references: number,
    spans: number,
    packs: number,
    gfns: number,
    holdings: number,
  ): number;
  packPages(source: number, size: number, out: number, literalShift: number): number;
  unpackPages(source: number, size: number, target: number, targetSize: number): number;
}

const isKernels = (exports: object): exports is Exports => 'arenaBase' in exports;

/** A list of pages: u32 page numbers at `list`, counted from address `pages`. */
export interface PageList {
  readonly list: number;
  readonly count: number;
  readonly pages: number;
}

/** The class that the kernel gives to a page that known strings may make: its caller finds out. */
export const CLASS_ASK = 255;
/** Bytes from one descriptor that the kernel writes to the next. */
export const DESCRIPTOR_STRIDE = 144;

/** Addresses of what is known and said of listed pages. */
export interface ClassColumns {
  /** A byte a page. */
  readonly classes: number;
  /** DESCRIPTOR_STRIDE bytes a page, and how many of them count, a byte a page. */
  readonly descriptors: number;
  readonly lengths: number;
  /** Lengths (u16) of the strings that were added to the grammar. */
  readonly periods: number;
  readonly periodCount: number;
}

/** A batch of page events: addresses of its columns and of what its packs hold, and their sizes. */
export interface BatchColumns {
  readonly kinds: number;
  readonly rows: number;
  readonly gfnBytes: number;
  readonly packBytes: number;
  readonly references: number;
  /** PACK_WORDS u32 for each pack, and for the public patterns (domain/ports/page-writes.ts). */
  readonly spans: number;
  readonly packs: number;
}

export interface Kernels {
  /** The whole memory. */
  readonly bytes: Uint8Array;
  /** First address of the arena, a multiple of PAGE_BYTES. */
  readonly arena: number;
  setKeys(keys: EngineKeys): void;
  /**
   * Classes of the listed pages, and descriptors of those that have one; returns how many of them were
   * seen at the first look to be no pattern.
   */
  classify(pages: PageList, columns: ClassColumns): number;
  /** Fingerprints of `count` consecutive pages, 24 bytes each, to `out`. */
  fingerprint(pages: { readonly pages: number; readonly count: number }, out: number): void;
  /** Identifiers of the listed pages, 32 bytes each, to `out`. */
  identify(pages: PageList, out: number): void;
  /** Numbers (u32) of the rows whose fingerprints differ, to `out`; returns how many. */
  changedRows(
    columns: { readonly previous: number; readonly next: number; readonly rows: number },
    out: number,
  ): number;
  /** Page XOR reference to `out`, which may be one of them; returns how many bytes differ. */
  patch(pages: { readonly page: number; readonly reference: number }, out: number): number;
  /** Sketches of `count` consecutive pages, SKETCH_FEATURES u32 each, to `out`. */
  similarity(pages: { readonly pages: number; readonly count: number }, out: number): void;
  /**
   * Page numbers and holdings of a batch's rows, u32 each; false where its columns are malformed. Two
   * bytes behind the columns are read.
   */
  pageWrites(
    batch: BatchColumns,
    out: { readonly gfns: number; readonly holdings: number },
  ): boolean;
  /**
   * Packs whole pages, at most PACKED_PAGES_MAX, to `out`, where PACKED_ROOM_BYTES are free; returns how
   * many bytes they take. PACKING_SLACK_BYTES behind them are read.
   */
  packPages(pages: Bytes, out: number, literalShift: number): number;
  /**
   * Unpacks what packPages made to exactly `lengthBytes` at `target.at`; false where it is no packed
   * form of so many. PACKING_SLACK_BYTES are read behind it, and written behind the target.
   */
  unpackPages(packed: Bytes, target: Bytes): boolean;
}

/** A stretch of the kernels' memory. */
export interface Bytes {
  readonly at: number;
  readonly lengthBytes: number;
}

/** What packing reads behind its pages; what unpacking reads and writes behind source and target. */
export const PACKING_SLACK_BYTES = 64;
/** Room for any packed form: an eighth more than its pages, and a head. */
export const PACKED_ROOM_BYTES = PACKED_PAGES_MAX * (PAGE_BYTES + PAGE_BYTES / 8) + 128;

/** Loads an instance with an arena of `arenaBytes`. Its keys are zero until setKeys. */
export function loadKernels({ arenaBytes }: { readonly arenaBytes: number }): Kernels {
  const wasm = instanceOf('kernels', {});
  assert(isKernels(wasm), 'the kernels are those of this release');
  const identifierKey = Math.ceil(wasm.arenaBase() / PAGE_BYTES) * PAGE_BYTES;
  const fingerprintKey = identifierKey + 2 * KEY_BYTES;
  const arena = identifierKey + KEYS_BYTES;
  const missing = arena + arenaBytes - wasm.memory.buffer.byteLength;
  if (missing > 0) wasm.memory.grow(Math.ceil(missing / WASM_PAGE_BYTES));
  const bytes = new Uint8Array(wasm.memory.buffer);
  return {
    bytes,
    arena,
    setKeys: (keys) => {
      assert(keys.identifierKey.byteLength === KEY_BYTES, 'an identifier key has its length');
      assert(
        keys.fingerprintKey.byteLength === FINGERPRINT_KEY_BYTES,
        'a fingerprint key has its length',
      );
      bytes.set(keys.identifierKey, identifierKey);
      bytes.set(keys.fingerprintKey, fingerprintKey);
    },
    classify: ({ list, count, pages }, columns) => {
      const { periods, periodCount, classes, descriptors, lengths } = columns;
      return wasm.classify(list, count, pages, periods, periodCount, classes, descriptors, lengths);
    },
    fingerprint: ({ pages, count }, out) => wasm.fingerprint(pages, count, fingerprintKey, out),
    identify: ({ list, count, pages }, out) =>
      wasm.identify(list, count, pages, identifierKey, out),
    changedRows: ({ previous, next, rows }, out) => wasm.changedRows(previous, next, rows, out),
    patch: ({ page, reference }, out) => wasm.patch(page, reference, out),
    similarity: ({ pages, count }, out) => wasm.similarity(pages, count, out),
    pageWrites: (batch, { gfns, holdings }) => {
      const { kinds, rows, gfnBytes, packBytes, references, spans, packs } = batch;
      const of = [kinds, rows, gfnBytes, packBytes, references, spans, packs] as const;
      return wasm.pageWrites(...of, gfns, holdings) === 1;
    },
    packPages: ({ at, lengthBytes }, out, literalShift) =>
      wasm.packPages(at, lengthBytes, out, literalShift),
    unpackPages: (packed, target) =>
      wasm.unpackPages(packed.at, packed.lengthBytes, target.at, target.lengthBytes) === 1,
  };
}
