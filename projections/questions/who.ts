// Which VMs and pages hold, or held, a content, from the page index. Cost:
// O(segments) blocks of 16 KiB for the identifier and as many for the content, and its holdings.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { fromHex, toHex } from '../../domain/values/identifier.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { holdingOfContent, type Holding } from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { Refusal } from '../../domain/values/refusals.ts';
import type { IdentifierColumn } from '../models/identifier-index.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import type { HeldPage, PageIndex } from '../page-index/page-index.ts';
import { groupedBy } from '../../domain/values/grouped.ts';
import { isHeldAt, startOf } from './held-pages.ts';
import type { Moment } from './moment.ts';

/** Hex digits of an identifier, and the fewest that name one. */
const DIGITS_MAX = 2 * IDENTIFIER_BYTES;
const DIGITS_MIN = 8;
/** Identifiers told of those that a short one may mean. */
const TOLD_MAX = 5;

/** A page that holds a content, or held it, from one capture to another. */
export interface Holder {
  readonly vm: string;
  readonly gfn: number;
  readonly group: string;
  /** The capture that began to hold it. */
  readonly from: number;
  /** The first capture that holds it no longer; null: there is none. */
  readonly to: number | null;
  /** Where the VM's life ended while it held it; null: it did not. */
  readonly retiredAt: Position | null;
  /** The times of these captures, or of the retirement; null: it is held, or the log has forgotten it. */
  readonly fromTimeMs: number | null;
  readonly toTimeMs: number | null;
}

/**
 * What an identifier names: several contents where nothing is linked, so that equal pages are apart, and
 * where one was released and stored anew.
 */
export interface Named {
  readonly identifier: string;
  readonly holdings: readonly Holding[];
}

export interface WhoPorts {
  readonly state: LedgerState;
  readonly index: PageIndex;
  readonly column: IdentifierColumn;
}

/** The content of an identifier, or of its first digits where they mean one. */
export async function contentNamed(
  { state, index, column }: WhoPorts,
  text: string,
): Promise<Either<Refusal, Named>> {
  const asked = text.toLowerCase();
  if (!/^[0-9a-f]+$/u.test(asked) || asked.length < DIGITS_MIN || asked.length > DIGITS_MAX)
    return either.left({ _tag: 'BadIdentifier', text });
  const prefix = fromHex(asked.slice(0, asked.length >= 16 ? 16 : DIGITS_MIN));
  const found = new Map<string, Set<Holding>>();
  for (const content of await index.contentsBeginning(prefix)) {
    const bytes = column.read(content);
    if (bytes === null) continue;
    const identifier = toHex(bytes);
    if (!identifier.startsWith(asked)) continue;
    const holdings = found.get(identifier) ?? new Set();
    found.set(identifier, holdings.add(state.contents.firstOf(holdingOfContent(content))));
  }
  const [first] = found;
  if (first === undefined) return either.left({ _tag: 'IdentifierUnknown', identifier: asked });
  if (found.size === 1) return either.right({ identifier: first[0], holdings: [...first[1]] });
  const among = [...found.keys()].slice(0, TOLD_MAX);
  return either.left({ _tag: 'IdentifierAmbiguous', text: asked, count: found.size, among });
}

/**
 * A page that holds one content after another without a gap, each once: of equal contents it was stored anew
 * to be held large, or small.
 */
function joined(pages: readonly HeldPage[]): readonly HeldPage[] {
  const byPage = groupedBy(pages, ({ vm, gfn }) => `${vm}/${gfn}`);
  return [...byPage.values()].flatMap((held) => {
    const one: HeldPage[] = [];
    for (const page of held.toSorted((a, b) => a.from - b.from)) {
      const before = one.at(-1);
      if (before?.to === page.from) one[one.length - 1] = { ...before, to: page.to };
      else one.push(page);
    }
    return one;
  });
}

/**
 * Who holds or held one of equal contents, in the order of the captures; at a moment, who holds it there. A
 * page that went from one to another of them held it all along.
 */
export async function holdersOf(
  { state, index }: Pick<WhoPorts, 'state' | 'index'>,
  holdings: readonly Holding[],
  moment: Moment | null,
): Promise<readonly Holder[]> {
  const { catalogue } = state;
  const held = [...(await index.holders(holdings)).values()].flat();
  const pages = holdings.length > 1 ? joined(held) : held;
  const holders: (Holder & { readonly position: Position })[] = [];
  for (const page of pages) {
    if (moment !== null && !isHeldAt(catalogue, page, moment)) continue;
    const entry = catalogue.vms.get(page.vm);
    const position = startOf(catalogue, page);
    if (entry === undefined || position === undefined) continue;
    const group = entry.state.registered?.group ?? '';
    const retired = page.to === null ? entry.retired : null;
    const timeOf = (capture: number): number | null => entry.capture(capture)?.timeMs ?? null;
    holders.push({
      ...page,
      group,
      retiredAt: retired?.position ?? null,
      fromTimeMs: timeOf(page.from),
      toTimeMs: page.to === null ? (retired?.timeMs ?? null) : timeOf(page.to),
      position,
    });
  }
  const order = (a: (typeof holders)[number], b: (typeof holders)[number]): number =>
    a.position === b.position ? a.gfn - b.gfn : a.position < b.position ? -1 : 1;
  return holders.toSorted(order).map(({ position: _position, ...holder }) => holder);
}
