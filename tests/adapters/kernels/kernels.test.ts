import { Blake3Hasher } from '@napi-rs/blake-hash';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { deriveEngineKeys } from '../../../adapters/kernels/keys.ts';
import { FINGERPRINT_KEY_BYTES, loadKernels } from '../../../adapters/kernels/engine/kernels.ts';
import { FINGERPRINT_BYTES, IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { numbers, randomBytes } from './random-pages.ts';
import { triesOf } from '../../support/long-run.ts';

const PAGES_MAX = 64;
const COLUMNS_BYTES = 64 * 1024;
const kernels = loadKernels({ arenaBytes: COLUMNS_BYTES + PAGES_MAX * PAGE_BYTES });
const keys = deriveEngineKeys(randomBytes(32, 7));
kernels.setKeys(keys);

const LIST = kernels.arena;
const OUT = LIST + PAGES_MAX * 4;
const OUT_OTHER = OUT + 16 * 1024;
const PAGES = kernels.arena + COLUMNS_BYTES;

function putPages(pages: Uint8Array): void {
  kernels.bytes.set(pages, PAGES);
}

function putList(list: readonly number[]): void {
  new Uint32Array(kernels.bytes.buffer, LIST, list.length).set(list);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function identifiersOf(list: readonly number[]): string[] {
  putList(list);
  kernels.identify({ list: LIST, count: list.length, pages: PAGES }, OUT);
  return list.map((_, i) =>
    hex(kernels.bytes.slice(OUT + i * IDENTIFIER_BYTES, OUT + (i + 1) * IDENTIFIER_BYTES)),
  );
}

function referenceIdentifier(page: Uint8Array): string {
  const hasher = Blake3Hasher.newKeyed(Buffer.from(keys.identifierKey));
  hasher.update(page);
  return hex(hasher.digestBuffer());
}

/** NH as the header of assembly/fingerprint.ts states it, in exact integers. */
function referenceFingerprint(page: Uint8Array, key: Uint8Array): string {
  const words = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const keyWords = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const out = new DataView(new ArrayBuffer(FINGERPRINT_BYTES));
  for (let pass = 0; pass < 3; pass += 1) {
    let sum = 0n;
    for (let group = 0; group < 128; group += 1)
      for (let lane = 0; lane < 4; lane += 1) {
        const at = group * 32 + lane * 4;
        const keyed = (offset: number): bigint => {
          const word = words.getUint32(at + offset, true);
          return BigInt((word + keyWords.getUint32(at + pass * 32 + offset, true)) % 2 ** 32);
        };
        sum = BigInt.asUintN(64, sum + keyed(0) * keyed(16));
      }
    out.setBigUint64(pass * 8, sum, true);
  }
  return hex(new Uint8Array(out.buffer));
}

function fingerprintsOf(pages: Uint8Array): string[] {
  putPages(pages);
  const count = pages.byteLength / PAGE_BYTES;
  kernels.fingerprint({ pages: PAGES, count }, OUT);
  return Array.from({ length: count }, (_, i) =>
    hex(kernels.bytes.slice(OUT + i * FINGERPRINT_BYTES, OUT + (i + 1) * FINGERPRINT_BYTES)),
  );
}

describe('the identifier of a page', () => {
  test('is the keyed BLAKE3-256 of its bytes, in batches of any size', () => {
    for (const count of [1, 2, 3, 4, 5, 6, 7, 8, 9, PAGES_MAX]) {
      const pages = randomBytes(count * PAGE_BYTES, 100 + count);
      putPages(pages);
      const list = Array.from({ length: count }, (_, page) => page);
      const expected = list.map((page) =>
        referenceIdentifier(pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)),
      );
      expect(identifiersOf(list)).toEqual(expected);
    }
  });

  test('stands in the row of the list, whatever pages are listed in whatever order', () => {
    const pages = randomBytes(PAGES_MAX * PAGE_BYTES, 3);
    const expected = Array.from({ length: PAGES_MAX }, (_, page) =>
      referenceIdentifier(pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)),
    );
    putPages(pages);
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: PAGES_MAX - 1 }), { minLength: 1, maxLength: PAGES_MAX }),
        (list) => {
          expect(identifiersOf(list)).toEqual(list.map((page) => expected[page]));
        },
      ),
      { numRuns: triesOf(30) },
    );
  });

  test('leaves what lies behind its rows alone', () => {
    putPages(randomBytes(5 * PAGE_BYTES, 4));
    const end = OUT + 5 * IDENTIFIER_BYTES;
    kernels.bytes.fill(0xa5, OUT, end + 256);
    identifiersOf([0, 1, 2, 3, 4]);
    expect(kernels.bytes.subarray(end, end + 256).every((byte) => byte === 0xa5)).toBe(true);
  });
});

