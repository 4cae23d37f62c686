// A VM's past out of a ledger: memory at each kept capture, and when each frame was written, both from
// the page index. So a moment is looked at without the page table of all its memory, which matters where
// thousands of them are.

import type { GuestPages } from '../../../domain/ports/guest-pages.ts';
import type { Past } from '../../../domain/ports/past.ts';
import type { PageReader } from '../../../domain/use-cases/pages/page-reader.ts';
import { UNKNOWN, UNTOLD, type Holding } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { RecentMap } from '../../../domain/values/recent-map.ts';
import { lastWhere } from '../../../domain/values/sorted-search.ts';
import { unknownWritten } from '../../../projections/models/capture-rows.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { VersionRecord } from '../../../projections/page-index/recent-events.ts';
import { FrameMap } from '../guest/frame-map.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { pageIndexOf } from '../questions/pages.ts';
import { PointMemory } from '../guest/point-memory.ts';

/** Pages that are kept, by what they hold: 16 MiB. */
const KEPT_PAGES_MAX = 4096;
/** Pages whose versions are kept. */
const KEPT_VERSIONS_MAX = 2 ** 16;
/** Writes of frames that are kept: of a frame there may be one for each capture. */
const KEPT_WRITES_MAX = 2 ** 20;
/** Captures whose memory is kept: what is found out about it is kept with it. */
const KEPT_MEMORIES_MAX = 4;
/** Pages of which it is looked up since when anything is known of them. */
const LATE_PAGES_MAX = 2 ** 16;

/** Which page each frame is, from a capture on. */
interface MapPeriod {
  readonly from: number;
  readonly map: FrameMap;
}

/** What of a VM was taken in: where it is the same, nothing that was recorded since is of this past. */
interface Taken {
  /** How far the log was read then. */
  readonly next: bigint;
  readonly rows: VmEntry['rows'];
  readonly captures: number;
  readonly maps: number;
  readonly points: VmEntry['points'];
}

