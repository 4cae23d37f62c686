import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import { KIND_MASK, KIND_MERGED, KIND_STORED } from '../../domain/events/pages-written.ts';
import { CLASS_NONE, CLASS_UNTOLD, CLASS_ZERO } from '../../domain/ports/page-engine.ts';
import {
  decidePageWrite,
  decideWrites,
  evolvePages,
  type PageEvent,
  type PagesState,
  type WritePage,
} from '../../domain/sharing.ts';
import { FIRST_CONTENT } from '../../domain/values/holding.ts';
import type { Refusal } from '../../domain/values/refusals.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';
import {
  PAGES,
  PATTERN_CLASS,
  EMPTY,
  MapView,
  capture,
  columnsOf,
  decideOneByOne,
  kindOf,
  textOf,
} from '../support/ledgers/page-oracle.ts';
import { triesOf } from '../support/long-run.ts';

/** Events of a page bear no VM; here they do, so that several VMs can be told apart. */
interface OfVm {
  readonly vm: string;
  readonly event: PageEvent;
}

const given = specify<PagesState, WritePage, OfVm, Refusal>({
  initial: EMPTY,
  decide: (state) => (write) =>
    either.map((some: readonly PageEvent[]) => some.map((event) => ({ vm: write.vm, event })))(
      decidePageWrite(state)(write),
    ),
  evolve: (state, { vm, event }) => evolvePages(state, vm, event),
});

const write = (vm: string, gfn: number, identifier: string): WritePage => ({
  vm,
  gfn,
  patternClass: CLASS_NONE,
  identifier,
});
const writeZero = (vm: string, gfn: number): WritePage => ({
  vm,
  gfn,
  patternClass: CLASS_ZERO,
  identifier: '',
});
const stored = (vm: string, gfn: number, identifier: string): OfVm => ({
  vm,
  event: { type: 'PageStored', gfn, identifier },
});
const merged = (vm: string, gfn: number, identifier: string, scope: 'intra' | 'inter'): OfVm => ({
  vm,
  event: { type: 'PageMerged', gfn, identifier, scope },
});
const zeroed = (vm: string, gfn: number): OfVm => ({
  vm,
  event: { type: 'PatternPageShared', gfn, pattern: CLASS_ZERO, identifier: '' },
});
const broken = (vm: string, gfn: number, identifier: string): OfVm => ({
  vm,
  event: { type: 'SharingBroken', gfn, identifier },
});

