// Metadata contexts: what may be asked of an export's extents. `base:allocation` says where it is zeros;
// `pageledger:changed:POINT` says what differs from what the VM held at another point.

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
import { runsOf, type Stretch } from './stretch.ts';

/** A context that a client set: what it says of each page. */
export interface Context {
  readonly id: number;
  readonly name: string;
  readonly flagsOf: (page: number) => number;
}

/** The contexts that a query of a list means; of an empty query all that are shown. */
export function contextsNamed(query: string, { history }: OpenExport): readonly string[] {
  if (history === null) return [ALLOCATION].filter((name) => name.startsWith(query));
  const { entry, row } = history.point;
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

/** Whether there is a context of this name; of one that names a point that is not there it is thrown. */
export function hasContext(name: string, { history }: OpenExport): boolean {
  if (name === ALLOCATION) return true;
  if (history === null || !name.startsWith(CHANGED)) return false;
  history.locate(name.slice(CHANGED.length));
  return true;
}

/** The context of a name; null: there is none of that name. */
export async function openContext(
  of: { readonly id: number; readonly name: string },
  { served, history }: OpenExport,
): Promise<Context | null> {
  const { name } = of;
  if (name === ALLOCATION) {
    const empty = ALLOCATION_FLAG.hole | ALLOCATION_FLAG.zero;
    return { ...of, flagsOf: (page) => (served.isZero(page) ? empty : 0) };
  }
  if (history === null || !name.startsWith(CHANGED)) return null;
  const differs = await history.changedFrom(name.slice(CHANGED.length));
  return { ...of, flagsOf: (page) => (differs[page] === 0 ? 0 : CHANGED_FLAG) };
}

/** What extents are asked of, and how many an answer may have. */
export interface ExtentsAsked extends Stretch {
  readonly isOneEnough: boolean;
}

/** What a context says of a stretch, from its beginning on: all of it, or as much as one answer takes. */
export function extentsOf({ flagsOf }: Context, asked: ExtentsAsked): readonly Extent[] {
  const most = asked.isOneEnough ? 1 : EXTENTS_MAX;
  const extents: Extent[] = [];
  for (const { lengthBytes, said: flags } of runsOf(asked, flagsOf)) {
    extents.push({ lengthBytes, flags });
    if (extents.length === most) break;
  }
  return extents;
}