describe('the fingerprint of a page', () => {
  test('is NH in three passes, in exact integers', () => {
    const pages = randomBytes(16 * PAGE_BYTES, 5);
    pages.fill(0, 0, PAGE_BYTES);
    pages.fill(0xff, PAGE_BYTES, 2 * PAGE_BYTES);
    const expected = Array.from({ length: 16 }, (_, page) =>
      referenceFingerprint(
        pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
        keys.fingerprintKey,
      ),
    );
    expect(fingerprintsOf(pages)).toEqual(expected);
  });

  test('wraps where sums and products overflow', () => {
    const other = { ...keys, fingerprintKey: new Uint8Array(FINGERPRINT_KEY_BYTES).fill(0xff) };
    const page = new Uint8Array(PAGE_BYTES).fill(0xff);
    kernels.setKeys(other);
    const found = fingerprintsOf(page);
    kernels.setKeys(keys);
    expect(found).toEqual([referenceFingerprint(page, other.fingerprintKey)]);
  });

  test('changes with every single bit, in all three passes', () => {
    const page = randomBytes(PAGE_BYTES, 6);
    const [before] = fingerprintsOf(page);
    const next = numbers(8);
    for (let i = 0; i < 500; i += 1) {
      const bit = next() % (PAGE_BYTES * 8);
      const changed = page.slice();
      changed[bit >>> 3]! ^= 1 << (bit & 7);
      const [after] = fingerprintsOf(changed);
      for (const pass of [0, 16, 32])
        expect(after!.slice(pass, pass + 16)).not.toBe(before!.slice(pass, pass + 16));
    }
  });
});

describe('comparing fingerprints', () => {
  test('lists exactly the rows that differ, ascending', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 128 }),
        fc.array(fc.nat({ max: 128 * FINGERPRINT_BYTES * 8 - 1 }), { maxLength: 40 }),
        (rows, flips) => {
          const column = randomBytes(rows * FINGERPRINT_BYTES, rows);
          const next = column.slice();
          for (const bit of flips) if (bit >>> 3 < next.length) next[bit >>> 3]! ^= 1 << (bit & 7);
          kernels.bytes.set(column, OUT);
          kernels.bytes.set(next, OUT_OTHER);
          const expected = Array.from({ length: rows }, (_, row) => row).filter((row) => {
            const [from, to] = [row * FINGERPRINT_BYTES, (row + 1) * FINGERPRINT_BYTES];
            return hex(column.subarray(from, to)) !== hex(next.subarray(from, to));
          });
          const list = PAGES;
          const count = kernels.changedRows({ previous: OUT, next: OUT_OTHER, rows }, list);
          expect([...new Uint32Array(kernels.bytes.buffer, list, count)]).toEqual(expected);
        },
      ),
    );
  });
});

describe('the keys of a group', () => {
  test('are derived alike each time, differ between groups and from each other', () => {
    const again = deriveEngineKeys(randomBytes(32, 7));
    const other = deriveEngineKeys(randomBytes(32, 9));
    expect(hex(again.identifierKey)).toBe(hex(keys.identifierKey));
    expect(hex(again.fingerprintKey)).toBe(hex(keys.fingerprintKey));
    expect(hex(other.identifierKey)).not.toBe(hex(keys.identifierKey));
    expect(hex(other.fingerprintKey)).not.toBe(hex(keys.fingerprintKey));
    expect(keys.fingerprintKey).toHaveLength(FINGERPRINT_KEY_BYTES);
    expect(hex(keys.fingerprintKey)).not.toContain(hex(keys.identifierKey));
  });

  test('are refused where the group key is not 32 bytes', () => {
    expect(() => deriveEngineKeys(new Uint8Array(31))).toThrow('32 bytes');
  });
});
