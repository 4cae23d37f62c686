// One capture, from scanned chunks to its commit: decide in gfn order, store what is new, log it.
// Chunks are scanned and compressed on the engine's threads ahead of the decision; events do not
// depend on their timing.

import { areWritesCounted } from '../../invariants.ts';
import { assert } from '../../values/assert.ts';
import type { CaptureCommitted } from '../../events/control.ts';
import { encodePackWritten, packWrittenSchema } from '../../events/pack-written.ts';
import {
  encodePageColumns,
  hasReference,
  KIND_MERGED,
  KIND_STORED,
  KIND_ZERO,
  pageColumnsSchema,
  type PageColumns,
} from '../../events/pages-written.ts';
import {
  CHUNK_PAGES,
  IDENTIFIER_BYTES,
  type Compression,
  type Fingerprints,
  type PageEngine,
  type ScannedChunk,
} from '../../ports/page-engine.ts';
import { partsOfDevice } from '../../values/device-state.ts';
import { PAGE_BYTES, pagesOf, REGION_PAGES } from '../../values/page.ts';
import { decideWrites, type DecidedWrites } from '../../sharing.ts';
import { isContent, UNKNOWN, UNTOLD, type Holding } from '../../values/holding.ts';
import type { GuestCapture } from '../../ports/guests.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { CaptureView, CaptureWants, PageReference } from '../../ports/models.ts';
import { AttachedFiles } from './attached-files.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { StreamEnd } from '../stream-end.ts';
import { CaptureLog, type CaptureLogPorts } from './capture-log.ts';
import { LoosePages } from './loose-pages.ts';
import { PackPlan } from './pack-plan.ts';
import { PackStager, type NewContents } from './pack-stager.ts';
import type { SlotOfPack } from '../pages/staging.ts';
import type { PageReader } from '../pages/page-reader.ts';
import { PatternPages } from './pattern-pages.ts';
import { ReferencePages } from './reference-pages.ts';

export interface CapturePorts extends CaptureLogPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  /** As a pack writer has it. */
  readonly areBlocksSalted: () => boolean;
  /** Whether events may have short columns: not in a ledger that releases read which know none. */
  readonly areEventsShort: () => boolean;
  /** How pages are compressed. */
  readonly compression: () => Compression;
  /** Reads what the VM's pages held before. */
  readonly pages: PageReader;
}

/** Where a capture goes in the ledger, and what is known of the one before. */
export interface CapturePlace {
  readonly vm: string;
  /** The end of the VM's stream: nobody else appends to it. */
  readonly end: StreamEnd;
  readonly group: string;
  readonly capture: number;
  readonly previous: Fingerprints | null;
  readonly next: Fingerprints;
  /** What pages hold at the point that some of the capture's are as at; null: none is. */
  readonly elsewhere: Uint32Array | null;
  /** Which pages are held large. */
  readonly regions: CaptureWants['regions'];
  readonly onProgress: (pagesDone: number) => void;
  /** Waits until so many pages may be looked at; null: any may. */
  readonly pace: ((pages: number) => Promise<void>) | null;
}

/** Pages of a chunk to store: their rows, what each is patched over, and where that lies. */
interface StoreRows {
  readonly rows: Uint32Array;
  /**
   * Row counts after which a pack is full, so that no block lies in two packs, or pages come that are
   * no neighbours: they change each in its own time, and a block is decoded for every page of it.
   */
  readonly cuts: readonly number[];
  /** UNKNOWN where a page is no patch. */
  readonly over: Uint32Array;
  readonly references: readonly (SlotOfPack | null)[];
}

/** In the place of a large page's number: a page is held small. */
const NO_UNIT = -1;

/** What a capture measured of itself. */
export type CaptureCounts = Pick<
  CaptureCommitted,
  | 'batches'
  | 'firstRevision'
  | 'hash'
  | 'written'
  | 'stored'
  | 'merged'
  | 'pattern'
  | 'unknown'
  | 'unchanged'
  | 'attachments'
>;

