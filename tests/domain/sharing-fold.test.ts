import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { KIND_BROKE, KIND_MASK, KIND_STORED } from '../../domain/events/pages-written.ts';
import {
  decideWrites,
  foldWrites,
  type DecidedWrites,
  type FoldedWrites,
} from '../../domain/sharing.ts';
import { FIRST_CONTENT, isContent, UNKNOWN } from '../../domain/values/holding.ts';
import {
  PAGES,
  EMPTY,
  MapView,
  capture,
  columnsOf,
  decideOneByOne,
  kindOf,
  textOf,
} from '../support/ledgers/page-oracle.ts';
import { triesOf } from '../support/long-run.ts';

/** A batch as it is recorded: its references in the numbers that the log gives its stores. */
interface Recorded {
  readonly vm: string;
  readonly columns: ReturnType<typeof columnsOf>;
  readonly decided: DecidedWrites;
  /** Contents that were committed when it was decided; higher numbers are its own. */
  readonly known: number;
  readonly stores: readonly string[];
}

/** What a recorder decides that sees the committed state and nothing of who records beside it. */
function recordOf(
  committed: MapView,
  { vm, pages }: { readonly vm: string; readonly pages: Parameters<typeof columnsOf>[0] },
): Recorded {
  const columns = columnsOf(pages.toSorted((a, b) => a.gfn - b.gfn));
  const view = committed.clone(vm);
  const known = view.contents.length;
  const decided = decideWrites(view, columns);
  return { vm, columns, decided, known, stores: view.contents.slice(known) };
}

/** The log: batches one after the other, each folded into what was committed before. */
class Folded {
  readonly committed = new MapView();
  readonly #holders = new Uint32Array(1000);
  readonly #tables = new Map<string, Uint32Array>();

  fold({ vm, columns, decided, known, stores }: Recorded): FoldedWrites {
    const { contents } = this.committed;
    const shift = contents.length - known;
    const ownFrom = FIRST_CONTENT + known;
    const recorded = decided.holdings.map((holding) =>
      isContent(holding) && holding >= ownFrom ? holding + shift : holding,
    );
    contents.push(...stores);
    const holdings = recorded.map((holding) =>
      isContent(holding)
        ? FIRST_CONTENT + contents.indexOf(contents[holding - FIRST_CONTENT]!)
        : holding,
    );
    const table = this.#tables.get(vm) ?? new Uint32Array(PAGES).fill(UNKNOWN);
    this.#tables.set(vm, table);
    const gfns = decided.rows.map((row) => columns.gfns[row]!);
    const pages = { table, holders: this.#holders };
    const folded = foldWrites(pages, { gfns, kinds: decided.kinds, holdings, recorded });
    this.committed.tables.set(vm, [...table]);
    return folded;
  }

  /** Counts of holders that are not what the tables say. */
  miscounted(): number[] {
    return this.committed.contents
      .map((_, content) => content)
      .filter(
        (content) => this.#holders[content] !== this.committed.holders(FIRST_CONTENT + content),
      );
  }
}

describe('the fold of recorded batches', () => {
  /** Captures of different VMs that are recorded at once and committed in this order. */
  const round = fc.uniqueArray(capture, { selector: ({ vm }) => vm, minLength: 1, maxLength: 3 });

  test('decides as the oracle does in log order, whatever recorders saw of each other', () => {
    let overridden = 0;
    let toggled = 0;
    fc.assert(
      fc.property(fc.array(round, { maxLength: 5 }), (rounds) => {
        const log = new Folded();
        let state = EMPTY;
        for (const captures of rounds)
          for (const recorded of captures.map((one) => recordOf(log.committed, one))) {
            const { vm, columns, decided } = recorded;
            const oracle = decideOneByOne(state, vm, columns);
            ({ state } = oracle);
            const rows = oracle.byRow.flatMap((some, row) => (some.length > 0 ? [row] : []));
            expect([...decided.rows]).toEqual(rows);
            const kinds = rows.map((row) => kindOf(oracle.byRow[row]!));
            const folded = log.fold(recorded);
            expect([...folded.kinds]).toEqual(kinds);
            const before = [...decided.kinds];
            const has = (bit: (kind: number) => boolean): number => kinds.filter(bit).length;
            const isStore = (kind: number): boolean => (kind & KIND_MASK) === KIND_STORED;
            expect(folded.overridden).toBe(before.filter(isStore).length - has(isStore));
            expect(folded.broken).toBe(has((kind) => (kind & KIND_BROKE) !== 0));
            expect(folded.toggled).toBe(
              kinds.filter((kind, i) => ((kind ^ before[i]!) & KIND_BROKE) !== 0).length,
            );
            overridden += folded.overridden;
            toggled += folded.toggled;
            const texts = log.committed.tables
              .get(vm)!
              .map((held) => (held === UNKNOWN ? undefined : textOf(log.committed, held)));
            expect(texts).toEqual(texts.map((_, gfn) => state.pages.get(`${vm}/${gfn}`)));
            expect(log.miscounted()).toEqual([]);
          }
      }),
      { numRuns: triesOf(300) },
    );
    // Recorders did come in each other's way.
    expect(overridden).toBeGreaterThan(0);
    expect(toggled).toBeGreaterThan(0);
  });

  test('passes over rows of a damaged event that lie beyond the pages', () => {
    const table = new Uint32Array(1).fill(UNKNOWN);
    const holders = new Uint32Array(2);
    const holdings = Uint32Array.of(FIRST_CONTENT, FIRST_CONTENT + 1);
    const kinds = Uint8Array.of(KIND_STORED, KIND_STORED | KIND_BROKE);
    const gfns = Uint32Array.of(0, 1);
    const folded = foldWrites({ table, holders }, { gfns, kinds, holdings, recorded: holdings });
    expect(folded).toEqual({ kinds, overridden: 0, broken: 0, toggled: 0 });
    expect([...holders]).toEqual([1, 0]);
  });

  test('takes a later number for a store: a released content that is used again', () => {
    const table = new Uint32Array(1).fill(UNKNOWN);
    const folded = foldWrites(
      { table, holders: new Uint32Array(4) },
      {
        gfns: Uint32Array.of(0),
        kinds: Uint8Array.of(KIND_STORED),
        holdings: Uint32Array.of(FIRST_CONTENT + 3),
        recorded: Uint32Array.of(FIRST_CONTENT + 1),
      },
    );
    expect(folded).toMatchObject({ overridden: 0, kinds: Uint8Array.of(KIND_STORED) });
  });
});
