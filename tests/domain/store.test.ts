import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import {
  decideStore,
  deletableAtMs,
  evolveStore,
  initialStore,
  packsToRewrite,
  SAFE_GRACE_MS,
  type PackUse,
  type PackSlots,
  type StoreEvent,
} from '../../domain/store.ts';
import { NO_PATCHES } from '../../domain/events/patches.ts';
import type { PackRewritten } from '../../domain/events/pack-rewritten.ts';
import { encodeStoreEvent } from '../../domain/use-cases/compact/store-events.ts';
import { slotsIn } from '../../domain/values/slot-set.ts';
import { events, specify } from '../support/given-when-then.ts';

const RULES = { heldShareMin: 0.75, smallPackSlots: 100, joinedShareMin: 0.5 };

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

  test('is no small pack that little would be joined with', () => {
    const small = (held: number): Partial<PackUse> => ({ slots: held, lying: held, held });
    const fresh = packOf('new', { isRewritten: false, ...small(8) });
    expect(rewritten(packOf('a', small(50)), packOf('b', small(24)))).toEqual([]);
    expect(rewritten(packOf('a', small(50)), packOf('b', small(25)))).toEqual(['a', 'b']);
    expect(rewritten(fresh, packOf('a', small(17)))).toEqual(['new']);
    expect(rewritten(fresh, packOf('a', small(16)))).toEqual(['new', 'a']);
    // What was joined counts with it.
    expect(rewritten(packOf('a', small(48)), fresh, packOf('b', small(16)))).toEqual([
      'a',
      'new',
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

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const SEEN = { vm: 'web', capture: 3 };
const given = specify({ initial: initialStore, decide: decideStore, evolve: evolveStore });

const release = (...packs: PackSlots[]) =>
  ({ _tag: 'ReleaseContent', released: packs, areLying: false, seen: SEEN }) as const;
const goes = (...packs: { pack: string; slots: string }[]): StoreEvent => ({
  type: 'ContentReleased',
  data: { seen: SEEN, packs, areLying: null },
});
const rewrittenPack = (name: string): PackRewritten => ({
  name,
  group: 'default',
  sizeBytes: 100,
  blocks: {
    codecs: Uint8Array.of(0),
    pages: Uint8Array.of(1),
    lengths: Uint32Array.of(4),
    checksums: Uint32Array.of(0),
  },
  sources: [B],
  sourceIndexes: Uint16Array.of(0),
  sourceSlots: Uint16Array.of(7),
  patches: NO_PATCHES,
  isCopied: false,
});
const rewrite = (name: string) => ({ _tag: 'RewriteContent', pack: rewrittenPack(name) }) as const;
const lies = (name: string): StoreEvent => ({ type: 'PackRewritten', data: rewrittenPack(name) });

const slotsOf = (outcome: either.Either<never, readonly StoreEvent[]>): PackSlots[] =>
  (either.isRight(outcome) ? outcome.right : []).flatMap((event) =>
    event.type === 'ContentReleased'
      ? event.data.packs.map(({ pack, slots }) => ({ pack, slots: [...slotsIn(slots)] }))
      : [],
  );

describe('letting slots go', () => {
  test('names them, and those alone that were not let go of', () => {
    expect(given().when(release({ pack: A, slots: [0, 2] }))).toEqual(
      events(goes({ pack: A, slots: '05' })),
    );
    const past = goes({ pack: A, slots: '05' });
    expect(given(past).when(release({ pack: A, slots: [0, 1, 2] }))).toEqual(
      events(goes({ pack: A, slots: '02' })),
    );
    expect(given(past).when(release({ pack: A, slots: [0] }))).toEqual(events());
  });

  test('says that it names them where they lie', () => {
    const outcome = given().when({ ...release({ pack: A, slots: [0, 2] }), areLying: true });
    const data = { seen: SEEN, packs: [{ pack: A, slots: '05' }], areLying: true } as const;
    expect(outcome).toEqual(events({ type: 'ContentReleased', data }));
  });

  test('names exactly them', () => {
    fc.assert(
      fc.property(released, (asked) => {
        expect(slotsOf(given().when(release(...asked)))).toEqual(
          asked.filter(({ slots }) => slots.length > 0),
        );
      }),
    );
  });

  test('takes as many events as their size needs', () => {
    const all = Array.from({ length: 5120 }, (_, slot) => slot);
    const many = Array.from({ length: 1000 }, (_, i) => ({
      pack: i.toString(16).padStart(64, '0'),
      slots: all,
    }));
    const outcome = given().when(release(...many));
    const made = either.isRight(outcome) ? outcome.right : [];
    expect(made.length).toBeGreaterThan(4);
    const ports = {
      clock: () => 0,
      randomBytes: (count: number) => new Uint8Array(count),
      areEventsShort: () => false,
    };
    expect(made.map((event) => encodeStoreEvent(ports, event)).filter(either.isLeft)).toEqual([]);
    expect(slotsOf(outcome)).toHaveLength(1000);
  });

  test('is no event where there is nothing to let go', () => {
    expect(given().when(release())).toEqual(events());
    expect(given().when(release({ pack: A, slots: [] }))).toEqual(events());
  });
});

describe('content that is written anew', () => {
  test('lies in the pack that is named for it, once', () => {
    expect(given().when(rewrite(A))).toEqual(events(lies(A)));
    expect(given(lies(A)).when(rewrite(A))).toEqual(events());
    expect(given(lies(A)).when(rewrite(B))).toEqual(events(lies(B)));
  });

  test('stays let go of where it was', () => {
    const past = [goes({ pack: B, slots: '80' }), lies(A)];
    expect(given(...past).when(release({ pack: B, slots: [7] }))).toEqual(events());
  });
});

test('an emptied pack may be deleted after the grace, and while somebody may not have seen it after a safe one', () => {
  const emptied = { emptiedAtMs: 1000 };
  expect(deletableAtMs(emptied, { graceMs: 500, mayBeUnseen: false })).toBe(1500);
  expect(deletableAtMs(emptied, { graceMs: 500, mayBeUnseen: true })).toBe(1000 + SAFE_GRACE_MS);
  const long = { graceMs: 2 * SAFE_GRACE_MS, mayBeUnseen: true };
  expect(deletableAtMs(emptied, long)).toBe(1000 + 2 * SAFE_GRACE_MS);
});