describe('a page write', () => {
  test('of content nobody stored is stored', () => {
    expect(given().when(write('a', 0, 'X'))).toEqual(events(stored('a', 0, 'X')));
  });

  test('of content the VM itself stored is linked inside the VM', () => {
    expect(given(stored('a', 0, 'X')).when(write('a', 1, 'X'))).toEqual(
      events(merged('a', 1, 'X', 'intra')),
    );
  });

  test('of content another VM stored is linked between VMs', () => {
    expect(given(stored('a', 0, 'X')).when(write('b', 7, 'X'))).toEqual(
      events(merged('b', 7, 'X', 'inter')),
    );
  });

  test('of a region that is held large is stored, whatever equals it', () => {
    const large = (vm: string, gfn: number, identifier: string): OfVm => ({
      vm,
      event: { type: 'PageStored', gfn, identifier, isLarge: true },
    });
    const writeLarge = { ...write('a', 0, 'X'), isLarge: true };
    expect(given(stored('b', 7, 'X')).when(writeLarge)).toEqual(events(large('a', 0, 'X')));
    // Nobody links to it, in its own VM or another.
    expect(given(large('a', 0, 'X')).when(write('b', 7, 'X'))).toEqual(events(stored('b', 7, 'X')));
    const next = { ...writeLarge, gfn: 1 };
    expect(given(large('a', 0, 'X')).when(next)).toEqual(events(large('a', 1, 'X')));
    expect(given(large('a', 0, 'X')).when(writeLarge)).toEqual(events());
  });

  test('of a region that is held small again is merged', () => {
    const large: OfVm = {
      vm: 'a',
      event: { type: 'PageStored', gfn: 0, identifier: 'X', isLarge: true },
    };
    expect(given(stored('b', 7, 'X'), large).when(write('a', 0, 'X'))).toEqual(
      events(merged('a', 0, 'X', 'inter')),
    );
  });

  test('of a pattern is none of a region that is held large', () => {
    expect(given().when({ ...writeZero('a', 2), isLarge: true })).toEqual(events(zeroed('a', 2)));
  });

  test('of content that no page holds any more is still linked: it is still stored', () => {
    expect(given(stored('a', 0, 'X'), stored('a', 0, 'Y')).when(write('a', 3, 'X'))).toEqual(
      events(merged('a', 3, 'X', 'intra')),
    );
  });

  test('that a pattern describes is neither stored nor looked up', () => {
    expect(given().when(writeZero('a', 2))).toEqual(events(zeroed('a', 2)));
    expect(given(zeroed('b', 0)).when(writeZero('a', 2))).toEqual(events(zeroed('a', 2)));
  });

  test('that its source does not tell is unknown, whatever the page held, and once only', () => {
    const untold = { vm: 'a', gfn: 1, patternClass: CLASS_UNTOLD, identifier: '' };
    const unknown: OfVm = { vm: 'a', event: { type: 'PageUnknown', gfn: 1 } };
    expect(given().when(untold)).toEqual(events(unknown));
    expect(given(zeroed('a', 1)).when(untold)).toEqual(events(unknown));
    expect(given(unknown).when(untold)).toEqual(events());
    expect(given(stored('a', 1, 'X'), merged('b', 0, 'X', 'inter')).when(untold)).toEqual(
      events(unknown, broken('a', 1, 'X')),
    );
  });

  test('of a page that was unknown is one, zeros too, and breaks nothing', () => {
    const unknown: OfVm = { vm: 'a', event: { type: 'PageUnknown', gfn: 1 } };
    const other: OfVm = { vm: 'b', event: { type: 'PageUnknown', gfn: 1 } };
    expect(given(unknown, other).when(writeZero('a', 1))).toEqual(events(zeroed('a', 1)));
    expect(given(unknown, other).when(write('a', 1, 'X'))).toEqual(events(stored('a', 1, 'X')));
  });

  test('of another pattern of the same class is one', () => {
    const ofPattern = (identifier: string): WritePage => ({
      ...write('a', 0, identifier),
      patternClass: PATTERN_CLASS,
    });
    const shared = (identifier: string): OfVm => ({
      vm: 'a',
      event: { type: 'PatternPageShared', gfn: 0, pattern: PATTERN_CLASS, identifier },
    });
    expect(given(shared('P')).when(ofPattern('Q'))).toEqual(events(shared('Q')));
    expect(given(shared('P')).when(ofPattern('P'))).toEqual(events());
  });

  test('of what the page holds already is no event', () => {
    expect(given(stored('a', 0, 'X')).when(write('a', 0, 'X'))).toEqual(events());
    expect(given(zeroed('a', 0)).when(writeZero('a', 0))).toEqual(events());
  });

  test('of what a shared page holds already breaks nothing', () => {
    expect(
      given(stored('a', 0, 'X'), merged('b', 0, 'X', 'inter')).when(write('b', 0, 'X')),
    ).toEqual(events());
  });

  test('outside the VM is refused', () => {
    expect(given().when(write('a', PAGES, 'X'))).toEqual(
      refusal({ _tag: 'GfnOutOfRange', vm: 'a', gfn: PAGES, pages: PAGES }),
    );
  });
});

