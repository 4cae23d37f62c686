// The memory of hosts that run clones: what each clone has, where it had it from, and which pages of the
// files that they map lie in their hosts' memory. Folded from the clones' events alone. The kernel fetches,
// and the kernel drops: what is looked at now and then is which pages a clone has, and what of that is
// news is decided here.
//
// Invariants: what a clone has of its file is in its host's memory, and none of it is its own; a page that
// is fetched from the server was not in its host's memory before; a file that no clone maps any more has
// nothing there.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventOf } from './events/control.ts';
import { unionOf } from './values/capture-ranges.ts';
import {
  differenceOf,
  intersectionOf,
  NO_PAGES,
  pagesIn,
  type PageRanges,
} from './values/page-ranges.ts';

export type HostMemoryEvent = EventOf<
  | 'PointLeased'
  | 'PageFetched'
  | 'PageEvicted'
  | 'CloneParked'
  | 'CloneWoken'
  | 'CloneEnded'
  | 'LeaseEnded'
>;

/** What clones map: a file of a host, and the point that lies there. */
export type BaseFile = EventOf<'PageFetched'>['data']['base'];

/** Where a clone has a page from: its own storage, what its host has, or the server of its file. */
export type PageSource = 'own' | 'host' | 'server';

/** Where a page comes from: who wrote it last decides, then who has it. */
export const sourceOf = (page: {
  /** Whether the clone wrote it, or was sent it. */
  readonly isOwn: boolean;
  /** Whether another clone's reading has brought it into the host's memory. */
  readonly isOnHost: boolean;
}): PageSource => (page.isOwn ? 'own' : page.isOnHost ? 'host' : 'server');

/** Pages by where they come from. */
export type SourcedPages = Readonly<Record<PageSource, PageRanges>>;

/** The same of many pages: of those that a clone has, which are its own, and which the host had. */
export function sourcesOf(of: {
  readonly pages: PageRanges;
  readonly own: PageRanges;
  readonly onHost: PageRanges;
}): SourcedPages {
  const read = differenceOf(of.pages, of.own);
  return {
    own: intersectionOf(of.pages, of.own),
    host: intersectionOf(read, of.onHost),
    server: differenceOf(read, of.onHost),
  };
}

/** Pages that were fetched, and that left, each as often as it was. */
export interface FetchCounts {
  readonly server: number;
  readonly host: number;
  /** Pages of the file that left the host's memory. */
  readonly evicted: number;
  /** Of those from the server, those that had left before. */
  readonly refetched: number;
}

const NOTHING_FETCHED: FetchCounts = { server: 0, host: 0, evicted: 0, refetched: 0 };

export const sumOfFetches = (counts: Iterable<FetchCounts>): FetchCounts =>
  Array.from(counts).reduce(fetchesOf, NOTHING_FETCHED);

/** What a clone that runs has. */
export interface CloneMemory {
  /** Where its process is. */
  readonly host: string;
  /** The file that it maps, by its key; null: nothing was said of it yet. */
  readonly file: string | null;
  /** Pages that it has of its file. */
  readonly held: PageRanges;
  /** Pages of its own. */
  readonly own: PageRanges;
  readonly counts: FetchCounts;
}

/** What of a file lies in a host's memory. */
export interface FileMemory {
  readonly held: PageRanges;
  /** Pages that lay there before, and do not now. */
  readonly gone: PageRanges;
}

/** All that a host's clones did, those that have ended too. */
export interface HostCounts extends FetchCounts {
  readonly started: number;
  readonly parked: number;
  readonly woken: number;
  readonly ended: number;
  /** Pages of their own that clones had which were parked: they are in captures. */
  readonly writtenOut: number;
}

const NOTHING_DONE: HostCounts = {
  ...NOTHING_FETCHED,
  started: 0,
  parked: 0,
  woken: 0,
  ended: 0,
  writtenOut: 0,
};

export interface HostMemory {
  /** By the lease that a clone is named by. */
  readonly clones: ReadonlyMap<string, CloneMemory>;
  /** By `fileKey`. */
  readonly files: ReadonlyMap<string, FileMemory>;
  /** By the name of the host. */
  readonly hosts: ReadonlyMap<string, HostCounts>;
}

/** What a clone that runs has fetched so far. */
export const countsOfClone = ({ clones }: HostMemory, clone: string): FetchCounts =>
  clones.get(clone)?.counts ?? NOTHING_FETCHED;

export const initialHostMemory: HostMemory = {
  clones: new Map(),
  files: new Map(),
  hosts: new Map(),
};

const NOT_IN_MEMORY: FileMemory = { held: NO_PAGES, gone: NO_PAGES };

/** What a file is known by among all hosts: no name of a host has a space. */
export const fileKey = (host: string, { vm, capture, file }: BaseFile): string =>
  `${host} ${vm}@${capture} ${file}`;

