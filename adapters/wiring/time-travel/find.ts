// Where bytes stood, over the histories of all VMs or of one: every distinct page of the ledger is read
// once, as it lies in its store.

import { PUBLIC_PATTERNS } from '../../../domain/patterns/index.ts';
import { accepted } from '../../../domain/ports/run.ts';
import {
  ByteFinder,
  type FindPorts,
  type FoundPlace,
  type PageSpan,
  type Span,
  type StoredPages,
} from '../../../domain/use-cases/travel/find.ts';
import { needleOf } from '../../../domain/use-cases/travel/needle.ts';
import { UNKNOWN, ZERO, isInPack, isTold, type Holding } from '../../../domain/values/holding.ts';
import { slotsOf } from '../../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { RecentMap } from '../../../domain/values/recent-map.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import { isRetiredAt, rowAt } from '../../../projections/questions/moment.ts';
import type { HeldPage } from '../../../projections/page-index/page-index.ts';
import { FrameMap } from '../guest/frame-map.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { momentOf } from '../questions/moments.ts';
import { pageIndexOf } from '../questions/pages.ts';

/** Pages that are read as one. */
const BATCH_PAGES = 2 ** 15;
/** Pages whose versions are kept: those beside one page are asked for again and again. */
const KEPT_VERSIONS_MAX = 2 ** 14;

/** Bytes that are looked for, at most a page of them. */
export interface FindRequest {
  readonly bytes: Uint8Array;
  /** Null: all VMs. */
  readonly vm: VmEntry | null;
  /** Points between which bytes stood there, at least for a time; null: the first, or the last. */
  readonly from: string | null;
  readonly to: string | null;
  readonly signal?: AbortSignal;
  readonly onProgress?: (pages: number, of: number) => void;
}

/** Where bytes stood, and when by the clock. */
export interface TimedPlace extends FoundPlace {
  readonly fromMs: number | null;
  /** Null: they stand there. */
  readonly toMs: number | null;
}

/** Where bytes stood, and what could not be looked through. */
export interface Found {
  /** Oldest first. */
  readonly places: readonly TimedPlace[];
  /** Distinct pages that forgotten captures had and that are no longer there. */
  readonly gone: number;
  /** Distinct pages that are damaged. */
  readonly lost: number;
}

/** The captures of a VM between two points, the last one among them; null: it has none there. */
function windowOf(ledger: Ledger, entry: VmEntry, request: FindRequest): Span | null {
  const { vm, from, to } = request;
  const captureAt = (text: string): number | null => {
    if (vm !== null) return ledger.locate(entry, text).capture;
    return rowAt(entry, momentOf(ledger, text))?.capture ?? null;
  };
  if (vm === null && from !== null && isRetiredAt(entry, momentOf(ledger, from))) return null;
  const first = from === null ? null : captureAt(from);
  const last = to === null ? Infinity : captureAt(to);
  return last === null ? null : { from: first ?? 0, to: last + 1 };
}

