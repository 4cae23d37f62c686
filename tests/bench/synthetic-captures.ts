// A long history of small captures of one VM straight into a ledger's log: the events that a recorder
// appends, made by their own encoders, with the packs that it merges every so often. Of the packs only
// those are put that the newest points are read from, so that 100,000 captures take a minute and little
// room, and what is asked of the newest points is answered as in a recorded ledger.

import { hash, randomFillSync } from 'node:crypto';
import { encodeControls, newEvent } from '../../domain/events/envelope.ts';
import {
  encodePackRewritten,
  packRewrittenSchema,
  type PackRewritten,
} from '../../domain/events/pack-rewritten.ts';
import { encodePackWritten, packWrittenSchema } from '../../domain/events/pack-written.ts';
import {
  encodePageColumns,
  KIND_STORED,
  pageColumnsSchema,
} from '../../domain/events/pages-written.ts';
import { NO_PATCHES } from '../../domain/events/patches.ts';
import { STORE_STREAM, vmStream } from '../../domain/events/streams.ts';
import { FAN_IN } from '../../domain/merging.ts';
import type { NewEvent } from '../../domain/ports/event-log.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { assert } from '../../domain/values/assert.ts';
import { flatMap } from '../../domain/values/memory-map.ts';
import {
  PACK_HEADER_BYTES,
  PACK_RANDOM_BYTES,
  packHeader,
  type BlockTable,
} from '../../domain/values/pack.ts';
import { PACK_PAGES_MAX, PAGE_BYTES } from '../../domain/values/page.ts';
import { run, type Ledger } from '../../index.ts';
import { committedOf, rawBlocks } from './synthetic-events.ts';

const VM = 'guest';
const GROUP = 'default';
const START_MS = Date.UTC(2026, 0, 1);
const SECOND_MS = 1000;

export interface CapturesRequest {
  readonly captures: number;
  /** Of the VM; all are written by the first capture. */
  readonly pages: number;
  /** Pages that each later capture writes: the next ones of the first `hot`, in turn. */
  readonly changed: number;
  readonly hot: number;
}

/** A pack as later events refer to it. */
interface Pack {
  readonly name: string;
  readonly blocks: BlockTable;
  /** What is stored, where anybody will read it. */
  readonly stored: Uint8Array | null;
}

const slotsIn = ({ blocks }: Pack): number => blocks.pages.reduce((sum, pages) => sum + pages, 0);

const envelope = {
  clock: () => START_MS,
  randomBytes: (count: number) => randomFillSync(new Uint8Array(count)),
};

/** Fills pages with words that say which version of which page they are. */
function fillPages(bytes: Uint8Array, capture: number, gfns: Uint32Array): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const pageWords = PAGE_BYTES / 4;
  for (const [i, gfn] of gfns.entries())
    for (let word = 0; word < pageWords; word += 1)
      words[i * pageWords + word] = Math.imul(gfn * pageWords + word + 1, capture);
}

