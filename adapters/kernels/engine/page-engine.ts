// The page engine (domain/ports/page-engine.ts): the same core inline or on a pool of worker threads. The
// engine only decides which runner does what, and makes callers wait while all slots are taken.
//
// Starting threads takes longer than all work on a small VM, and each of them has memory of its own. So an
// engine whose threads nobody asked for does its first work inline, and starts them when there turns out
// to be more; small images are scanned inline for as long as they leave the caller's thread time for
// what else it has to do.

import { availableParallelism } from 'node:os';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { CHUNK_PAGES } from '../../../domain/ports/page-engine.ts';
import type {
  Compression,
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
import { checkTable } from '../codec/codec.ts';
import type { BlockRun } from '../codec/codec.ts';
import { isOfThreads } from '../../files/memory-file.ts';
import { Crew } from './crew.ts';
import { PACKED, PageCore } from './page-core.ts';
import type { ChunkColumns, StoreRequest } from './page-core.ts';
import { areBytes } from './page-fill.ts';
import { InlineRunner, RUNNER_SLOTS } from './page-runner.ts';
import type { PageRunner } from './page-runner.ts';
import { ThreadRunner } from './page-thread.ts';
import { WorkShare } from './work-share.ts';
import { encodePatternBlocks } from '../codec/pattern-blocks.ts';
import type { Ticket, Tickets } from './tickets.ts';

/** Pages of work that are done before threads are started (8 MiB): what takes about as long. */
const UNTHREADED_PAGES = 2 * CHUNK_PAGES;
/** An image of so many pages (16 MiB) is small: that its chunks go to threads gains nothing. */
const SMALL_IMAGE_PAGES = 4 * CHUNK_PAGES;

/** Threads where nothing is asked for: one for each processor, none where there is only one. */
function defaultThreads(): number {
  const processors = availableParallelism();
  return processors > 1 ? processors : 0;
}

/**
 * An engine with `threads` worker threads; with 0 all work is done inline. Absent: as many as there are
 * processors, and little work is done without them. `now` is the clock that tells how much that is, in ms.
 */
export function createPageEngine(
  options: { readonly threads?: number; readonly now?: () => number } = {},
): PageEngine {
  const threads = options.threads ?? defaultThreads();
  assert(Number.isInteger(threads) && threads >= 0, 'a number of threads is 0 or more');
  return new RunnerEngine({
    threads,
    isAuto: options.threads === undefined,
    share: new WorkShare(options.now),
  });
}

/** Whether threads can read and write all files of a fill. */
const canCross = ({ file, pieces }: FillRequest): boolean =>
  isOfThreads(file) && pieces.every(({ from }) => areBytes(from) || isOfThreads(from));

const closed = (): LedgerError =>
  new LedgerError(
    'LEDGER_CLOSED',
    'the page engine is closed; expected to be asked while open. Open the ledger again.',
  );

class RunnerEngine implements PageEngine {
  readonly threads: number;
  readonly chunksMax: number;
  /** Nobody asked for threads, or for none: work is done inline as long as it is little. */
  readonly #isAuto: boolean;
  #core: PageCore | null = null;
  #inline: Crew | null = null;
  #threaded: Crew | null = null;
  /** Pages of work that may still be done before threads are started. */
  #unthreadedPages: number;
  /** What small images take of the caller's thread. */
  readonly #share: WorkShare;
  #keys: EngineKeys | null = null;
  #grammar: Grammar = [];
  #isClosed = false;

  constructor({
    threads,
    isAuto,
    share,
  }: {
    readonly threads: number;
    readonly isAuto: boolean;
    readonly share: WorkShare;
  }) {
    this.threads = threads;
    this.#share = share;
    this.chunksMax = Math.max(threads, 1) * RUNNER_SLOTS;
    this.#isAuto = isAuto;
    const atFirst = isAuto ? UNTHREADED_PAGES : 0;
    this.#unthreadedPages = threads === 0 ? Infinity : atFirst;
  }

  /** Who does the next `pages` of work, of which `following` come after them for sure. */
  #crew(pages: number, following = 0): Crew {
    if (this.#isClosed) throw closed();
    if (this.#threaded !== null) return this.#threaded;
    if (pages + following <= this.#unthreadedPages) {
      this.#unthreadedPages -= pages;
      return this.#inlineCrew();
    }
    const runners = Array.from({ length: this.threads }, () => new ThreadRunner());
    return (this.#threaded = this.#started(runners));
  }

  /** Who scans a chunk. */
  #scanners({ image, firstPage, pageCount }: ScanRequest): Crew {
    const isSmall = this.#isAuto && image.pageCount <= SMALL_IMAGE_PAGES;
    const isOpen = !this.#isClosed && this.#threaded === null;
    if (isSmall && isOpen && !this.#share.isMuch()) return this.#inlineCrew();
    return this.#crew(pageCount, image.pageCount - firstPage - pageCount);
  }

  /** Who works on the caller's thread. */
  #inlineCrew(): Crew {
    return (this.#inline ??= this.#started([new InlineRunner(this.#inlineCore(), this.#share)]));
  }

  #started(runners: readonly PageRunner[]): Crew {
    for (const runner of runners) runner.useGrammar(this.#grammar);
    return new Crew(runners);
  }

  /** The core on the caller's thread. */
  #inlineCore(): PageCore {
    if (this.#core === null) {
      const isWorking = this.#isAuto || this.threads === 0;
      this.#core = new PageCore({ slots: isWorking ? RUNNER_SLOTS : 0 });
      this.#core.useGrammar(this.#grammar);
    }
    return this.#core;
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
    this.#core?.useGrammar(this.#grammar);
    for (const crew of [this.#inline, this.#threaded])
      for (const runner of crew?.runners ?? []) runner.useGrammar(this.#grammar);
  }

  async scan(request: ScanRequest): Promise<ScannedChunk> {
    const keys = this.#keys;
    assert(keys !== null, 'keys are set before the first scan');
    const { slots } = this.#scanners(request);
    const ticket = await slots.take();
    try {
      const columns = await ticket.owner.scan(ticket.number, request, keys);
      return new Chunk(columns, { ticket, giveBack: () => slots.give(ticket) });
    } catch (error) {
      slots.give(ticket);
      throw error;
    }
  }

  async fill(request: FillRequest): Promise<readonly number[]> {
    const crew = this.#crew(request.pages.length, request.following);
    // Some memory is this thread's alone.
    const { fills } = canCross(request) ? crew : this.#inlineCrew();
    return during(fills, (runner) => runner.fill(request));
  }

  decode(run: BlockRun, into?: Uint8Array): Uint8Array {
    const pagesBytes = checkTable(run) * PAGE_BYTES;
    const pages = into?.length === pagesBytes ? into : new Uint8Array(pagesBytes);
    const { codec } = this.#inlineCore();
    let at = 0;
    let offsetBytes = 0;
    for (let block = 0; block < run.blocks.lengths.length; block += 1) {
      const content = codec.decodeAt(run, { block, offsetBytes }, this.#grammar);
      pages.set(content, at);
      at += content.byteLength;
      offsetBytes += run.blocks.lengths[block]!;
    }
    return pages;
  }

  encode(pages: Uint8Array, compression: Compression = PACKED): StoredBlocks {
    const pagesMax = pages.byteLength / PAGE_BYTES;
    const writer = new BlockWriter({ codec: this.#inlineCore().codec, pagesMax });
    for (let at = 0; at < pages.byteLength; at += BLOCK_BYTES)
      writer.add(pages.subarray(at, at + BLOCK_BYTES), compression);
    return writer.take();
  }

  encodePatterns(descriptors: readonly Uint8Array[]): StoredBlocks {
    return encodePatternBlocks(descriptors);
  }

  async pack(request: PackRequest): Promise<PatchedBlocks> {
    const { packs } = this.#crew(request.pages.byteLength / PAGE_BYTES);
    return during(packs, (runner) => runner.pack(request));
  }

  async sketch(pages: Uint8Array): Promise<Uint32Array> {
    const { packs } = this.#crew(pages.byteLength / PAGE_BYTES);
    return during(packs, (runner) => runner.sketch(pages));
  }

  identify(pages: Uint8Array): { readonly classes: Uint8Array; readonly identifiers: Uint8Array } {
    assert(this.#keys !== null, 'keys are set before pages are identified');
    const core = this.#inlineCore();
    core.useKeys(this.#keys);
    return core.identify(pages);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const crew of [this.#inline, this.#threaded]) await crew?.close(closed());
  }
}

/** Work on a ticket that is given back when it is done. */
async function during<A>(
  tickets: Tickets<PageRunner>,
  work: (runner: PageRunner) => Promise<A>,
): Promise<A> {
  const ticket = await tickets.take();
  try {
    return await work(ticket.owner);
  } finally {
    tickets.give(ticket);
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
