import { expect, test } from '@jest/globals';
import type { PackUse } from '../../../domain/store.ts';
import { chosenOf } from '../../../domain/use-cases/compact/policy.ts';
import { PACK_PAGES_MAX } from '../../../domain/values/page.ts';

const packOf = (name: string, slots: number, more: Partial<PackUse> = {}): PackUse => ({
  name,
  group: 'default',
  sizeBytes: 4096 * slots,
  slots,
  lying: slots,
  held: slots,
  isRewritten: false,
  hasChains: false,
  ...more,
});
const packsOf = (count: number, slots: number): PackUse[] =>
  Array.from({ length: count }, (_, i) => packOf(`${slots}-${i}`, slots));
const NO_GAIN = { bytesBefore: 1000, bytesAfter: 1000 };

test('full packs that nothing would make smaller stay, however many they are', () => {
  expect(chosenOf(packsOf(20, PACK_PAGES_MAX), NO_GAIN)).toEqual([]);
});

test('small packs are joined where they are many, and the large ones beside them stay', () => {
  const [large, small] = [packsOf(20, PACK_PAGES_MAX), packsOf(8, 10)];
  expect(chosenOf([...large, ...small], NO_GAIN)).toEqual(small);
  expect(chosenOf([...large, ...small.slice(1)], NO_GAIN)).toEqual([]);
});

test('what is emptied goes in any case, and all of them where that saves bytes or ends chains', () => {
  const [empty, chained] = [packOf('empty', 10, { held: 0 }), packOf('c', 10, { hasChains: true })];
  const large = packsOf(2, PACK_PAGES_MAX);
  expect(chosenOf([...large, empty], NO_GAIN)).toEqual([empty]);
  expect(chosenOf([...large, chained], NO_GAIN)).toEqual([...large, chained]);
  expect(chosenOf(large, { bytesBefore: 1000, bytesAfter: 990 })).toEqual(large);
});
