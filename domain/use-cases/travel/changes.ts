// When something that can be read out of a guest's memory was another: found from what was written, not
// by looking at each capture. Whatever is looked at, the pages that the looking touched are noted, those
// of page tables and of lists on the way too; until one of them was written the answer was the same.

import type { GuestPages } from '../../ports/guest-pages.ts';
import type { Past } from '../../ports/past.ts';
import { NotedPages } from '../../guest/noted-pages.ts';
import { lastWhere } from '../../values/sorted-search.ts';

/** Reads something out of memory; `capture` says at which moment. It has to read nothing else. */
export type Look<A> = (memory: GuestPages, capture: number) => Promise<A>;

/** What was seen at a moment. */
export interface Seen<A> {
  /** The moment's index among those of the past. */
  readonly moment: number;
  readonly value: A;
  /** The frames that it came from. */
  readonly frames: ReadonlySet<number>;
}

/** Two moments, one after the other, at which something was not the same. */
export interface Changed<A> {
  readonly before: Seen<A>;
  readonly after: Seen<A>;
}

export interface Watched<A> {
  readonly past: Past;
  readonly look: Look<A>;
  readonly isSame: (a: A, b: A) => boolean;
  /**
   * Whether a search for a change goes on past a capture where looking failed so, as what was there
   * is lost; absent: it never does.
   */
  readonly passesOver?: (thrown: unknown, capture: number) => boolean;
}

/** Memory at a capture, and the frames of it that are asked about. */
async function notedAt(past: Past, capture: number) {
  const frames = new Set<number>();
  const memory = new NotedPages(await past.memoryAt(capture), (frame) => frames.add(frame));
  return { memory, frames };
}

/** The first moment whose capture is one, or comes after it; past the last: none does. */
export const firstFrom = (moments: readonly number[], capture: number): number =>
  lastWhere(moments.length, (i) => moments[i]! < capture) + 1;

/** What is seen at a moment. */
export async function seeAt<A>({ past, look }: Watched<A>, moment: number): Promise<Seen<A>> {
  const capture = past.moments[moment]!;
  const { memory, frames } = await notedAt(past, capture);
  const value = await look(memory, capture);
  return { moment, value, frames };
}

/** What came of looking at a moment; null: what was there is lost, which these frames tell. */
type Tried<A> = Omit<Seen<A>, 'value'> & { readonly seen: Seen<A> | null };

async function tryAt<A>(watched: Watched<A>, moment: number): Promise<Tried<A>> {
  const { past, look, passesOver } = watched;
  const capture = past.moments[moment]!;
  const { memory, frames } = await notedAt(past, capture);
  try {
    return { moment, frames, seen: { moment, value: await look(memory, capture), frames } };
  } catch (thrown) {
    if (passesOver?.(thrown, capture) !== true) throw thrown;
    return { moment, frames, seen: null };
  }
}

/** The moment from which on, up to a moment, none of what was seen there was written. */
async function unwrittenFrom<A>(past: Past, { moment, frames }: Tried<A>): Promise<number> {
  const capture = past.moments[moment]!;
  let last = 0;
  for (const frame of frames) {
    const writes = await past.writesOf(frame);
    const at = lastWhere(writes.length, (i) => writes[i]! <= capture);
    if (at >= 0 && writes[at]! > last) last = writes[at]!;
  }
  return firstFrom(past.moments, last);
}

/** The first moment after one at which something was written of what was seen; past the last: never. */
async function writtenAfter<A>(past: Past, { moment, frames }: Tried<A>): Promise<number> {
  const { moments } = past;
  const capture = moments[moment]!;
  let first = Infinity;
  for (const frame of frames) {
    const writes = await past.writesOf(frame);
    const at = writes[lastWhere(writes.length, (i) => writes[i]! <= capture) + 1];
    if (at !== undefined && at < first) first = at;
  }
  return firstFrom(moments, first);
}

/**
 * The last change up to a moment; null: since the first moment there was none. Cost: a look for each
 * time that something was written of what is looked at. Where moments are passed over the change came
 * at one of them, or at the one behind them.
 */
export async function lastChange<A>(
  watched: Watched<A>,
  moment: number,
): Promise<Changed<A> | null> {
  let after: Seen<A> | null = null;
  for (let at = moment; ;) {
    const tried = await tryAt(watched, at);
    const from = await unwrittenFrom(watched.past, tried);
    const { seen } = tried;
    if (seen !== null && after !== null && !watched.isSame(seen.value, after.value))
      return { before: seen, after };
    if (seen !== null) after = { ...seen, moment: from };
    if (from === 0) return null;
    at = from - 1;
  }
}

/** The first change after a moment; null: up to the last moment there is none. Cost: as `lastChange`. */
export async function nextChange<A>(
  watched: Watched<A>,
  moment: number,
): Promise<Changed<A> | null> {
  let before: Seen<A> | null = null;
  for (let at = moment; at < watched.past.moments.length;) {
    const tried = await tryAt(watched, at);
    const next = await writtenAfter(watched.past, tried);
    const { seen } = tried;
    if (seen !== null && before !== null && !watched.isSame(before.value, seen.value))
      return { before, after: seen };
    if (seen !== null) before = { ...seen, moment: next - 1 };
    at = next;
  }
  return null;
}

/** What was seen first, and then each time that it was another, from a moment to another. */
export async function* valuesBetween<A>(
  watched: Watched<A>,
  { from, to }: { readonly from: number; readonly to: number },
): AsyncGenerator<Seen<A>> {
  if (from > to) return;
  yield await seeAt(watched, from);
  for (let at = from; ;) {
    const changed = await nextChange(watched, at);
    if (changed === null || changed.after.moment > to) return;
    yield changed.after;
    at = changed.after.moment;
  }
}
