// Who does the work of an engine: something with a few slots that scans, stores, packs and fills.
// Inline here; on a worker thread in page-thread.ts.

import { setImmediate } from 'node:timers/promises';
import type {
  EngineKeys,
  FillRequest,
  Grammar,
  PackRequest,
  PatchedBlocks,
  ScanRequest,
} from '../../../domain/ports/page-engine.ts';
import type { ChunkColumns, PageCore, StoreRequest } from './page-core.ts';
import { PageFiller } from './page-fill.ts';
import type { WorkShare } from './work-share.ts';

/** Chunks that may lie in one runner at once: one read, one compressed, one on the way. */
export const RUNNER_SLOTS = 3;

/** Calls of one runner are done one after another, in the order they were made. */
export interface PageRunner {
  /** Calls under way. */
  readonly pending: number;
  scan(slot: number, request: ScanRequest, keys: EngineKeys): Promise<ChunkColumns>;
  store(slot: number, request: StoreRequest): Promise<PatchedBlocks>;
  pack(request: PackRequest): Promise<PatchedBlocks>;
  sketch(pages: Uint8Array): Promise<Uint32Array>;
  fill(request: FillRequest): Promise<readonly number[]>;
  /** Sets the strings that widen the grammar, for the calls that follow. */
  useGrammar(grammar: Grammar): void;
  close(): Promise<void>;
}

/** Runs everything on the caller's thread, before the call returns its promise. */
export class InlineRunner implements PageRunner {
  readonly pending = 0;
  readonly #core: PageCore;
  readonly #share: WorkShare;
  readonly #filler: PageFiller;

  /** `share` learns what scanning and storing take. */
  constructor(core: PageCore, share: WorkShare) {
    this.#core = core;
    this.#share = share;
    this.#filler = new PageFiller(core.codec);
  }

  async scan(slot: number, request: ScanRequest, keys: EngineKeys): Promise<ChunkColumns> {
    this.#core.useKeys(keys);
    return this.#share.take(() => this.#core.scan(slot, request));
  }

  async store(slot: number, request: StoreRequest): Promise<PatchedBlocks> {
    return this.#share.take(() => this.#core.store(slot, request));
  }

  async pack(request: PackRequest): Promise<PatchedBlocks> {
    return this.#core.pack(request);
  }

  async sketch(pages: Uint8Array): Promise<Uint32Array> {
    return this.#core.sketch(pages);
  }

  async fill(request: FillRequest): Promise<readonly number[]> {
    const failed = this.#filler.fill(request);
    // Many fills follow each other: what came meanwhile is heard between them.
    await setImmediate();
    return failed;
  }

  useGrammar(grammar: Grammar): void {
    this.#core.useGrammar(grammar);
    this.#filler.useGrammar(grammar);
  }

  async close(): Promise<void> {
    // Nothing to end: the memory goes with the object.
  }
}