/** The memory at a capture, as it is restored. */
export function memoryAt(capture: number, { pages, changed, hot }: CapturesRequest): Uint8Array {
  const memory = new Uint8Array(pages * PAGE_BYTES);
  for (let gfn = 0; gfn < pages; gfn += 1) {
    // Hot pages are written in turn from the second capture on.
    const first = gfn < hot ? 2 + Math.floor(gfn / changed) : Number.POSITIVE_INFINITY;
    const last = capture < first ? 1 : capture - ((capture - first) % (hot / changed));
    const page = memory.subarray(gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
    fillPages(page, last, Uint32Array.of(gfn));
  }
  return memory;
}

/** Blocks one after the other. */
const joined = (packs: readonly Pack[]): BlockTable => {
  const all = packs.map(({ blocks }) => blocks);
  return {
    codecs: Uint8Array.from(all.flatMap(({ codecs }) => [...codecs])),
    pages: Uint8Array.from(all.flatMap(({ pages }) => [...pages])),
    lengths: Uint32Array.from(all.flatMap(({ lengths }) => [...lengths])),
    checksums: Uint32Array.from(all.flatMap(({ checksums }) => [...checksums])),
  };
};

const sizeBytes = ({ lengths }: BlockTable): number =>
  lengths.reduce((sum, length) => sum + length, PACK_HEADER_BYTES);

class Writer {
  readonly #ledger: Ledger;
  readonly #request: CapturesRequest;
  #revision = -1;
  #storeRevision = -1;
  #waiting: NewEvent[] = [];
  /** Packs that were not merged yet, and those that were merged once. */
  #small: Pack[] = [];
  #merged: Pack[] = [];

  constructor(ledger: Ledger, request: CapturesRequest) {
    this.#ledger = ledger;
    this.#request = request;
  }

  async #pack(stored: Uint8Array | null, what: string, blocks: BlockTable): Promise<Pack> {
    if (stored === null) return { name: hash('sha256', what, 'hex'), blocks, stored };
    const random = envelope.randomBytes(PACK_RANDOM_BYTES);
    const bytes = Buffer.concat([packHeader({ group: GROUP, random }), stored]);
    const name = hash('sha256', bytes, 'hex');
    await run(this.#ledger.store.put({ name, bytes }));
    return { name, blocks, stored };
  }

  #gfnsOf(capture: number): Uint32Array {
    const { pages, changed, hot } = this.#request;
    if (capture === 1) return Uint32Array.from({ length: pages }, (_, gfn) => gfn);
    const first = ((capture - 2) * changed) % hot;
    return Uint32Array.from({ length: changed }, (_, i) => first + i);
  }

  /** Whether the newest points are read from what a capture writes. */
  #isRead(capture: number): boolean {
    const { captures, changed, hot } = this.#request;
    return capture === 1 || capture > captures - 2 * (hot / changed) - FAN_IN;
  }

  async capture(capture: number): Promise<void> {
    const { pages } = this.#request;
    const gfns = this.#gfnsOf(capture);
    const rows = gfns.length;
    const stored = this.#isRead(capture) ? new Uint8Array(rows * PAGE_BYTES) : null;
    if (stored !== null) fillPages(stored, capture, gfns);
    const pack = await this.#pack(stored, `capture ${capture}`, rawBlocks(rows, stored));
    const { name, blocks } = pack;
    const identifiers = randomFillSync(new Uint8Array(rows * IDENTIFIER_BYTES));
    const written = {
      name,
      capture,
      group: GROUP,
      blocks,
      identifiers,
      sizeBytes: sizeBytes(blocks),
      patches: NO_PATCHES,
    };
    const columns = {
      capture,
      batch: 0,
      firstRow: 0,
      parts: [],
      packs: [name],
      gfns,
      kinds: new Uint8Array(rows).fill(KIND_STORED),
      packIndexes: new Uint16Array(rows),
      slots: Uint16Array.from(gfns.keys()),
    };
    const packSchema = packWrittenSchema({ blocks }, true);
    const pagesSchema = pageColumnsSchema('PagesWritten', columns, true);
    const batches = [
      { type: 'PackWritten', schema: packSchema, data: encodePackWritten(written, packSchema) },
      { type: 'PagesWritten', schema: pagesSchema, data: encodePageColumns(columns, pagesSchema) },
    ];
    const memoryMap = flatMap(pages);
    const registered = { vm: VM, group: GROUP, share: 'group', memoryMap, parent: null } as const;
    const first = this.#revision + 1;
    const controls = encodeControls(envelope, [
      ...(capture === 1 ? [{ type: 'VmRegistered' as const, data: registered }] : []),
      {
        type: 'CaptureCommitted',
        data: committedOf(batches, {
          vm: VM,
          capture,
          timeMs: START_MS + capture * SECOND_MS,
          firstRevision: first,
          written: rows,
          stored: rows,
          merged: 0,
          pattern: 0,
          unchanged: pages - rows,
        }),
      },
    ]);
    assert(controls._tag === 'Right', 'synthetic events are well formed');
    const events = [...batches.map((event) => newEvent(envelope, event)), ...controls.right];
    this.#waiting.push(...events);
    this.#revision += events.length;
    this.#small.push(pack);
    if (this.#small.length >= FAN_IN) await this.#merge();
  }

  /** What a recorder does of small packs, and of those that became of them. */
  async #merge(): Promise<void> {
    await this.flush();
    this.#merged.push(...(await this.#mergedOf(this.#small)));
    this.#small = [];
    if (this.#merged.length < FAN_IN) return;
    await this.#mergedOf(this.#merged);
    this.#merged = [];
  }

  async #mergedOf(packs: readonly Pack[]): Promise<readonly Pack[]> {
    const made: Pack[] = [];
    for (let first = 0; first < packs.length;) {
      let [end, slots] = [first, 0];
      for (; end < packs.length; end += 1) {
        slots += slotsIn(packs[end]!);
        if (end > first && slots > PACK_PAGES_MAX) break;
      }
      made.push(await this.#mergedInto(packs.slice(first, end)));
      first = end;
    }
    return made;
  }

  async #mergedInto(packs: readonly Pack[]): Promise<Pack> {
    const parts = packs.map(({ stored }) => stored);
    const isRead = parts.some((part) => part !== null);
    // What nobody reads of a pack that somebody does is zeros.
    const bytes = packs.map((pack) => pack.stored ?? new Uint8Array(slotsIn(pack) * PAGE_BYTES));
    const blocks = joined(packs);
    const what = `merged ${packs.map(({ name }) => name).join(' ')}`;
    const pack = await this.#pack(isRead ? Buffer.concat(bytes) : null, what, blocks);
    const data: PackRewritten = {
      name: pack.name,
      group: GROUP,
      sizeBytes: sizeBytes(blocks),
      blocks,
      sources: packs.map(({ name }) => name),
      sourceIndexes: Uint16Array.from(
        packs.flatMap((of, i) => Array.from({ length: slotsIn(of) }, () => i)),
      ),
      sourceSlots: Uint16Array.from(
        packs.flatMap((of) => Array.from({ length: slotsIn(of) }, (_, slot) => slot)),
      ),
      patches: NO_PATCHES,
      isCopied: true,
    };
    const schema = packRewrittenSchema(blocks, true);
    const event = { type: 'PackRewritten', schema, data: encodePackRewritten(data, schema) };
    const events = [newEvent(envelope, event)];
    const request = { stream: STORE_STREAM, expectedRevision: this.#storeRevision, events };
    this.#storeRevision = (await run(this.#ledger.log.append(request))).revision;
    return pack;
  }

  async flush(): Promise<void> {
    const events = this.#waiting;
    if (events.length === 0) return;
    this.#waiting = [];
    const expectedRevision = this.#revision - events.length;
    const request = { stream: vmStream(VM), expectedRevision, events };
    const { revision } = await run(this.#ledger.log.append(request));
    assert(revision === this.#revision, 'the events are the next of the VM');
  }
}

/** Writes so many captures of the VM `guest` into a new ledger. */
export async function writeCaptures(ledger: Ledger, request: CapturesRequest): Promise<void> {
  const { captures, pages, changed, hot } = request;
  assert(hot % changed === 0 && hot <= pages, 'captures write pages in turn');
  await ledger.openGroup(GROUP);
  const writer = new Writer(ledger, request);
  for (let capture = 1; capture <= captures; capture += 1) await writer.capture(capture);
  await writer.flush();
}