describe('a sharing is broken', () => {
  const shared = [stored('a', 0, 'X'), merged('b', 0, 'X', 'inter')];

  test('by a write to a page whose old content another page holds', () => {
    expect(given(...shared).when(write('b', 0, 'Y'))).toEqual(
      events(stored('b', 0, 'Y'), broken('b', 0, 'X')),
    );
  });

  test('by a write of a pattern, and by a merge with something else', () => {
    expect(given(...shared).when(writeZero('a', 0))).toEqual(
      events(zeroed('a', 0), broken('a', 0, 'X')),
    );
    expect(given(...shared, stored('a', 1, 'Y')).when(write('a', 0, 'Y'))).toEqual(
      events(merged('a', 0, 'Y', 'intra'), broken('a', 0, 'X')),
    );
  });

  test('inside one VM too', () => {
    expect(
      given(stored('a', 0, 'X'), merged('a', 1, 'X', 'intra')).when(write('a', 0, 'Y')),
    ).toEqual(events(stored('a', 0, 'Y'), broken('a', 0, 'X')));
  });

  test('by nobody who is the last holder', () => {
    expect(given(...shared, stored('a', 0, 'Y')).when(write('b', 0, 'Z'))).toEqual(
      events(stored('b', 0, 'Z')),
    );
  });

  test('by nobody who leaves a pattern', () => {
    expect(given(zeroed('a', 0), zeroed('b', 0)).when(write('a', 0, 'X'))).toEqual(
      events(stored('a', 0, 'X')),
    );
  });
});

describe('the decider of whole batches', () => {
  test('decides as the decider of single pages does, over several VMs and captures', () => {
    fc.assert(
      fc.property(fc.array(capture, { maxLength: 8 }), (captures) => {
        const view = new MapView();
        let state = EMPTY;
        for (const { vm, pages } of captures) {
          const columns = columnsOf(pages.toSorted((a, b) => a.gfn - b.gfn));
          const oracle = decideOneByOne(state, vm, columns);
          ({ state } = oracle);
          view.vm = vm;
          const decided = decideWrites(view, columns);
          const rows = oracle.byRow.flatMap((some, row) => (some.length > 0 ? [row] : []));
          const kinds = rows.map((row) => kindOf(oracle.byRow[row]!));
          expect([...decided.rows]).toEqual(rows);
          expect([...decided.kinds]).toEqual(kinds);
          expect(decided.count).toBe(rows.length);
          expect(decided.unchanged).toBe(columns.gfns.length - rows.length);
          const stores = rows.filter((_, i) => (kinds[i]! & KIND_MASK) === KIND_STORED);
          expect([...decided.storeRows]).toEqual(stores);
          const { merged: links, pattern, unknown } = decided;
          expect(decided.storeRows.length + links + pattern + unknown).toBe(decided.count);
          for (const [i, row] of rows.entries())
            expect(textOf(view, decided.holdings[i]!)).toBe(
              state.pages.get(`${vm}/${columns.gfns[row]}`),
            );
        }
        // Preemptive merging: no content is stored twice.
        expect(new Set(view.contents).size).toBe(view.contents.length);
      }),
      { numRuns: triesOf(200) },
    );
  });

  test('takes a content that is known, unread, as a link, and as no event where it is held', () => {
    const view = new MapView();
    const { holdings } = decideWrites(view, columnsOf([{ gfn: 1, content: 5 }]));
    const known = holdings[0]!;
    const unread = {
      gfns: Uint32Array.of(1, 2),
      classes: Uint8Array.of(CLASS_ZERO, CLASS_ZERO),
      identifiers: new Uint8Array(64),
      patterns: Uint32Array.of(known, known),
    };
    const decided = decideWrites(view, unread);
    expect([...decided.kinds]).toEqual([KIND_MERGED]);
    expect([...decided.holdings]).toEqual([known]);
    expect(decided).toMatchObject({ count: 1, merged: 1, pattern: 0, unchanged: 1 });
  });

  test('of nothing decides nothing', () => {
    const decided = decideWrites(new MapView(), columnsOf([]));
    expect(decided).toMatchObject({ count: 0, merged: 0, pattern: 0, unchanged: 0 });
  });

  test('takes equal pages of one batch as one store and links', () => {
    const view = new MapView();
    const decided = decideWrites(view, columnsOf([1, 2, 3].map((gfn) => ({ gfn, content: 5 }))));
    expect([...decided.kinds]).toEqual([KIND_STORED, KIND_MERGED, KIND_MERGED]);
    expect([...decided.holdings]).toEqual([FIRST_CONTENT, FIRST_CONTENT, FIRST_CONTENT]);
  });
});