/** A clone as it was seen. */
export interface SeenClone {
  /** Its lease. */
  readonly clone: string;
  readonly base: BaseFile;
  /** Pages that are mapped in its process and are not its own. */
  readonly mapped: PageRanges;
  readonly own: PageRanges;
}

/** Says what clones of one master have that were looked at together. */
export interface NoteLook {
  readonly _tag: 'NoteLook';
  /** Their master's VM, in whose stream they are. */
  readonly vm: string;
  readonly seen: readonly SeenClone[];
}

/** What the host of a clone says of it elsewhere: news since it was said last, a part of them at a time. */
export interface NoteToldLook {
  readonly _tag: 'NoteToldLook';
  /** Its master's VM, in whose stream it is. */
  readonly vm: string;
  readonly clone: string;
  readonly base: BaseFile;
  /** Pages of its file that no clone of that host has any more. */
  readonly gone: PageRanges;
  /** Pages that it has of its file, and those that are its own. */
  readonly came: PageRanges;
  readonly own: PageRanges;
  /** Pages that it was made to drop. */
  readonly dropped: number;
}

/** Most ranges of a list of an event: what is more is news the next time. */
export const TOLD_RANGES_MAX = 1_024;

const told = (pages: PageRanges): PageRanges => pages.slice(0, TOLD_RANGES_MAX);

type LookEvent = EventOf<'PageFetched' | 'PageEvicted'>;

/** By file, what clones have of it that were seen together. */
function mappedTogether(
  { clones }: HostMemory,
  seen: readonly SeenClone[],
): ReadonlyMap<string, PageRanges> {
  const together = new Map<string, PageRanges>();
  for (const { clone, base, mapped } of seen) {
    const key = fileKey(clones.get(clone)!.host, base);
    together.set(key, unionOf(together.get(key) ?? NO_PAGES, mapped));
  }
  return together;
}

/** What came into a clone's memory since that was said last. */
function fetched(
  state: HostMemory,
  vm: string,
  { clone, base, mapped, own }: SeenClone,
): readonly LookEvent[] {
  const before = state.clones.get(clone)!;
  const onHost = state.files.get(fileKey(before.host, base))?.held ?? NO_PAGES;
  const news = differenceOf(mapped, before.held);
  const { server, host } = sourcesOf({ pages: news, own, onHost });
  const written = differenceOf(own, before.own);
  if (news.length === 0 && written.length === 0) return [];
  const lists = { server: told(server), host: told(host), own: told(written) };
  return [{ type: 'PageFetched', data: { vm, clone, base, ...lists } }];
}

/**
 * What looking at clones brings about: what left, then what came, of each that runs. Of clones that have a
 * page for the first time in one look, the first of the list fetched it.
 */
export const decideLook =
  (state: HostMemory) =>
  ({ vm, seen }: NoteLook): Either<never, readonly LookEvent[]> => {
    const events: LookEvent[] = [];
    let now = state;
    const say = (news: readonly LookEvent[]): void => {
      events.push(...news);
      now = news.reduce(evolveHostMemory, now);
    };
    const running = seen.filter(({ clone }) => state.clones.has(clone));
    const together = mappedTogether(state, running);
    for (const { clone, own } of running) {
      const { held, file } = now.clones.get(clone)!;
      // What it has no more, nor has any that was seen with it.
      const mapped = (file === null ? null : together.get(file)) ?? NO_PAGES;
      const pages = told(differenceOf(differenceOf(held, own), mapped));
      if (pages.length > 0) say([{ type: 'PageEvicted', data: { vm, clone, dropped: 0, pages } }]);
    }
    for (const each of running) say(fetched(now, vm, each));
    return either.right(events);
  };

/**
 * What the word of a clone's host brings about. Where pages came from is not its to say: that is what was
 * told before it. What is no news is nothing, so it may be told twice; a clone maps one file for all its life.
 */
export const decideToldLook =
  (state: HostMemory) =>
  (command: NoteToldLook): Either<never, readonly LookEvent[]> => {
    const { vm, clone, base, gone, came: mapped, own, dropped } = command;
    const before = state.clones.get(clone);
    if (before === undefined) return either.right([]);
    const key = fileKey(before.host, base);
    const isOther = before.file !== null && before.file !== key;
    const held = before.file === null ? NO_PAGES : (state.files.get(key)?.held ?? NO_PAGES);
    const pages = isOther ? NO_PAGES : told(differenceOf(intersectionOf(gone, held), before.own));
    const left: LookEvent[] = [];
    if (dropped > 0) left.push({ type: 'PageEvicted', data: { vm, clone, dropped, pages: [] } });
    if (pages.length > 0)
      left.push({ type: 'PageEvicted', data: { vm, clone, dropped: 0, pages } });
    if (isOther) return either.right(left);
    const now = left.reduce(evolveHostMemory, state);
    return either.right([...left, ...fetched(now, vm, { clone, base, mapped, own })]);
  };