export class CaptureWriter {
  readonly #ports: CapturePorts;
  readonly #view: CaptureView;
  readonly #captured: GuestCapture;
  readonly #place: CapturePlace;
  readonly log: CaptureLog;
  readonly #plan = new PackPlan();
  readonly #batches: BatchBuilder;
  readonly #stager: PackStager;
  readonly #patterns: PatternPages;
  readonly #references: ReferencePages;
  readonly #loose: LoosePages;
  readonly #attached: BatchBuilder;
  #counts = { written: 0, stored: 0, merged: 0, pattern: 0, unknown: 0, unchanged: 0 };

  constructor(
    ports: CapturePorts,
    view: CaptureView,
    of: { readonly captured: GuestCapture; readonly place: CapturePlace },
  ) {
    this.#ports = ports;
    this.#view = view;
    this.#captured = of.captured;
    this.#place = of.place;
    this.log = new CaptureLog(ports, of.place.end);
    const { capture, group, vm } = of.place;
    const plan = this.#plan;
    this.#patterns = new PatternPages(ports.engine, { view, plan, vm });
    this.#references = new ReferencePages(ports.pages);
    this.#batches = new BatchBuilder({ capture, plan }, (columns) =>
      this.#addColumns('PagesWritten', columns),
    );
    this.#stager = new PackStager(ports, { capture, group, plan }, (pack, ordinal) => {
      const schema = packWrittenSchema(pack, ports.areEventsShort());
      this.log.add({ type: 'PackWritten', schema, data: encodePackWritten(pack, schema) });
      this.#batches.named(pack.name, ordinal);
      this.#attached.named(pack.name, ordinal);
    });
    this.#attached = new BatchBuilder({ capture, plan }, (columns) =>
      this.#addColumns('AttachmentsWritten', columns),
    );
    const { engine, compression } = ports;
    this.#loose = new LoosePages({ engine, compression, view, plan, stager: this.#stager });
  }

  /** Takes the whole image, the device state and the attachments in; resolves when every pack is durable. */
  async run(): Promise<CaptureCounts> {
    await this.#takeImage();
    const { device: state } = this.#captured;
    const device = state === null ? null : await this.#takeDevice(partsOfDevice(state));
    const attachments = await this.#takeAttachments();
    this.#plan.finish();
    await this.#stager.finish();
    const rows = this.#batches.finish();
    assert(rows === this.#counts.written, 'every written page is a row');
    assert(areWritesCounted(this.#counts), 'every row is stored, merged, a pattern or unknown');
    if (device !== null) this.#addColumns('DeviceStateWritten', this.#deviceColumns(device));
    this.#attached.finish();
    await this.log.settle();
    const { count: batches, firstRevision, hash } = this.log;
    return { batches, firstRevision, hash, ...this.#counts, attachments };
  }

  #addColumns(
    type: 'PagesWritten' | 'DeviceStateWritten' | 'AttachmentsWritten',
    columns: PageColumns,
  ): void {
    const schema = pageColumnsSchema(type, columns, this.#ports.areEventsShort());
    this.log.add({ type, schema, data: encodePageColumns(columns, schema) });
  }

  #takeAttachments(): Promise<CaptureCounts['attachments']> {
    const { sha256 } = this.#ports;
    const files = { view: this.#view, loose: this.#loose, batches: this.#attached, sha256 };
    return new AttachedFiles(files).take(this.#captured.attachments ?? []);
  }

  /** Whether what the capture refers to is in the store, after `run`. */
  arePacksThere(): Promise<boolean> {
    return this.#stager.areThere();
  }

  /** Deletes the packs of a capture that failed before its commit was sent. */
  takeBack(): Promise<void> {
    return this.#stager.takeBack();
  }

  async #takeImage(): Promise<void> {
    const { image } = this.#captured;
    const { previous, next, onProgress, pace } = this.#place;
    const { engine } = this.#ports;
    const chunks = Math.ceil(image.pageCount / CHUNK_PAGES);
    const scans: Promise<ScannedChunk>[] = [];
    const stores: Promise<void>[] = [];
    let started = 0;
    let storing: Promise<void> = Promise.resolve();
    try {
      for (let chunk = 0; chunk < chunks; chunk += 1) {
        for (; started < chunks && started < chunk + engine.chunksMax; started += 1) {
          const firstPage = started * CHUNK_PAGES;
          const pageCount = Math.min(CHUNK_PAGES, image.pageCount - firstPage);
          if (pace !== null) await pace(pageCount);
          const scan = engine.scan({ image, firstPage, pageCount, previous, next });
          scan.catch(() => undefined);
          scans.push(scan);
        }
        const scanned = await scans.shift()!;
        storing = this.#stage(scanned, storing);
        storing.catch(() => undefined);
        stores.push(storing);
        if (stores.length >= engine.chunksMax) await stores.shift();
        onProgress(Math.min(image.pageCount, (chunk + 1) * CHUNK_PAGES));
      }
      await storing;
    } catch (thrown) {
      // First what holds chunks, then the scans that wait for their places.
      await storing.catch(() => undefined);
      await Promise.all(
        scans.map((scan) => scan.then((chunk) => chunk.release()).catch(() => null)),
      );
      throw thrown;
    }
  }

  /** Decides a chunk now, and stages what is new of it after the chunks before. Releases it always. */
  async #stage(scanned: ScannedChunk, before: Promise<void>): Promise<void> {
    try {
      const stored = this.#store(scanned, this.#decide(scanned));
      const [staged, contents] = await Promise.allSettled([before, stored]);
      if (staged.status === 'rejected') throw staged.reason;
      if (contents.status === 'rejected') throw contents.reason;
      if (contents.value !== null) await this.#stager.add(contents.value);
    } finally {
      scanned.release();
    }
  }

  #decide(scanned: ScannedChunk): StoreRows {
    const patterns = this.#patterns.resolve(scanned);
    this.#keepKnown(scanned, patterns);
    const decided = decideWrites(this.#view, { ...scanned, patterns });
    const { rows, kinds, holdings, count } = decided;
    const stored = this.#planContents(decided, scanned.gfns);
    for (let i = 0; i < count; i += 1) {
      const kind = kinds[i]!;
      const reference = hasReference(kind) ? this.#view.reference(holdings[i]!) : null;
      this.#batches.add({ kind, gfn: scanned.gfns[rows[i]!]!, reference });
    }
    const counts = this.#counts;
    counts.written += count;
    counts.stored += decided.storeRows.length;
    counts.merged += decided.merged;
    counts.pattern += decided.pattern;
    counts.unknown += decided.unknown;
    counts.unchanged += scanned.unchanged + decided.unchanged;
    return stored;
  }

  /**
   * What is as before is written as what it holds, which is no write; what is as at another point, as
   * what that holds; what the source does not tell, as that.
   */
  #keepKnown({ gfns }: ScannedChunk, patterns: Uint32Array): void {
    const { asBefore, asAt, untold } = this.#captured;
    if (asBefore === undefined && asAt === undefined && untold === undefined) return;
    for (const [row, gfn] of gfns.entries())
      if (asBefore?.[gfn] === 1) patterns[row] = this.#view.held(gfn);
      else if (asAt?.pages[gfn] === 1) patterns[row] = this.#place.elsewhere![gfn]!;
      else if (untold?.[gfn] === 1) patterns[row] = UNTOLD;
  }

  /** Gives new contents their places, and what they may be patches of. */
  #planContents({ storeRows, storeOver }: DecidedWrites, gfns: Uint32Array): StoreRows {
    const gfnOf = (i: number): number => gfns[storeRows[i]!]!;
    const unitOf = (i: number): number =>
      this.#place.regions.isLarge(gfnOf(i)) ? Math.floor(gfnOf(i) / REGION_PAGES) : NO_UNIT;
    // What is held large shares no block with what is not, nor with another large page.
    const isApart = (i: number): boolean =>
      gfnOf(i) !== gfnOf(i - 1) + 1 || unitOf(i) !== unitOf(i - 1);
    const cuts: number[] = [];
    const over = new Uint32Array(storeRows.length);
    const references: (SlotOfPack | null)[] = [];
    for (let i = 0; i < storeRows.length; i += 1) {
      const unit = unitOf(i);
      const isUnit = unit !== NO_UNIT;
      if (isUnit && (i === 0 || unitOf(i - 1) !== unit)) {
        let end = i + 1;
        while (end < storeRows.length && unitOf(end) === unit) end += 1;
        this.#plan.keepTogether(end - i);
      }
      const beginsPack = this.#plan.addContent(isUnit);
      if (i > 0 && (beginsPack || isApart(i))) cuts.push(i);
      const reference = isUnit ? null : this.#view.patchReference(storeOver[i]!);
      const slot = reference === null ? null : slotOf(this.#view.reference(reference));
      const isPatch = slot !== null && this.#plan.mayRefer(slot.pack);
      over[i] = isPatch ? reference! : UNKNOWN;
      references.push(isPatch ? slot : null);
    }
    return { rows: storeRows, cuts, over, references };
  }

  /** Compresses a chunk's new pages; null where there are none. */
  async #store(scanned: ScannedChunk, stored: StoreRows): Promise<NewContents | null> {
    const { rows, cuts, over } = stored;
    if (rows.length === 0) return null;
    const loan = await this.#references.load(over);
    try {
      const blocks = await scanned.store({
        rows,
        cuts,
        compression: this.#ports.compression(),
        references: loan?.references ?? null,
      });
      const identifiers = new Uint8Array(rows.length * IDENTIFIER_BYTES);
      for (const [i, row] of rows.entries())
        identifiers.set(
          scanned.identifiers.subarray(row * IDENTIFIER_BYTES, (row + 1) * IDENTIFIER_BYTES),
          i * IDENTIFIER_BYTES,
        );
      const references = stored.references.map((slot, i) =>
        blocks.patched[i] === 1 ? slot : null,
      );
      return { blocks, identifiers, references };
    } finally {
      loan?.giveBack();
    }
  }

  /** Stores a device state's pages, each part from a page of its own. */
  async #takeDevice(parts: readonly Uint8Array[]): Promise<readonly Holding[]> {
    const pages = new Uint8Array(
      parts.reduce((sum, part) => sum + pagesOf(part.length), 0) * PAGE_BYTES,
    );
    let at = 0;
    for (const part of parts) {
      pages.set(part, at);
      at += pagesOf(part.length) * PAGE_BYTES;
    }
    return this.#loose.store(pages);
  }

  #deviceColumns(holdings: readonly Holding[]): PageColumns {
    const { device } = this.#captured;
    const { capture } = this.#place;
    assert(device !== null, 'a device state is encoded only where there is one');
    const rows = holdings.length;
    const packs = new Map<string, number>();
    const columns = {
      kinds: new Uint8Array(rows),
      gfns: Uint32Array.from({ length: rows }, (_, row) => row),
      packIndexes: new Uint16Array(rows),
      slots: new Uint16Array(rows),
    };
    for (const [row, holding] of holdings.entries()) {
      if (!isContent(holding)) {
        columns.kinds[row] = KIND_ZERO;
        continue;
      }
      const reference = this.#view.reference(holding);
      const { name, slot } = this.#resolve(reference);
      columns.kinds[row] = reference._tag === 'pending' ? KIND_STORED : KIND_MERGED;
      if (!packs.has(name)) packs.set(name, packs.size);
      columns.packIndexes[row] = packs.get(name)!;
      columns.slots[row] = slot;
    }
    const parts = partsOfDevice(device).map((part) => part.length);
    return {
      capture,
      batch: 0,
      firstRow: 0,
      parts,
      packs: [...packs.keys()],
      ...columns,
    };
  }

  #resolve(reference: PageReference): { readonly name: string; readonly slot: number } {
    assert(reference._tag !== 'public', 'a device state refers to contents');
    if (reference._tag === 'committed') return { name: reference.pack, slot: reference.slot };
    const { ordinal, index } = this.#plan.locate('content', reference.number);
    return { name: this.#batches.nameOf(ordinal), slot: index };
  }
}

/** The slot of a committed content. */
const slotOf = (reference: PageReference): SlotOfPack | null =>
  reference._tag === 'committed' ? { pack: reference.pack, slot: reference.slot } : null;
