// What a baseline says: the state of a fold that has come to where history is to begin, without what
// nobody needs from there on. A pack stays while anything lies in it, or did a day before the newest
// capture; while a capture that stays wrote it; and while something of it is held by a page of a table
// that stays, or used again. Of one in which nothing lies any more its numbers are told, and where what
// is kept of it went.

import type { HistoryCut } from '../../domain/history.ts';
import {
  FIRST_CONTENT,
  isContent,
  PATTERN_BASE,
  UNKNOWN,
  type Holding,
} from '../../domain/values/holding.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { assert } from '../../domain/values/assert.ts';
import { DAY_MS } from '../../domain/values/instant.ts';
import { addSlot } from '../../domain/values/slot-set.ts';
import type { AssemblerState } from '../commits.ts';
import type { PageTable } from '../table.ts';
import type { BaselineState, KeptSlots } from './baseline.ts';
import { Catalogue } from './catalogue.ts';
import type { CaptureRow, GoneCapture, VmEntry } from './vm-entry.ts';
import { catalogueText } from './catalogue-state.ts';
import { isWritten, type AnyPack, type Contents, type KnownPack } from './contents.ts';
import { writeContents, type SavedContents } from './contents-state.ts';
import type { LedgerState } from './ledger-state.ts';
import { lossesText } from './losses-state.ts';
import type { MovedSlots } from './places.ts';
import { StateWriter } from './state-bytes.ts';

/**
 * Packs that were emptied, and slots that were released, so long before the newest capture are told of
 * still: one that is under way may refer to them. Of captures that have come it is known what they do.
 */
export const RECENT_MS = DAY_MS;

export interface BaselineRequest {
  /** A fold, the heavy half too, that has come to `position`. */
  readonly state: LedgerState;
  readonly position: Position;
  readonly timeMs: number;
  /** A pack that was emptied later may have to be told of still (RECENT_MS). */
  readonly recentMs: number;
  /** Where folding goes on behind it. */
  readonly from: AssemblerState;
  readonly streams: ReadonlyMap<string, number>;
  readonly cuts: readonly HistoryCut[];
  /** What was released since then, and what was before and is used again behind the position. */
  readonly released: ReadonlySet<Holding>;
  readonly leaves: Uint8Array;
  readonly leavesTo: Position;
}

/** Most files with times ahead of the clock that are remembered of captures that are gone. */
const IMAGES_MAX = 256;

const NS_A_MS = 1_000_000n;

/** What is known of the last capture that goes, and of the files of all that are gone. */
function goneOf(entry: VmEntry, { capture, position, id, revision }: CaptureRow): GoneCapture {
  const rows = entry.captures.filter((row) => row.capture <= capture);
  const images = rows.flatMap(({ image, recordedAtMs }) =>
    image === null ? [] : [{ image, clockNs: BigInt(Math.ceil(recordedAtMs)) * NS_A_MS }],
  );
  const before = entry.gone;
  let toNs = before?.imagesToNs == null ? null : BigInt(before.imagesToNs);
  for (const { image, clockNs } of images) {
    const timeNs = BigInt(image.timeNs);
    if (timeNs <= clockNs && timeNs > (toNs ?? timeNs - 1n)) toNs = timeNs;
  }
  const all = [...(before?.images ?? []), ...images.map(({ image }) => image)];
  const later = all.filter(({ timeNs }) => toNs === null || BigInt(timeNs) > toNs);
  const imagesToNs = toNs === null ? null : String(toNs);
  return { capture, position, id, revision, imagesToNs, images: later.slice(-IMAGES_MAX) };
}

/** What holds from a capture on, of rows that each hold from theirs on. */
function since<R extends { readonly capture: number }>(rows: readonly R[], first: number): R[] {
  const at = rows.findLastIndex(({ capture }) => capture <= first);
  return rows.slice(Math.max(0, at));
}

/** Whether a VM was retired and nothing of it is left but its name: no guest is started from it any more. */
const isOver = ({ retired, gone, state }: VmEntry): boolean =>
  retired !== null && gone?.capture === state.captures;

/** A VM as it is told of behind a cut. */
function cutEntry(entry: VmEntry, to: number | undefined): VmEntry {
  const cut = new Catalogue().entry(entry.vm);
  const row = to === undefined ? undefined : entry.capture(to);
  assert(to === undefined || row !== undefined, 'what goes last was there');
  cut.gone = row === undefined ? entry.gone : goneOf(entry, row);
  cut.points = entry.points;
  cut.registeredAtMs = entry.registeredAtMs;
  cut.retired = entry.retired;
  cut.state = entry.state;
  cut.lostTail = entry.lostTail;
  const first = (cut.gone?.capture ?? 0) + 1;
  cut.maps.push(...since(entry.maps, first));
  if (isOver(cut)) cut.state = { ...entry.state, argv: null };
  else cut.commandLines.push(...since(entry.commandLines, first));
  for (const kept of entry.between(first - 1, Infinity)) cut.rows.push(kept);
  cut.checkpoints.push(...entry.checkpoints);
  cut.leases.push(...entry.leases);
  cut.clones.push(...entry.clones);
  cut.parked.push(...entry.parked);
  cut.repeated.push(...entry.repeated.filter(({ capture }) => capture >= first));
  return cut;
}