/** One search: what is read for it, and what was not to be had. */
class Search implements FindPorts {
  readonly #ledger: Ledger;
  readonly #request: FindRequest;
  readonly #windows = new Map<string, Span>();
  readonly #maps = new Map<string, readonly (Span & { readonly map: FrameMap })[]>();
  readonly #versions = new RecentMap<string, readonly (Span & { readonly holding: Holding })[]>({
    max: KEPT_VERSIONS_MAX,
  });
  #read = 0;
  readonly #lost = new Set<Holding>();

  constructor(ledger: Ledger, request: FindRequest) {
    this.#ledger = ledger;
    this.#request = request;
    for (const entry of request.vm === null ? ledger.vms() : [request.vm]) {
      const window = windowOf(ledger, entry, request);
      if (window !== null) this.#windows.set(entry.vm, window);
    }
  }

  get lost(): number {
    return this.#lost.size;
  }

  /** Distinct pages that were let go of. */
  gone(): number {
    const { contents } = this.#ledger.state;
    let gone = 0;
    for (const pack of contents.packs)
      for (let slot = 0; slot < slotsOf(pack.blocks); slot += 1) {
        const holding = contents.holdingAt(pack, slot);
        if (contents.firstOf(holding) === holding && contents.isReleased(holding)) gone += 1;
      }
    return gone;
  }

  indexOf = (bytes: Uint8Array, needle: Uint8Array, from: number): number =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(needle, from);

  /** All that is there, each once, as it lies: what is made without a store comes first. */
  *#stored(): Generator<Holding> {
    const { contents, catalogue } = this.#ledger.state;
    for (let pattern = 1; pattern <= PUBLIC_PATTERNS.length; pattern += 1) yield pattern;
    for (const { number } of catalogue.facts.patterns) yield number;
    for (const pack of contents.all) {
      if (!contents.isNeeded(pack)) continue;
      for (let slot = 0; slot < slotsOf(pack.blocks); slot += 1) {
        const holding = contents.holdingAt(pack, slot);
        if (contents.liesAt(pack, slot) && contents.firstOf(holding) === holding) yield holding;
      }
    }
  }

  /** Some of them, in the order in which they lie. */
  #ordered(holdings: readonly Holding[]): readonly Holding[] {
    const { contents } = this.#ledger.state;
    const placed = holdings
      .filter((holding) => holding !== ZERO && isTold(holding))
      .map((holding) => ({ holding, at: isInPack(holding) ? contents.placeOf(holding) : 0 }));
    const there = placed.filter(({ at }) => at >= 0).toSorted((a, b) => a.at - b.at);
    return there.map(({ holding }) => holding);
  }

  async *pages(which: readonly Holding[] | 'all'): AsyncGenerator<StoredPages> {
    if (which !== 'all' && which.includes(ZERO))
      yield { holdings: [ZERO], bytes: new Uint8Array(PAGE_BYTES) };
    let batch: Holding[] = [];
    for (const holding of which === 'all' ? this.#stored() : this.#ordered(which)) {
      batch.push(holding);
      if (batch.length < BATCH_PAGES) continue;
      yield* this.#batch(batch);
      batch = [];
    }
    if (batch.length > 0) yield* this.#batch(batch);
  }

  async *#batch(batch: readonly Holding[]): AsyncGenerator<StoredPages> {
    const { signal, onProgress } = this.#request;
    const table = Uint32Array.from(batch);
    const onLost = (pages: Uint32Array): void => {
      for (const page of pages) this.#lost.add(table[page]!);
    };
    const reader = await this.#ledger.pageReader();
    const request = { table, label: 'the ledger', onLost };
    for await (const { firstPage, pages } of reader.inOrder(request)) {
      signal?.throwIfAborted();
      const end = firstPage + pages.length / PAGE_BYTES;
      yield { holdings: table.subarray(firstPage, end), bytes: pages };
      this.#read += end - firstPage;
      onProgress?.(this.#read, this.#ledger.state.contents.count);
    }
  }

  async holders(holdings: readonly Holding[]): Promise<ReadonlyMap<Holding, readonly PageSpan[]>> {
    const held = await pageIndexOf(this.#ledger).holders(holdings);
    const asked = ({ vm, from, to }: HeldPage): boolean => {
      const window = this.#windows.get(vm);
      return window !== undefined && from < window.to && (to ?? Infinity) > window.from;
    };
    return new Map(
      [...held].map(([holding, pages]) => [
        holding,
        pages.filter(asked).map((page) => ({ ...page, to: page.to ?? Infinity })),
      ]),
    );
  }

  async versions(vm: string, gfn: number) {
    this.#request.signal?.throwIfAborted();
    const key = `${gfn} ${vm}`;
    const kept = this.#versions.get(key);
    if (kept !== undefined) return kept;
    const records = await pageIndexOf(this.#ledger).versions(vm, gfn);
    // Of what was lost nobody knows what it held.
    const wiped = this.#ledger
      .vm(vm)
      .captures.filter(({ isWiped }) => isWiped)
      .map(({ capture }) => ({ capture, holding: UNKNOWN }));
    const all = wiped.length === 0 ? records : [...wiped, ...records];
    const ordered = all.toSorted((a, b) => a.capture - b.capture);
    const { contents } = this.#ledger.state;
    const versions = ordered.map(({ capture: from, holding }, i) => {
      const to = ordered[i + 1]?.capture ?? Infinity;
      return { from, to, holding: contents.firstOf(holding) };
    });
    this.#versions.set(key, versions);
    return versions;
  }

  #mapsOf(vm: string) {
    const kept = this.#maps.get(vm);
    if (kept !== undefined) return kept;
    const { maps } = this.#ledger.vm(vm);
    const periods = maps.map(({ capture, memoryMap }, i) => ({
      from: i === 0 ? 0 : capture,
      to: maps[i + 1]?.capture ?? Infinity,
      map: new FrameMap(memoryMap),
    }));
    this.#maps.set(vm, periods);
    return periods;
  }

  neighbours({ vm, gfn }: { readonly vm: string; readonly gfn: number }, by: 1 | -1) {
    return this.#mapsOf(vm).flatMap(({ map, from, to }) => {
      const frame = map.frameOf(gfn);
      const beside = frame === null ? null : map.gfnOf(frame + by);
      return beside === null ? [] : [{ from, to, gfn: beside }];
    });
  }

  /** Only what was there between the points, told with its times, oldest first. */
  timed(places: readonly FoundPlace[]): readonly TimedPlace[] {
    const timed = places.map((place) => {
      const entry = this.#ledger.vm(place.vm);
      const timeOf = (capture: number): number | null => entry.capture(capture)?.timeMs ?? null;
      const end = place.to === Infinity ? null : timeOf(place.to);
      const toMs = end ?? entry.retired?.timeMs ?? null;
      return { ...place, fromMs: timeOf(place.from), toMs };
    });
    return timed.toSorted((a, b) => (a.fromMs ?? 0) - (b.fromMs ?? 0));
  }

  isAsked = ({ vm, from, to }: FoundPlace): boolean => {
    const window = this.#windows.get(vm);
    return window !== undefined && from < window.to && to > window.from;
  };
}

/**
 * Where bytes stood. Bytes of a page of which nothing else is known any more are not found: how many
 * there are is told. Refused where the bytes are nothing to look for, or are at too many places.
 */
export async function findBytes(ledger: Ledger, request: FindRequest): Promise<Found> {
  const needle = accepted(needleOf(request.bytes));
  const search = new Search(ledger, request);
  const places = await new ByteFinder(search, needle).find();
  return {
    places: search.timed(places.filter(search.isAsked)),
    gone: search.gone(),
    lost: search.lost,
  };
}