export class LedgerPast implements Past {
  readonly #ledger: Ledger;
  readonly #vm: string;
  readonly #reader: PageReader;
  readonly #pages = new RecentMap<Holding, Uint8Array>({ max: KEPT_PAGES_MAX });
  readonly #versions = new RecentMap<number, readonly VersionRecord[]>({ max: KEPT_VERSIONS_MAX });
  /** When frames were written: a search asks for the same ones at each place on its way. */
  readonly #writes = new RecentMap<number, readonly number[]>({
    max: KEPT_WRITES_MAX,
    weigh: ({ length }) => length + 1,
  });
  #entry: VmEntry;
  #moments: readonly number[] = [];
  #periods: readonly MapPeriod[] = [];
  #taken: Taken | null = null;
  readonly #memories = new RecentMap<number, GuestPages>({ max: KEPT_MEMORIES_MAX });
  /**
   * Pages that were not known from their first capture on, and since which one they are; null: what
   * pages held is not known by their versions alone.
   */
  #knownSince: ReadonlyMap<number, number> | null = null;

  private constructor(ledger: Ledger, entry: VmEntry, reader: PageReader) {
    this.#ledger = ledger;
    this.#vm = entry.vm;
    this.#entry = entry;
    this.#reader = reader;
  }

  /** The past of a VM up to now. */
  static async open(ledger: Ledger, entry: VmEntry): Promise<LedgerPast> {
    const past = new LedgerPast(ledger, entry, await ledger.pageReader());
    await past.#take();
    return past;
  }

  get entry(): VmEntry {
    return this.#entry;
  }

  get moments(): readonly number[] {
    return this.#moments;
  }

  /**
   * Takes in what was recorded, and what was forgotten, since. Events of other VMs, and those of this one
   * that change neither its captures nor its memory map, leave all that is known as it is.
   */
  async catchUp(): Promise<void> {
    await this.#ledger.state.catchUp({ heavy: false });
    const { next } = this.#ledger.state;
    if (next === this.#taken?.next) return;
    if (!this.#isSame()) {
      await this.#take();
      return;
    }
    this.#taken = { ...this.#taken!, next, points: this.#entry.points };
    // A point that was opened by its page table reads where its pages lay then.
    if (this.#knownSince === null) this.#memories.clear();
  }

  /** Whether the VM's captures, those of them that are kept, and its memory maps are those that were taken. */
  #isSame(): boolean {
    const entry = this.#ledger.vm(this.#vm);
    const taken = this.#taken;
    if (taken === null || entry !== this.#entry) return false;
    const { rows, maps, points } = entry;
    if (rows !== taken.rows || rows.length !== taken.captures || maps.length !== taken.maps)
      return false;
    if (points === taken.points) return true;
    const kept = entry.keptCaptures();
    return (
      kept.length === this.#moments.length &&
      kept.every(({ capture }, i) => capture === this.#moments[i])
    );
  }

  async #take(): Promise<void> {
    const entry = this.#ledger.vm(this.#vm);
    const { rows, maps, points } = entry;
    const { next } = this.#ledger.state;
    const taken = { next, rows, captures: rows.length, maps: maps.length, points };
    this.#taken = null;
    this.#entry = entry;
    this.#versions.clear();
    this.#writes.clear();
    const kept = entry.keptCaptures();
    this.#moments = kept.map(({ capture }) => capture);
    this.#periods = maps.map(({ capture: from, memoryMap }) => ({
      from,
      map: new FrameMap(memoryMap),
    }));
    this.#memories.clear();
    const isWhole = entry.captures.every((row) => !row.isWiped && unknownWritten(row) === 0);
    this.#knownSince = isWhole && kept.length > 0 ? await this.#latePages() : null;
    this.#taken = taken;
  }

  /** Pages that came to be memory without a write, and the first write of each; null: they are too many. */
  async #latePages(): Promise<ReadonlyMap<number, number> | null> {
    const late = new Set<number>();
    const first = this.#moments[0]!;
    for (const { from } of this.#periods) {
      const row = this.#entry.captures.find(({ capture }) => capture >= Math.max(from, first));
      if (row === undefined) continue;
      const table = await this.#tableAt(row.capture);
      if (table.includes(UNTOLD)) return null;
      for (let gfn = table.indexOf(UNKNOWN); gfn >= 0; gfn = table.indexOf(UNKNOWN, gfn + 1))
        late.add(gfn);
    }
    const since = new Map<number, number>();
    if (late.size === 0) return since;
    const last = await this.#tableAt(this.#moments.at(-1)!);
    let asked = 0;
    for (const gfn of late) {
      if (last[gfn] === UNKNOWN) {
        since.set(gfn, Infinity);
        continue;
      }
      asked += 1;
      if (asked > LATE_PAGES_MAX) return null;
      const [version] = await this.#versionsOf(gfn);
      since.set(gfn, version?.capture ?? Infinity);
    }
    return since;
  }

  #tableAt(capture: number): Promise<Uint32Array> {
    const { tables, contents } = this.#ledger.state;
    return tables.at(this.#entry, contents, this.#entry.capture(capture)!);
  }

  async #versionsOf(gfn: number): Promise<readonly VersionRecord[]> {
    const kept = this.#versions.get(gfn);
    if (kept !== undefined) return kept;
    const versions = await pageIndexOf(this.#ledger).versions(this.#vm, gfn);
    this.#versions.set(gfn, versions);
    return versions;
  }

  async writesOf(frame: number): Promise<readonly number[]> {
    const kept = this.#writes.get(frame);
    if (kept !== undefined) return kept;
    const writes = await this.#findWrites(frame);
    this.#writes.set(frame, writes);
    return writes;
  }

  async #findWrites(frame: number): Promise<readonly number[]> {
    const writes: number[] =
      this.#knownSince !== null
        ? []
        : this.#entry.captures.filter(({ isWiped }) => isWiped).map(({ capture }) => capture);
    let before: number | null = null;
    for (const [i, { from, map }] of this.#periods.entries()) {
      const to = this.#periods[i + 1]?.from ?? Infinity;
      const gfn = map.gfnOf(frame);
      if (gfn !== before) writes.push(from);
      before = gfn;
      if (gfn === null) continue;
      for (const { capture } of await this.#versionsOf(gfn))
        if (capture >= from && capture < to) writes.push(capture);
    }
    return [...new Set(writes)].toSorted((a, b) => a - b);
  }

  async #holdingAt(gfn: number, capture: number): Promise<Holding> {
    const versions = await this.#versionsOf(gfn);
    const at = lastWhere(versions.length, (i) => versions[i]!.capture <= capture);
    return versions[at]?.holding ?? UNKNOWN;
  }

  async #pagesOf(gfns: readonly number[], capture: number): Promise<Uint8Array> {
    const room = new Uint8Array(gfns.length * PAGE_BYTES);
    const missing: { readonly at: number; readonly holding: Holding }[] = [];
    for (const [i, gfn] of gfns.entries()) {
      const holding = await this.#holdingAt(gfn, capture);
      const kept = this.#pages.get(holding);
      if (kept === undefined) missing.push({ at: i * PAGE_BYTES, holding });
      else room.set(kept, i * PAGE_BYTES);
    }
    if (missing.length === 0) return room;
    const read = await this.#reader.read(
      missing.map(({ holding }) => holding),
      new Uint8Array(missing.length * PAGE_BYTES),
    );
    for (const [i, { at, holding }] of missing.entries()) {
      const page = read.slice(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      room.set(page, at);
      this.#pages.set(holding, page);
    }
    return room;
  }

  async memoryAt(capture: number): Promise<GuestPages> {
    const kept = this.#memories.get(capture);
    if (kept !== undefined) return kept;
    const memory = await this.#memoryAt(capture);
    this.#memories.set(capture, memory);
    return memory;
  }

  #mapAt(capture: number): FrameMap {
    const period = this.#periods.findLast(({ from }) => from <= capture);
    return period?.map ?? this.#periods[0]!.map;
  }

  /** The page that a frame was; null: none. */
  gfnOf(frame: number, capture: number): number | null {
    return this.#mapAt(capture).gfnOf(frame);
  }

  async #memoryAt(capture: number): Promise<GuestPages> {
    const row = this.#entry.capture(capture)!;
    const knownSince = this.#knownSince;
    if (knownSince === null) return PointMemory.open(this.#ledger, { entry: this.#entry, row });
    const map = this.#mapAt(capture);
    return {
      frames: map.frames,
      has: (frame) => {
        const gfn = map.gfnOf(frame);
        return gfn !== null && (knownSince.get(gfn) ?? 0) <= capture;
      },
      read: (frames) =>
        this.#pagesOf(
          frames.map((frame) => map.gfnOf(frame)!),
          capture,
        ),
    };
  }
}
