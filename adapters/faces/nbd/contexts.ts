// Metadata contexts: what may be asked of an export's extents. `base:allocation` says where it is zeros;
// `pageledger:changed:POINT` says what differs from what the VM held at another point.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { OpenExport } from './exports.ts';
import {
  ALLOCATION,
  ALLOCATION_FLAG,
  CHANGED,
  CHANGED_FLAG,
  CONTEXTS_MAX,
  EXTENTS_MAX,
} from './protocol.ts';
import type { Extent } from './replies.ts';

/** A context that a client set: what it says of each page. */
export interface Context {
  readonly id: number;
  readonly name: string;
  readonly flagsOf: (page: number) => number;
}

/** The contexts that a query of a list means; of an empty query all that are shown. */
export function contextsNamed(query: string, { served }: OpenExport): readonly string[] {
  const { entry, row } = served.point;
  const before = entry.captures.filter(({ capture }) => capture < row.capture).at(-1);
  const shown = [
    ALLOCATION,
    ...(before === undefined ? [] : [`${CHANGED}@${before.capture}`]),
    ...entry.checkpoints.map(({ name }) => `${CHANGED}cp:${name}`),
  ].slice(0, CONTEXTS_MAX);
  if (query === '') return shown;
  return query.endsWith(':') && !query.startsWith(`${CHANGED}cp:`)
    ? shown.filter((name) => name.startsWith(query))
    : [query];
}

/** The context of a name; null: there is none of that name. */
export async function openContext(
  of: { readonly id: number; readonly name: string },
  { served }: OpenExport,
): Promise<Context | null> {
  const { name } = of;
  if (name === ALLOCATION) {
    const empty = ALLOCATION_FLAG.hole | ALLOCATION_FLAG.zero;
    return { ...of, flagsOf: (page) => (served.isZero(page) ? empty : 0) };
  }
  if (!name.startsWith(CHANGED)) return null;
  const differs = await served.changedFrom(name.slice(CHANGED.length));
  return { ...of, flagsOf: (page) => (differs[page] === 0 ? 0 : CHANGED_FLAG) };
}

/** Where an answer about extents begins and ends, and how many it may have. */
export interface ExtentsAsked {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly isOneEnough: boolean;
}

/** What a context says of a stretch, from its beginning on: all of it, or as much as one answer takes. */
export function extentsOf({ flagsOf }: Context, asked: ExtentsAsked): readonly Extent[] {
  const { offsetBytes, lengthBytes, isOneEnough } = asked;
  const most = isOneEnough ? 1 : EXTENTS_MAX;
  const end = offsetBytes + lengthBytes;
  const extents: Extent[] = [];
  for (let at = offsetBytes; at < end && extents.length < most;) {
    let page = Math.floor(at / PAGE_BYTES);
    const flags = flagsOf(page);
    while (page * PAGE_BYTES < end && flagsOf(page) === flags) page += 1;
    const next = Math.min(end, page * PAGE_BYTES);
    extents.push({ lengthBytes: next - at, flags });
    at = next;
  }
  return extents;
}