function cutCatalogue(catalogue: Catalogue, cuts: readonly HistoryCut[]): Catalogue {
  const cut = new Catalogue();
  cut.facts = catalogue.facts;
  cut.lostStore = catalogue.lostStore;
  for (const [host, row] of catalogue.hosts) cut.hosts.set(host, row);
  for (const [vm, state] of catalogue.migrations) cut.migrations.set(vm, state);
  const ends = new Map(cuts.map(({ vm, capture }) => [vm, capture]));
  for (const entry of catalogue.vms.values())
    cut.vms.set(entry.vm, cutEntry(entry, ends.get(entry.vm)));
  return cut;
}

/** The table that each VM's history begins with, where it goes on. */
async function startTables(state: LedgerState, catalogue: Catalogue) {
  const tables = new Map<string, PageTable>();
  for (const entry of catalogue.vms.values()) {
    const { vm, gone } = entry;
    const before = state.catalogue.vms.get(vm);
    if (gone === null || before === undefined || isOver(entry)) continue;
    const row = before.capture(gone.capture);
    const { contents, tables: pages } = state;
    const table =
      row === undefined ? await pages.start(before) : await pages.at(before, contents, row);
    tables.set(vm, table);
  }
  return tables;
}

const slotCountOf = (pack: AnyPack): number =>
  isWritten(pack) ? pack.pages + pack.patterns : pack.holdings.length;

/** What stays of the contents. */
class KeptContents {
  readonly packs = new Set<AnyPack>();
  readonly #contents: Contents;
  readonly #held = new Set<Holding>();
  /** What was released and may be used again. */
  readonly #released: ReadonlySet<Holding>;
  /** Packs into which something of that may be taken back. */
  readonly #left: ReadonlySet<AnyPack | null>;
  readonly #recentMs: number;

  constructor(
    contents: Contents,
    { released, recentMs }: Pick<BaselineRequest, 'released' | 'recentMs'>,
  ) {
    this.#contents = contents;
    this.#released = released;
    this.#left = new Set([...released].map((holding) => contents.leftBy(holding)));
    this.#recentMs = recentMs;
  }

