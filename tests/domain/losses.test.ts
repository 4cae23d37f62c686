// What is lost is said once, is asked about where it is much, and is taken back when it is found.

import { describe, expect, test } from '@jest/globals';
import {
  decideLosses,
  evolveLosses,
  initialLosses,
  type LoseContent,
  type LossEvent,
} from '../../domain/losses.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const given = specify({ initial: initialLosses, decide: decideLosses, evolve: evolveLosses });

const lose = (of: Partial<LoseContent> = {}): LoseContent => ({
  _tag: 'LoseContent',
  lost: [{ pack: A, slots: [0, 2] }],
  damagedPacks: 1,
  packs: 1000,
  isConfirmed: false,
  ...of,
});
const lost = (...packs: { pack: string; slots: string }[]): LossEvent => ({
  type: 'ContentLost',
  data: { packs },
});
const found = (...packs: { pack: string; slots: string }[]): LossEvent => ({
  type: 'ContentFound',
  data: { packs },
});
const find = (...slots: number[]) =>
  ({ _tag: 'FindContent', found: [{ pack: A, slots }] }) as const;

describe('content that is lost', () => {
  test('is named by its packs and slots', () => {
    expect(given().when(lose())).toEqual(events(lost({ pack: A, slots: '05' })));
  });

  test('is said once', () => {
    const past = lost({ pack: A, slots: '05' });
    expect(given(past).when(lose())).toEqual(events());
    const more = lose({
      lost: [
        { pack: A, slots: [2, 9] },
        { pack: B, slots: [1] },
      ],
    });
    expect(given(past).when(more)).toEqual(
      events(lost({ pack: A, slots: '0002' }, { pack: B, slots: '02' })),
    );
  });

  test('is said of one pack without a question, however few there are', () => {
    expect(given().when(lose({ packs: 1 }))).toEqual(events(lost({ pack: A, slots: '05' })));
  });

  test('is asked about where it is of more than a hundredth of the packs', () => {
    const many = { damagedPacks: 11, packs: 1000 };
    expect(given().when(lose({ ...many, damagedPacks: 10 }))).toEqual(
      events(lost({ pack: A, slots: '05' })),
    );
    expect(given().when(lose(many))).toEqual(
      refusal({ _tag: 'ManyPacksLost', lost: 11, packs: 1000 }),
    );
    expect(given().when(lose({ ...many, isConfirmed: true }))).toEqual(
      events(lost({ pack: A, slots: '05' })),
    );
  });

  test('is not asked about where nothing of it is new', () => {
    const all = lose({ damagedPacks: 900 });
    expect(given(lost({ pack: A, slots: 'ff' })).when(all)).toEqual(events());
  });
});

describe('content that is found', () => {
  test('is what was lost, and nothing else', () => {
    const past = lost({ pack: A, slots: '05' });
    expect(given(past).when(find(0, 1))).toEqual(events(found({ pack: A, slots: '01' })));
    expect(given().when(find(0))).toEqual(events());
  });

  test('may be lost again', () => {
    const past = [lost({ pack: A, slots: '05' }), found({ pack: A, slots: '01' })];
    expect(given(...past).when(find(0))).toEqual(events());
    expect(given(...past).when(lose())).toEqual(events(lost({ pack: A, slots: '01' })));
  });
});
