// Who does the work of an engine: something with a few slots that scans, stores and fills. Inline
// here; on a worker thread in page-thread.ts.

import type {
  EngineKeys,
  FillRequest,
  ScanRequest,
  StoredBlocks,
} from '../../domain/page-engine.ts';
import type { ChunkColumns, PageCore, StoreRequest } from './page-core.ts';
import { PageFiller } from './page-fill.ts';

/** Chunks that may lie in one runner at once: one read, one compressed, one on the way. */
export const RUNNER_SLOTS = 3;

/** Calls of one runner are done one after another, in the order they were made. */
export interface PageRunner {
  /** Calls under way. */
  readonly pending: number;
  scan(slot: number, request: ScanRequest, keys: EngineKeys): Promise<ChunkColumns>;
  store(slot: number, request: StoreRequest): Promise<StoredBlocks>;
  fill(request: FillRequest): Promise<void>;
  close(): Promise<void>;
}

/** Runs everything on the caller's thread, before the call returns its promise. */
export class InlineRunner implements PageRunner {
  readonly pending = 0;
  readonly #core: PageCore;
  readonly #filler = new PageFiller();

  constructor(core: PageCore) {
    this.#core = core;
  }

  async scan(slot: number, request: ScanRequest, keys: EngineKeys): Promise<ChunkColumns> {
    this.#core.useKeys(keys);
    return this.#core.scan(slot, request);
  }

  async store(slot: number, request: StoreRequest): Promise<StoredBlocks> {
    return this.#core.store(slot, request);
  }

  async fill(request: FillRequest): Promise<void> {
    this.#filler.fill(request);
  }

  async close(): Promise<void> {
    // Nothing to end: the memory goes with the object.
  }
}