  hold(holdings: Iterable<Holding>): void {
    for (const holding of holdings)
      if (this.#contents.homePackOf(holding) !== null) this.#held.add(holding);
  }

  /** Packs that fit, those of what is held, those of what stands for anything in these, and those that patches name. */
  take(fits: (pack: AnyPack) => boolean): void {
    for (const pack of this.#contents.all)
      if (
        fits(pack) ||
        this.#contents.isNeeded(pack) ||
        this.#isRecent(pack) ||
        this.#left.has(pack)
      )
        this.packs.add(pack);
    for (const holding of this.#held) this.packs.add(this.#contents.homePackOf(holding)!);
    // What is come upon later in the set is looked at as well.
    for (const pack of this.packs) {
      if (!isWritten(pack) && this.#isEmptied(pack)) continue;
      for (let slot = 0; slot < slotCountOf(pack); slot += 1) {
        const holding = this.#contents.holdingAt(pack, slot);
        if (holding === UNKNOWN || (!isWritten(pack) && !this.isKept(holding))) continue;
        const home = this.#contents.homePackOf(this.#contents.firstOf(holding));
        if (home !== null) this.packs.add(home);
      }
      this.#takeReferences(pack);
    }
  }

  /** Patches name what they are patches of by where that was written, though another stands for it since. */
  #takeReferences(pack: AnyPack): void {
    for (const [i, slot] of pack.patches.slots.entries()) {
      if (!this.#contents.liesAt(pack, slot)) continue;
      const home = this.#contents.homePackOf(pack.references[i]!);
      if (home !== null) this.packs.add(home);
    }
  }

  isKept(holding: Holding): boolean {
    const isThere = !this.#contents.isReleased(holding);
    return isThere || this.#held.has(holding) || this.#released.has(holding);
  }

  /** Whether a pack was emptied so shortly before that it may not be deleted yet. */
  #isRecent(pack: AnyPack): boolean {
    return (this.#contents.emptiedAtMs(pack) ?? 0) > this.#recentMs;
  }

  /** Whether nothing lies in a pack, nor will again: its numbers are what is left of it. */
  #isEmptied(pack: AnyPack): boolean {
    return !this.#contents.isNeeded(pack) && !this.#left.has(pack);
  }

  /** Where slots of a pack lie; of one that was emptied, those that are kept. */
  #movedIn(pack: AnyPack, { slots, places }: MovedSlots): MovedSlots {
    if (!this.#isEmptied(pack)) return { slots, places };
    const isKept = (slot: number): boolean => this.isKept(this.#contents.holdingAt(pack, slot));
    return { slots: slots.filter(isKept), places: places.filter((_, i) => isKept(slots[i]!)) };
  }

  /** What moved, and was emptied, of the packs that stay. */
  #placesIn(
    all: readonly AnyPack[],
    { moved, emptiedAtMs }: SavedContents['places'],
  ): SavedContents['places'] {
    const kept = { moved: new Map<number, MovedSlots>(), emptiedAtMs: new Map<number, number>() };
    for (const pack of all) {
      const of = moved.get(pack.ordinal);
      if (of !== undefined) kept.moved.set(pack.ordinal, this.#movedIn(pack, of));
      const atMs = emptiedAtMs.get(pack.ordinal);
      if (atMs !== undefined && this.#isRecent(pack)) kept.emptiedAtMs.set(pack.ordinal, atMs);
    }
    return kept;
  }

  /** The state of the contents, of the packs that stay. */
  bytes(): Uint8Array {
    const contents = this.#contents;
    const all = [...this.packs].toSorted((a, b) => a.ordinal - b.ordinal);
    const written = all.filter(isWritten);
    const writer = new StateWriter();
    const { saved } = contents;
    const start = {
      written: contents.written,
      listed: written.length,
      numbering: contents.numbering(contents.written)!,
    };
    writeContents(writer, {
      ...saved,
      start,
      all,
      isEmptied: (pack) => this.#isEmptied(pack),
      aliases: aliasesIn(contents, written),
      patternAliases: patternAliasesIn(contents, written),
      places: this.#placesIn(all, saved.places),
    });
    return writer.bytes();
  }
}

/** Aliases of contents of packs that stay, each of the last that stands for it: those between may go. */
function aliasesIn(contents: Contents, written: readonly KnownPack[]): Map<number, number> {
  const kept = new Set<KnownPack | null>(written);
  const aliases = new Map<number, number>();
  for (const alias of contents.aliases.keys()) {
    const holding = FIRST_CONTENT + alias;
    const stands = contents.firstOf(holding);
    if (!kept.has(contents.homePackOf(holding)) || !kept.has(contents.homePackOf(stands))) continue;
    aliases.set(alias, stands - FIRST_CONTENT);
  }
  return aliases;
}

/** The same of patterns. */
function patternAliasesIn(contents: Contents, written: readonly KnownPack[]): Map<number, number> {
  const kept = new Set<KnownPack | null>(written);
  const isThere = (pattern: number): boolean =>
    kept.has(contents.homePackOf(PATTERN_BASE + pattern));
  const all = [...contents.patternAliases];
  return new Map(all.filter(([alias, first]) => isThere(alias) && isThere(first)));
}

function keptSlots(
  { contents, sharing }: Pick<LedgerState, 'contents' | 'sharing'>,
  pack: KnownPack,
  isKept: (holding: Holding) => boolean,
): KeptSlots {
  const slots = new Uint8Array(Math.ceil((pack.pages + pack.patterns) / 8));
  const identifiers: Uint8Array[] = [];
  const holders: number[] = [];
  for (let slot = 0; slot < pack.pages + pack.patterns; slot += 1) {
    const holding = contents.holdingAt(pack, slot);
    if (!isKept(holding)) continue;
    addSlot(slots, slot);
    identifiers.push(sharing.identifierAt(holding).slice());
    if (isContent(holding)) holders.push(sharing.holders(holding - FIRST_CONTENT));
  }
  const column = new Uint8Array(identifiers.length * IDENTIFIER_BYTES);
  for (const [i, identifier] of identifiers.entries()) column.set(identifier, i * IDENTIFIER_BYTES);
  return { ordinal: pack.ordinal, slots, identifiers: column, holders: Uint32Array.from(holders) };
}

/** The state of a fold as a baseline says it. O(pages of all VMs, and slots of the packs that stay). */
export async function baselineState(request: BaselineRequest): Promise<BaselineState> {
  const { state, position, timeMs, from, streams, cuts, leaves, leavesTo } = request;
  const { contents, losses } = state;
  const catalogue = cutCatalogue(state.catalogue, cuts);
  const tables = await startTables(state, catalogue);
  const kept = new KeptContents(contents, request);
  for (const table of tables.values()) kept.hold(table);
  for (const entry of state.catalogue.vms.values()) {
    const table = entry.retired === null ? await state.currentTable(entry) : null;
    if (table !== null) kept.hold(table);
  }
  const goneTo = (vm: string): number => catalogue.vms.get(vm)?.gone?.capture ?? 0;
  kept.take((pack) => isWritten(pack) && pack.capture > goneTo(pack.vm));
  const written = contents.packs.filter((pack) => kept.packs.has(pack));
  return {
    position,
    timeMs,
    from,
    streams,
    catalogue: catalogueText(catalogue),
    losses: lossesText(losses.slots),
    contents: kept.bytes().slice(),
    kept: written.map((pack) => keptSlots(state, pack, (holding) => kept.isKept(holding))),
    hidden: Uint32Array.from(losses.of(contents)),
    tables,
    leaves,
    leavesTo,
  };
}
