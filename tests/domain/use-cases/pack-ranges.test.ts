import { expect, test } from '@jest/globals';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { PageStore } from '../../../domain/ports/page-store.ts';
import { useRange } from '../../../domain/use-cases/pages/pack-ranges.ts';
import { createMemoryPageStore } from '../../../adapters/stores/page-store-memory/page-store-memory.ts';

const RANGE = { name: 'ab'.repeat(32), offsetBytes: 0, lengthBytes: 1 };
const damaged = new LedgerError('PACK_DAMAGED', 'the byte is not what it was');
const missing = new LedgerError('PACK_MISSING', 'there is none');

/** A store that keeps a damaged byte until it is told to forget it, and has `byte` itself. */
function keeping(byte: number): { readonly store: PageStore; readonly drops: string[] } {
  const drops: string[] = [];
  const store: PageStore = {
    ...createMemoryPageStore(),
    get: () => taskEither.of(Uint8Array.of(drops.length === 0 ? 0 : byte)),
    drop: (name) => {
      drops.push(name);
      return Promise.resolve();
    },
  };
  return { store, drops };
}

function soundByte(bytes: Uint8Array): number {
  if (bytes[0] !== 7) throw damaged;
  return bytes[0];
}

test('a range whose kept bytes are damaged is read again from where it lies', async () => {
  const { store, drops } = keeping(7);
  expect(await useRange(store, RANGE, soundByte)).toBe(7);
  expect(drops).toEqual([RANGE.name]);
});

test('a range that is damaged where it lies is read twice, and no more', async () => {
  const { store, drops } = keeping(8);
  await expect(useRange(store, RANGE, soundByte)).rejects.toBe(damaged);
  expect(drops).toEqual([RANGE.name]);
});

test('a store that keeps nothing is read once', async () => {
  let reads = 0;
  const get: PageStore['get'] = () => {
    reads += 1;
    return taskEither.of(Uint8Array.of(0));
  };
  const store = { ...createMemoryPageStore(), get };
  await expect(useRange(store, RANGE, soundByte)).rejects.toBe(damaged);
  expect(reads).toBe(1);
});

test('a pack that is missing is not asked for again', async () => {
  const { store, drops } = keeping(7);
  const get: PageStore['get'] = () => taskEither.left(missing);
  await expect(useRange({ ...store, get }, RANGE, soundByte)).rejects.toBe(missing);
  expect(drops).toEqual([]);
});
