// The page engine (domain/ports/page-engine.ts): the same core inline or on a pool of worker threads. The
// engine only decides which runner does what, and makes callers wait while all slots are taken.

import { availableParallelism } from 'node:os';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { CHUNK_PAGES } from '../../../domain/ports/page-engine.ts';
import type {
  Descriptors,
  EngineKeys,
  FillRequest,
  Grammar,
  PackRequest,
  PageEngine,
  PatchedBlocks,
  ScanRequest,
  ScannedChunk,
  StoredBlocks,
} from '../../../domain/ports/page-engine.ts';
import { BLOCK_BYTES, PAGE_BYTES } from '../../../domain/values/page.ts';
import { BlockWriter } from './block-writer.ts';
import { checkTable, decodeBlockAt } from '../codec/codec.ts';
import type { BlockRun } from '../codec/codec.ts';
import { PageCore } from './page-core.ts';
import type { ChunkColumns, StoreRequest } from './page-core.ts';
import { InlineRunner, RUNNER_SLOTS } from './page-runner.ts';
import type { PageRunner } from './page-runner.ts';
import { ThreadRunner } from './page-thread.ts';
import { encodePatternBlocks } from '../codec/pattern-blocks.ts';
import { Tickets } from './tickets.ts';
import type { Ticket } from './tickets.ts';

/** Fills that may be with one runner at once: one is written while the next one's bytes are copied. */
const RUNNER_FILLS = 2;
/** Likewise what is to be packed. */
const RUNNER_PACKS = 2;

/** Threads where nothing is asked for: one for each processor, none where there is only one. */
function defaultThreads(): number {
  const processors = availableParallelism();
  return processors > 1 ? processors : 0;
}

/** An engine with `threads` worker threads; with 0 all work is done inline. */
export function createPageEngine(options: { readonly threads?: number } = {}): PageEngine {
  const threads = options.threads ?? defaultThreads();
  assert(Number.isInteger(threads) && threads >= 0, 'a number of threads is 0 or more');
  return new RunnerEngine(threads);
}

const closed = (): LedgerError =>
  new LedgerError(
    'LEDGER_CLOSED',
    'the page engine is closed; expected to be asked while open. Open the ledger again.',
  );

class RunnerEngine implements PageEngine {
  readonly threads: number;
  readonly chunksMax: number;
  readonly #core: PageCore;
  readonly #runners: readonly PageRunner[];
  readonly #slots: Tickets<PageRunner>;
  readonly #fills: Tickets<PageRunner>;
  readonly #packs: Tickets<PageRunner>;
  #keys: EngineKeys | null = null;
  #grammar: Grammar = [];
  #isClosed = false;

