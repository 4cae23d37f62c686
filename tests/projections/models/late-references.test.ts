// Which of what was released before a place is used again behind it.

import { expect, test } from '@jest/globals';
import { KIND_MERGED, KIND_ZERO, type PageColumns } from '../../../domain/events/pages-written.ts';
import { contentOf } from '../../../domain/values/holding.ts';
import type { CaptureChange } from '../../../projections/commits.ts';
import { LateReferences } from '../../../projections/models/late-references.ts';
import { LossyModels, nameOf, packOf, patchOver } from '../../support/spoiled/lossy-models.ts';

/** Rows that hold slot 0 of packs; null: a page of zeros. */
function columnsOf(numbers: readonly (number | null)[]): PageColumns {
  const names = numbers.flatMap((number) => (number === null ? [] : [nameOf(number)]));
  return {
    capture: 2,
    batch: 0,
    firstRow: 0,
    parts: [],
    packs: names,
    kinds: Uint8Array.from(numbers, (number) => (number === null ? KIND_ZERO : KIND_MERGED)),
    gfns: Uint32Array.from(numbers, (_, i) => i),
    packIndexes: Uint16Array.from(numbers, (number) =>
      number === null ? names.length : names.indexOf(nameOf(number)),
    ),
    slots: Uint16Array.from(numbers, () => 0),
  };
}

const changeOf = (of: Partial<CaptureChange>): CaptureChange =>
  ({
    _tag: 'capture',
    packs: [],
    batches: [],
    device: null,
    attachments: [],
    ...of,
  }) as unknown as CaptureChange;

/** Packs 1 to 6 of a page each, 2 a patch of 1; all but 6 were released. */
function released(): LossyModels {
  const models = new LossyModels();
  for (let number = 1; number <= 6; number += 1)
    models.add(packOf(number, number, number === 2 ? patchOver(1) : undefined));
  for (let number = 1; number <= 5; number += 1) models.release(number, 1);
  return models;
}

const usedBy = (models: LossyModels, of: Partial<CaptureChange>): number[] => {
  const late = new LateReferences(models.contents);
  late.take(changeOf(of));
  return [...late.holdings].toSorted((a, b) => a - b);
};

test('what pages, a device state and attachments hold is used again, if it was released', () => {
  const models = released();
  const of = { batches: [columnsOf([3, 6, null])], device: columnsOf([4]) };
  const used = usedBy(models, { ...of, attachments: [columnsOf([5, 99])] });
  expect(used).toEqual([3, 4, 5].map((number) => models.numberOf(number)));
});

test('what patches are made of is used again, however far back', () => {
  const models = released();
  expect(usedBy(models, { batches: [columnsOf([2])] })).toEqual(
    [1, 2].map((number) => models.numberOf(number)),
  );
  expect(usedBy(models, { packs: [{ ...packOf(7, 7, patchOver(3)), capture: 2 }] })).toEqual([
    models.numberOf(3),
  ]);
});

test('what nobody refers to is not', () => {
  expect(usedBy(released(), { batches: [columnsOf([6, null])] })).toEqual([]);
});

test('what is referred to is told, whether it was released or not', () => {
  const models = released();
  const late = new LateReferences(models.contents);
  late.take(changeOf({ batches: [columnsOf([3, 6, null])] }));
  late.take(changeOf({ packs: [{ ...packOf(7, 7, patchOver(5)), capture: 2 }] }));
  const isReferred = (number: number): boolean =>
    late.referred.has(contentOf(models.numberOf(number)));
  expect([1, 2, 3, 4, 5, 6].filter(isReferred)).toEqual([3, 5, 6]);
});