function fetchesOf(counts: FetchCounts, more: Partial<FetchCounts>): FetchCounts {
  const { server = 0, host = 0, evicted = 0, refetched = 0 } = more;
  return {
    server: counts.server + server,
    host: counts.host + host,
    evicted: counts.evicted + evicted,
    refetched: counts.refetched + refetched,
  };
}

/** Counts more of what a host's clones did. */
function counted(state: HostMemory, host: string, more: Partial<HostCounts>): HostMemory {
  const counts = state.hosts.get(host) ?? NOTHING_DONE;
  const hosts = new Map(state.hosts).set(host, {
    ...fetchesOf(counts, more),
    started: counts.started + (more.started ?? 0),
    parked: counts.parked + (more.parked ?? 0),
    woken: counts.woken + (more.woken ?? 0),
    ended: counts.ended + (more.ended ?? 0),
    writtenOut: counts.writtenOut + (more.writtenOut ?? 0),
  });
  return { ...state, hosts };
}

/** A clone's memory, and that of its file, after a change that is counted for both it and its host. */
function changed(
  state: HostMemory,
  clone: string,
  to: {
    readonly clone: CloneMemory;
    readonly file: FileMemory;
    readonly more: Partial<FetchCounts>;
  },
): HostMemory {
  const { host, file } = to.clone;
  const counts = fetchesOf(to.clone.counts, to.more);
  const after = {
    ...state,
    clones: new Map(state.clones).set(clone, { ...to.clone, counts }),
    files: file === null ? state.files : new Map(state.files).set(file, to.file),
  };
  return counted(after, host, to.more);
}

function afterFetch(state: HostMemory, { data }: EventOf<'PageFetched'>): HostMemory {
  const { clone, base, server, host, own } = data;
  const before = state.clones.get(clone);
  if (before === undefined) return state;
  const key = fileKey(before.host, base);
  const file = state.files.get(key) ?? NOT_IN_MEMORY;
  const read = unionOf(server, host);
  const more = {
    server: pagesIn(server),
    host: pagesIn(host),
    refetched: pagesIn(intersectionOf(server, file.gone)),
  };
  return changed(state, clone, {
    clone: {
      ...before,
      file: key,
      held: differenceOf(unionOf(before.held, read), own),
      own: differenceOf(unionOf(before.own, own), read),
    },
    file: { held: unionOf(file.held, read), gone: differenceOf(file.gone, read) },
    more,
  });
}

/** A page that leaves a host's memory leaves it for all clones that map the file. */
function afterEviction(state: HostMemory, { data }: EventOf<'PageEvicted'>): HostMemory {
  const { clone, pages } = data;
  const before = state.clones.get(clone);
  if (before === undefined || before.file === null || pages.length === 0) return state;
  const file = state.files.get(before.file) ?? NOT_IN_MEMORY;
  const left = intersectionOf(pages, file.held);
  const clones = new Map(
    Array.from(state.clones, ([id, each]) => {
      const isOver = each.file === before.file;
      return [id, isOver ? { ...each, held: differenceOf(each.held, pages) } : each] as const;
    }),
  );
  return changed({ ...state, clones }, clone, {
    clone: clones.get(clone)!,
    file: { held: differenceOf(file.held, pages), gone: unionOf(file.gone, left) },
    more: { evicted: pagesIn(left) },
  });
}

/** The memory of hosts without a clone; a file that nobody maps any more goes with the last one. */
function without(state: HostMemory, clone: string, more: Partial<HostCounts>): HostMemory {
  const before = state.clones.get(clone);
  if (before === undefined) return state;
  const clones = new Map(state.clones);
  clones.delete(clone);
  const isMapped = Array.from(clones.values()).some(({ file }) => file === before.file);
  const files = new Map(state.files);
  if (before.file !== null && !isMapped) files.delete(before.file);
  return counted({ ...state, clones, files }, before.host, more);
}

/** The memory of hosts after an event. Clones whose beginning was not met are not told of. */
export function evolveHostMemory(state: HostMemory, event: HostMemoryEvent): HostMemory {
  switch (event.type) {
    case 'PointLeased': {
      const { lease, kind, holder } = event.data;
      if (kind !== 'clone') return state;
      const { host } = holder;
      const begun = { host, file: null, held: NO_PAGES, own: NO_PAGES, counts: NOTHING_FETCHED };
      const clones = new Map(state.clones).set(lease, begun);
      return counted({ ...state, clones }, host, { started: 1 });
    }
    case 'PageFetched':
      return afterFetch(state, event);
    case 'PageEvicted':
      return afterEviction(state, event);
    case 'CloneParked': {
      const { clone, privatePages } = event.data;
      return without(state, clone, { parked: 1, ended: 1, writtenOut: privatePages });
    }
    case 'CloneWoken': {
      const host = state.clones.get(event.data.lease)?.host;
      return host === undefined ? state : counted(state, host, { woken: 1 });
    }
    case 'CloneEnded':
      return without(state, event.data.clone, { ended: 1 });
    case 'LeaseEnded':
      return without(state, event.data.lease, { ended: 1 });
    default:
      return event satisfies never;
  }
}
