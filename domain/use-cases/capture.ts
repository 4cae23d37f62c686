// One capture, from scanned chunks to its commit: decide in gfn order, store what is new, log it.
// Chunks are scanned and compressed on the engine's threads ahead of the decision; events do not
// depend on their timing.

import { assert } from '../assert.ts';
import type { CaptureCommitted } from '../events.ts';
import { encodePackWritten } from '../pack-event.ts';
import {
  encodePageColumns,
  hasReference,
  KIND_MERGED,
  KIND_STORED,
  KIND_ZERO,
} from '../page-columns.ts';
import {
  CHUNK_PAGES,
  CLASS_NONE,
  IDENTIFIER_BYTES,
  type Fingerprints,
  type Image,
  type PageEngine,
  type ScannedChunk,
  type StoredBlocks,
} from '../page-engine.ts';
import { PACK_PAGES_MAX, PAGE_BYTES, pagesOf } from '../page.ts';
import { decideWrites, isContent, ZERO, type DecidedWrites, type Holding } from '../page-writes.ts';
import type { PageStore } from '../ports.ts';
import type { CaptureView, ContentPlace } from '../read-models.ts';
import { BatchBuilder } from './batch-builder.ts';
import { CaptureLog, type CaptureLogPorts } from './capture-log.ts';
import { PackStager } from './pack-stager.ts';

/** What a guest's device state is made of: its stream's head, its sections, their description. */
export type DeviceParts = readonly Uint8Array[];

export interface CapturePorts extends CaptureLogPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
}

export interface CapturePlan {
  readonly stream: string;
  readonly revision: number;
  readonly group: string;
  readonly capture: number;
  readonly image: Image;
  readonly previous: Fingerprints | null;
  readonly next: Fingerprints;
  readonly device: DeviceParts | null;
  readonly onProgress: (pagesDone: number) => void;
}

/** What a capture measured of itself. */
export type CaptureCounts = Pick<
  CaptureCommitted,
  'batches' | 'firstRevision' | 'hash' | 'written' | 'stored' | 'merged' | 'pattern' | 'unchanged'
>;

export class CaptureWriter {
  readonly #ports: CapturePorts;
  readonly #view: CaptureView;
  readonly #plan: CapturePlan;
  readonly log: CaptureLog;
  readonly #batches: BatchBuilder;
  readonly #stager: PackStager;
  #storedPages = 0;
  #counts = { written: 0, stored: 0, merged: 0, pattern: 0, unchanged: 0 };

