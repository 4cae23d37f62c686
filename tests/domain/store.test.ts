import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import {
  decideRelease,
  deletableAtMs,
  packsToRewrite,
  type PackUse,
  type PackSlots,
} from '../../domain/store.ts';
import { encodeControl, type ControlEvent } from '../../domain/events/control.ts';
import { slotsIn } from '../../domain/values/slot-set.ts';

const RULES = { heldShareMin: 0.75, smallPackSlots: 100 };

const packOf = (name: string, of: Partial<PackUse> = {}): PackUse => ({
  name,
  group: 'default',
  sizeBytes: 1000,
  slots: 1000,
  lying: 1000,
  held: 1000,
  isRewritten: true,
  hasChains: false,
  ...of,
});
const rewritten = (...packs: PackUse[]): string[] =>
  packsToRewrite(packs, RULES).map(({ name }) => name);

describe('worth rewriting', () => {
  test('is every pack that recording wrote', () => {
    expect(rewritten(packOf('a', { isRewritten: false }), packOf('b'))).toEqual(['a']);
  });

  test('is a rewritten pack of which too little is held', () => {
    expect(rewritten(packOf('a', { held: 749 }), packOf('b', { held: 750 }))).toEqual(['a']);
    expect(rewritten(packOf('a', { held: 0 }))).toEqual(['a']);
  });

  test('is a pack whose patches refer to patches', () => {
    expect(rewritten(packOf('a', { hasChains: true }), packOf('b'))).toEqual(['a']);
  });

  test('is a small rewritten pack where there is another to join it with', () => {
    const small = { slots: 50, lying: 50, held: 50 };
    expect(rewritten(packOf('a', small), packOf('b'))).toEqual([]);
    expect(rewritten(packOf('a', small), packOf('b', small))).toEqual(['a', 'b']);
    expect(rewritten(packOf('a', small), packOf('b', { isRewritten: false }))).toEqual(['a', 'b']);
    expect(rewritten(packOf('a', small), packOf('b', { isRewritten: false, held: 0 }))).toEqual([
      'b',
    ]);
  });

  test('is no pack in which nothing lies', () => {
    expect(rewritten(packOf('a', { isRewritten: false, lying: 0, held: 0 }))).toEqual([]);
  });
});

const released = fc.array(
  fc.record({
    pack: fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString('hex')),
    slots: fc
      .uniqueArray(fc.nat({ max: 5119 }), { maxLength: 40 })
      .map((slots) => slots.toSorted((a, b) => a - b)),
  }),
  { maxLength: 8 },
);

const slotsOf = (events: readonly ControlEvent[]): PackSlots[] =>
  events.flatMap((event) =>
    event.type === 'ContentReleased'
      ? event.data.packs.map(({ pack, slots }) => ({ pack, slots: [...slotsIn(slots)] }))
      : [],
  );

describe('letting slots go', () => {
  test('names exactly them', () => {
    fc.assert(
      fc.property(released, (asked) => {
        const events = decideRelease(asked, { vm: 'web', capture: 3 });
        expect(slotsOf(events)).toEqual(asked.filter(({ slots }) => slots.length > 0));
      }),
    );
  });

  test('takes as many events as their size needs', () => {
    const all = Array.from({ length: 5120 }, (_, slot) => slot);
    const many = Array.from({ length: 1000 }, (_, i) => ({
      pack: i.toString(16).padStart(64, '0'),
      slots: all,
    }));
    const events = decideRelease(many, null);
    expect(events.length).toBeGreaterThan(4);
    expect(events.map((event) => encodeControl(event)).filter(either.isLeft)).toEqual([]);
    expect(slotsOf(events)).toHaveLength(1000);
  });

  test('is no event where there is nothing to let go', () => {
    expect(decideRelease([], null)).toEqual([]);
    expect(decideRelease([{ pack: 'ab'.repeat(32), slots: [] }], null)).toEqual([]);
  });
});

test('an emptied pack may be deleted after the grace, and not while somebody may not have seen it', () => {
  const emptied = { emptiedAtMs: 1000 };
  expect(deletableAtMs(emptied, { graceMs: 500, mayBeUnseen: false })).toBe(1500);
  expect(deletableAtMs(emptied, { graceMs: 500, mayBeUnseen: true })).toBeNull();
});
