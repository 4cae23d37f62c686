// Random captures of several VMs, what the oracle of page writes (domain/sharing.ts) says of them, and the
// plainest sharing state that whole batches can be decided on.

import { hash } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import { toHex } from '../../../domain/values/identifier.ts';
import {
  KIND_BROKE,
  KIND_MERGED,
  KIND_STORED,
  KIND_UNTOLD,
  KIND_ZERO,
  patternKind,
} from '../../../domain/events/pages-written.ts';
import {
  CLASS_NONE,
  CLASS_UNTOLD,
  CLASS_ZERO,
  IDENTIFIER_BYTES,
} from '../../../domain/ports/page-engine.ts';
import {
  decidePageWrite,
  evolvePages,
  type PageEvent,
  type PagesState,
  type WritesView,
} from '../../../domain/sharing.ts';
import {
  FIRST_CONTENT,
  isContent,
  PATTERN_BASE,
  UNKNOWN,
  UNTOLD,
  ZERO,
  type Holding,
} from '../../../domain/values/holding.ts';

/** Hex of the identifier in row `row` of a column of identifiers. */
export const identifierAt = (column: Uint8Array, row: number): string =>
  toHex(column.subarray(row * IDENTIFIER_BYTES, (row + 1) * IDENTIFIER_BYTES));

export const PAGES = 16;
/** Any class but that of zeros. */
export const PATTERN_CLASS = 5;
/** What a page holds in a random capture: 0 is zeros, the last is unknown, two are patterns, the others contents. */
const FIRST_PATTERN = 7;
const UNTOLD_CONTENT = 9;
const HELD_MAX = UNTOLD_CONTENT;
export const EMPTY: PagesState = { pageCount: PAGES, pages: new Map(), contents: new Map() };

/** The plainest view there is: maps and nothing else. */
export class MapView implements WritesView {
  readonly contents: string[] = [];
  readonly tables = new Map<string, Holding[]>();
  vm = '';

  table(): Holding[] {
    let table = this.tables.get(this.vm);
    if (table === undefined) {
      table = Array.from({ length: PAGES }, () => UNKNOWN);
      this.tables.set(this.vm, table);
    }
    return table;
  }

  /** The same as a recorder of a VM begins with it. */
  clone(vm: string): MapView {
    const view = new MapView();
    view.contents.push(...this.contents);
    for (const [of, table] of this.tables) view.tables.set(of, [...table]);
    view.vm = vm;
    return view;
  }

  find(identifiers: Uint8Array, row: number): Holding {
    const content = this.contents.indexOf(identifierAt(identifiers, row));
    return content < 0 ? -1 : FIRST_CONTENT + content;
  }

  held(gfn: number): Holding {
    return this.table()[gfn]!;
  }

  holders(content: Holding): number {
    return [...this.tables.values()].flat().filter((held) => held === content).length;
  }

  store(identifiers: Uint8Array, row: number): Holding {
    return FIRST_CONTENT + this.contents.push(identifierAt(identifiers, row)) - 1;
  }

  hold(gfn: number, holding: Holding): void {
    this.table()[gfn] = holding;
  }
}

/** A capture: what each page of a VM holds, as a small number. */
export const capture = fc.record({
  vm: fc.constantFrom('a', 'b', 'c'),
  pages: fc.uniqueArray(
    fc.record({ gfn: fc.nat({ max: PAGES - 1 }), content: fc.nat({ max: HELD_MAX }) }),
    {
      selector: ({ gfn }) => gfn,
      maxLength: PAGES,
    },
  ),
});

const identifierOf = (content: number): Uint8Array =>
  hash('sha256', `content ${content}`, 'buffer');

function classOf(content: number): number {
  if (content === 0) return CLASS_ZERO;
  if (content === UNTOLD_CONTENT) return CLASS_UNTOLD;
  return content < FIRST_PATTERN ? CLASS_NONE : PATTERN_CLASS;
}

function patternOf(content: number): Holding {
  if (content === 0) return ZERO;
  return content === UNTOLD_CONTENT ? UNTOLD : PATTERN_BASE + content - FIRST_PATTERN;
}

export function columnsOf(pages: readonly { gfn: number; content: number }[]) {
  const identifiers = new Uint8Array(pages.length * IDENTIFIER_BYTES);
  for (const [row, { content }] of pages.entries())
    if (content > 0) identifiers.set(identifierOf(content), row * IDENTIFIER_BYTES);
  return {
    gfns: Uint32Array.from(pages, ({ gfn }) => gfn),
    classes: Uint8Array.from(pages, ({ content }) => classOf(content)),
    identifiers,
    patterns: Uint32Array.from(pages, ({ content }) => patternOf(content)),
  };
}

/** What the oracle says of one capture: its state after it, and its events by row. */
export function decideOneByOne(
  before: PagesState,
  vm: string,
  columns: ReturnType<typeof columnsOf>,
): { state: PagesState; byRow: PageEvent[][] } {
  let state = before;
  const byRow: PageEvent[][] = [];
  for (const [row, gfn] of columns.gfns.entries()) {
    const patternClass = columns.classes[row]!;
    const identifier = patternClass === CLASS_ZERO ? '' : identifierAt(columns.identifiers, row);
    const command = { vm, gfn, patternClass, identifier };
    const decided = decidePageWrite(state)(command);
    if (either.isLeft(decided)) throw new TypeError('the oracle refused a page of the VM');
    for (const event of decided.right) {
      // The invariant of preemptive merging, at every event.
      if (event.type === 'PageStored' && state.contents.has(event.identifier))
        throw new TypeError(`${event.identifier} is stored twice`);
      state = evolvePages(state, vm, event);
    }
    byRow.push([...decided.right]);
  }
  return { state, byRow };
}

/** The kind of a row as the oracle's events say it. */
export function kindOf([event, ...more]: readonly PageEvent[]): number {
  const broke = more.length > 0 ? KIND_BROKE : 0;
  if (event?.type === 'PageStored') return KIND_STORED | broke;
  if (event?.type === 'PageMerged') return KIND_MERGED | broke;
  if (event?.type === 'PageUnknown') return KIND_UNTOLD | broke;
  if (event?.type !== 'PatternPageShared') throw new TypeError('a row has an outcome');
  return (event.pattern === CLASS_ZERO ? KIND_ZERO : patternKind(event.pattern)) | broke;
}

export function textOf({ contents }: MapView, holding: Holding): string {
  if (isContent(holding)) return contents[holding - FIRST_CONTENT]!;
  if (holding === ZERO) return `pattern:${CLASS_ZERO}:`;
  if (holding === UNTOLD) return 'unknown';
  const identifier = identifierAt(identifierOf(holding - PATTERN_BASE + FIRST_PATTERN), 0);
  return `pattern:${PATTERN_CLASS}:${identifier}`;
}