  constructor(threads: number) {
    this.threads = threads;
    this.#core = new PageCore({ slots: threads === 0 ? RUNNER_SLOTS : 0 });
    this.#runners =
      threads === 0
        ? [new InlineRunner(this.#core)]
        : Array.from({ length: threads }, () => new ThreadRunner());
    this.chunksMax = this.#runners.length * RUNNER_SLOTS;
    this.#slots = new Tickets({ owners: this.#runners, perOwner: RUNNER_SLOTS });
    this.#fills = new Tickets({ owners: this.#runners, perOwner: RUNNER_FILLS });
    this.#packs = new Tickets({ owners: this.#runners, perOwner: RUNNER_PACKS });
  }

  async useKeys(keys: EngineKeys): Promise<void> {
    // A copy of its own: keys are told apart by identity, and change hands when they first differ.
    this.#keys = {
      identifierKey: keys.identifierKey.slice(),
      fingerprintKey: keys.fingerprintKey.slice(),
    };
  }

  async useGrammar(grammar: Grammar): Promise<void> {
    // Copies: a view would be sent to the threads with its whole buffer.
    this.#grammar = grammar.map(({ number, unit }) => ({ number, unit: unit.slice() }));
    this.#core.useGrammar(this.#grammar);
    for (const runner of this.#runners) runner.useGrammar(this.#grammar);
  }

  async scan(request: ScanRequest): Promise<ScannedChunk> {
    const keys = this.#keys;
    assert(keys !== null, 'keys are set before the first scan');
    const ticket = await this.#slots.take();
    try {
      const columns = await ticket.owner.scan(ticket.number, request, keys);
      return new Chunk(columns, { ticket, giveBack: () => this.#slots.give(ticket) });
    } catch (error) {
      this.#slots.give(ticket);
      throw error;
    }
  }

  async fill(request: FillRequest): Promise<void> {
    const ticket = await this.#fills.take();
    try {
      await ticket.owner.fill(request);
    } finally {
      this.#fills.give(ticket);
    }
  }

  decode(run: BlockRun): Uint8Array {
    const pages = new Uint8Array(checkTable(run) * PAGE_BYTES);
    let at = 0;
    let offsetBytes = 0;
    for (let block = 0; block < run.blocks.lengths.length; block += 1) {
      const content = decodeBlockAt(run, { block, offsetBytes }, this.#grammar);
      pages.set(content, at);
      at += content.byteLength;
      offsetBytes += run.blocks.lengths[block]!;
    }
    return pages;
  }

  encode(pages: Uint8Array): StoredBlocks {
    const writer = new BlockWriter({ pagesMax: pages.byteLength / PAGE_BYTES });
    for (let at = 0; at < pages.byteLength; at += BLOCK_BYTES)
      writer.add(pages.subarray(at, at + BLOCK_BYTES));
    return writer.take();
  }

  encodePatterns(descriptors: readonly Uint8Array[]): StoredBlocks {
    return encodePatternBlocks(descriptors);
  }

  async pack(request: PackRequest): Promise<PatchedBlocks> {
    const ticket = await this.#packs.take();
    try {
      return await ticket.owner.pack(request);
    } finally {
      this.#packs.give(ticket);
    }
  }

  async sketch(pages: Uint8Array): Promise<Uint32Array> {
    const ticket = await this.#packs.take();
    try {
      return await ticket.owner.sketch(pages);
    } finally {
      this.#packs.give(ticket);
    }
  }

  identify(pages: Uint8Array): { readonly classes: Uint8Array; readonly identifiers: Uint8Array } {
    assert(this.#keys !== null, 'keys are set before pages are identified');
    this.#core.useKeys(this.#keys);
    return this.#core.identify(pages);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#slots.close(closed());
    this.#fills.close(closed());
    this.#packs.close(closed());
    await Promise.all(this.#runners.map((runner) => runner.close()));
  }
}

/** A scanned chunk, until it is released. */
class Chunk implements ScannedChunk {
  readonly unchanged: number;
  readonly gfns: Uint32Array;
  readonly classes: Uint8Array;
  readonly identifiers: Uint8Array;
  readonly descriptors: Descriptors;
  readonly #ticket: Ticket<PageRunner>;
  readonly #giveBack: () => void;
  #storing = 0;
  #isReleased = false;

  constructor(
    columns: ChunkColumns,
    place: { readonly ticket: Ticket<PageRunner>; readonly giveBack: () => void },
  ) {
    this.unchanged = columns.unchanged;
    this.gfns = columns.gfns;
    this.classes = columns.classes;
    this.identifiers = columns.identifiers;
    this.descriptors = columns.descriptors;
    this.#ticket = place.ticket;
    this.#giveBack = place.giveBack;
    assert(this.unchanged + this.gfns.length <= CHUNK_PAGES, 'a chunk has at most CHUNK_PAGES');
  }

  async store(request: StoreRequest): Promise<PatchedBlocks> {
    assert(!this.#isReleased, 'a released chunk stores nothing');
    this.#storing += 1;
    try {
      return await this.#ticket.owner.store(this.#ticket.number, request);
    } finally {
      this.#storing -= 1;
    }
  }

  release(): void {
    assert(!this.#isReleased, 'a chunk is released once');
    assert(this.#storing === 0, 'a chunk is released after what it stores is there');
    this.#isReleased = true;
    this.#giveBack();
  }
}