  constructor(ports: CapturePorts, view: CaptureView, plan: CapturePlan) {
    this.#ports = ports;
    this.#view = view;
    this.#plan = plan;
    this.log = new CaptureLog(ports, plan);
    this.#batches = new BatchBuilder(plan.capture, (data) => this.log.add('PagesWritten', data));
    this.#stager = new PackStager(ports, plan, (pack, ordinal) => {
      this.log.add('PackWritten', encodePackWritten(pack));
      this.#batches.named(pack.name, ordinal);
    });
  }

  /** Takes the whole image and the device state in; resolves when every batch is durable. */
  async run(): Promise<CaptureCounts> {
    await this.#takeImage();
    const device = this.#plan.device === null ? null : await this.#takeDevice(this.#plan.device);
    await this.#stager.finish();
    this.#batches.finish();
    if (device !== null) this.log.add('DeviceStateWritten', this.#encodeDevice(device));
    await this.log.settle();
    const { count: batches, firstRevision, hash } = this.log;
    return { batches, firstRevision, hash, ...this.#counts };
  }

  async #takeImage(): Promise<void> {
    const { image, previous, next, onProgress } = this.#plan;
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
      const [staged, blocks] = await Promise.allSettled([before, stored]);
      if (staged.status === 'rejected') throw staged.reason;
      if (blocks.status === 'rejected') throw blocks.reason;
      if (blocks.value !== null)
        await this.#stager.add(blocks.value.blocks, blocks.value.identifiers);
    } finally {
      scanned.release();
    }
  }

  #decide(scanned: ScannedChunk): DecidedWrites {
    const decided = decideWrites(this.#view, scanned);
    const { rows, kinds, holdings, count } = decided;
    for (let i = 0; i < count; i += 1) {
      const kind = kinds[i]!;
      const place = hasReference(kind) ? this.#view.place(holdings[i]!) : null;
      this.#batches.add({ kind, gfn: scanned.gfns[rows[i]!]!, place });
    }
    const counts = this.#counts;
    counts.written += count;
    counts.stored += decided.storeRows.length;
    counts.merged += decided.merged;
    counts.pattern += decided.pattern;
    counts.unchanged += scanned.unchanged + decided.unchanged;
    return decided;
  }

  /** Compresses a chunk's new pages; null where there are none. */
  async #store(
    scanned: ScannedChunk,
    decided: DecidedWrites,
  ): Promise<{ readonly blocks: StoredBlocks; readonly identifiers: Uint8Array } | null> {
    const rows = decided.storeRows;
    if (rows.length === 0) return null;
    const cuts = this.#cuts(rows.length);
    const blocks = await scanned.store({ rows, cuts });
    const identifiers = new Uint8Array(rows.length * IDENTIFIER_BYTES);
    for (const [i, row] of rows.entries())
      identifiers.set(
        scanned.identifiers.subarray(row * IDENTIFIER_BYTES, (row + 1) * IDENTIFIER_BYTES),
        i * IDENTIFIER_BYTES,
      );
    return { blocks, identifiers };
  }

  /** Row counts after which a pack is full, so that no block lies in two packs. */
  #cuts(pages: number): number[] {
    const cuts: number[] = [];
    for (
      let i = PACK_PAGES_MAX - (this.#storedPages % PACK_PAGES_MAX);
      i < pages;
      i += PACK_PAGES_MAX
    )
      cuts.push(i);
    this.#storedPages += pages;
    return cuts;
  }

  /** Stores a device state's pages as contents like any other; nothing holds them but the event. */
  async #takeDevice(parts: DeviceParts): Promise<readonly Holding[]> {
    const pages = new Uint8Array(
      parts.reduce((sum, part) => sum + pagesOf(part.length), 0) * PAGE_BYTES,
    );
    let at = 0;
    for (const part of parts) {
      pages.set(part, at);
      at += pagesOf(part.length) * PAGE_BYTES;
    }
    const { classes, identifiers } = this.#ports.engine.identify(pages);
    const holdings: Holding[] = [];
    for (let page = 0; page < classes.length; page += 1) {
      if (classes[page] !== CLASS_NONE) {
        holdings.push(ZERO);
        continue;
      }
      const found = this.#view.find(identifiers, page);
      if (found < 0) {
        const range = pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
        const id = identifiers.subarray(page * IDENTIFIER_BYTES, (page + 1) * IDENTIFIER_BYTES);
        this.#storedPages += 1;
        await this.#stager.add(this.#ports.engine.encode(range), id);
      }
      holdings.push(found < 0 ? this.#view.store(identifiers, page) : found);
    }
    return holdings;
  }

  #encodeDevice(holdings: readonly Holding[]): Uint8Array {
    const { device, capture } = this.#plan;
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
      const place = this.#view.place(holding);
      const { name, slot } = this.#resolve(place);
      columns.kinds[row] = place._tag === 'pending' ? KIND_STORED : KIND_MERGED;
      if (!packs.has(name)) packs.set(name, packs.size);
      columns.packIndexes[row] = packs.get(name)!;
      columns.slots[row] = slot;
    }
    const parts = device.map((part) => part.length);
    return encodePageColumns({
      capture,
      batch: 0,
      firstRow: 0,
      parts,
      packs: [...packs.keys()],
      ...columns,
    });
  }

  #resolve(place: ContentPlace): { name: string; slot: number } {
    if (place._tag === 'committed') return { name: place.pack, slot: place.slot };
    const ordinal = Math.floor(place.number / PACK_PAGES_MAX);
    return { name: this.#batches.nameOf(ordinal), slot: place.number % PACK_PAGES_MAX };
  }
}
