// A runner on a worker thread. The thread keeps the process alive only while a call is under way. A
// thread that dies fails the calls under way and all that follow.

import { types } from 'node:util';
import { Worker } from 'node:worker_threads';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { SpareRooms } from '../../../domain/values/spares.ts';
import type {
  EngineKeys,
  FillRequest,
  Grammar,
  PackRequest,
  PatchedBlocks,
  PatchReferences,
  ScanRequest,
} from '../../../domain/ports/page-engine.ts';
import { pageThreadData } from '../compiled.ts';
import type { ChunkColumns, StoreRequest } from './page-core.ts';
import { areBytes } from './page-fill.ts';
import type { PageRunner } from './page-runner.ts';
import { unpackFailure } from './thread-messages.ts';
import type { ThreadAnswer, ThreadCall, ThreadReply, ThreadWork } from './thread-messages.ts';

interface Waiting {
  readonly resolve: (answer: ThreadAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** What a thread knows of the grammar when it begins. */
const NO_STRINGS: Grammar = [];

const ENTRY = new URL('./page-worker.js', import.meta.url);

const dead = (reason: string, waiting: number): LedgerError =>
  new LedgerError(
    'IO_FAILED',
    `a worker thread of the page engine ended (${reason}) with ${waiting} calls under way; ` +
      'expected it to live until the engine is closed. Open the ledger again; ' +
      'what was not committed is recorded again.',
    { reason, waiting },
  );

export class ThreadRunner implements PageRunner {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #buffers = new SpareRooms({
    stepBytes: 1024 * 1024,
    make: (lengthBytes) => new SharedArrayBuffer(lengthBytes),
  });
  #calls = 0;
  #sentKeys: EngineKeys | null = null;
  #grammar: Grammar = NO_STRINGS;
  #sentGrammar: Grammar = NO_STRINGS;
  #failure: Error | null = null;

  /** `entry` is the thread's program; another one than the engine's is of use to tests only. */
  constructor({ entry = ENTRY }: { readonly entry?: URL } = {}) {
    // Options of the process's own command line, such as --input-type, are not for a thread.
    this.#worker = new Worker(entry, { execArgv: [], workerData: pageThreadData() });
    this.#worker.on('message', (reply: ThreadReply) => this.#settle(reply));
    this.#worker.on('messageerror', (error) => this.#fail(dead(String(error), this.pending)));
    this.#worker.on('error', (error) => this.#fail(dead(String(error), this.pending)));
    this.#worker.on('exit', (code) => this.#fail(dead(`exit code ${code}`, this.pending)));
    // Last: a listener of messages makes the worker keep the process alive again.
    this.#worker.unref();
  }

  get pending(): number {
    return this.#waiting.size;
  }

  async scan(slot: number, request: ScanRequest, keys: EngineKeys): Promise<ChunkColumns> {
    const fresh = this.#sentKeys === keys ? null : keys;
    this.#sentKeys = keys;
    const answer = await this.#call({ _tag: 'scan', slot, keys: fresh, request });
    assert(answer._tag === 'scanned', 'a scan is answered with columns');
    return answer.columns;
  }

  async store(slot: number, request: StoreRequest): Promise<PatchedBlocks> {
    // A view is sent with its whole buffer, so a copy is sent.
    const rows = request.rows.slice();
    const lent: SharedArrayBuffer[] = [];
    const references = this.#sharedReferences(request.references ?? null, lent);
    const work: ThreadWork = { _tag: 'store', slot, request: { ...request, rows, references } };
    return this.#blocks(work, { lent, transfer: [rows.buffer] });
  }

  async pack(request: PackRequest): Promise<PatchedBlocks> {
    const lent: SharedArrayBuffer[] = [];
    const pages = this.#shared(request.pages, lent);
    const references = this.#sharedReferences(request.references ?? null, lent);
    return this.#blocks({ _tag: 'pack', request: { ...request, pages, references } }, { lent });
  }

  async sketch(pages: Uint8Array): Promise<Uint32Array> {
    const lent: SharedArrayBuffer[] = [];
    try {
      const answer = await this.#call({ _tag: 'sketch', pages: this.#shared(pages, lent) });
      assert(answer._tag === 'sketched', 'pages to sketch are answered with sketches');
      return answer.sketches;
    } finally {
      this.#giveBack(lent);
    }
  }

  async fill(request: FillRequest): Promise<readonly number[]> {
    const lent: SharedArrayBuffer[] = [];
    const pieces = request.pieces.map((piece) =>
      areBytes(piece.from) ? { ...piece, from: this.#shared(piece.from, lent) } : piece,
    );
    try {
      const answer = await this.#call({ _tag: 'fill', request: { ...request, pieces } });
      assert(answer._tag === 'filled', 'a fill is answered with the blocks that failed');
      return answer.failed;
    } finally {
      this.#giveBack(lent);
    }
  }

  useGrammar(grammar: Grammar): void {
    this.#grammar = grammar;
  }

  async close(): Promise<void> {
    this.#fail(
      new LedgerError(
        'LEDGER_CLOSED',
        `the page engine was closed with ${this.pending} calls under way; ` +
          'expected to be asked while open. Open the ledger again.',
      ),
    );
    await this.#worker.terminate();
  }

  /** The bytes in shared memory: a view of them if they are there, else a copy in a `lent` buffer. */
  #shared(bytes: Uint8Array, lent: SharedArrayBuffer[]): Uint8Array {
    if (types.isSharedArrayBuffer(bytes.buffer)) return bytes;
    const buffer = this.#buffers.take(bytes.byteLength);
    lent.push(buffer);
    const copy = new Uint8Array(buffer, 0, bytes.byteLength);
    copy.set(bytes);
    return copy;
  }

  #sharedReferences(
    references: PatchReferences | null,
    lent: SharedArrayBuffer[],
  ): PatchReferences | null {
    if (references === null) return null;
    return { pages: this.#shared(references.pages, lent), of: references.of.slice() };
  }

  #giveBack(lent: readonly SharedArrayBuffer[]): void {
    for (const buffer of lent) this.#buffers.giveBack(buffer);
  }

  /** A call that is answered with blocks; the buffers lent for it come back afterwards. */
  async #blocks(
    work: ThreadWork,
    more: { readonly lent: SharedArrayBuffer[]; readonly transfer?: readonly ArrayBuffer[] },
  ): Promise<PatchedBlocks> {
    try {
      const answer = await this.#call(work, more.transfer);
      assert(answer._tag === 'stored', 'pages to store are answered with blocks');
      return answer.blocks;
    } finally {
      this.#giveBack(more.lent);
    }
  }

  async #call(work: ThreadWork, transfer: readonly ArrayBuffer[] = []): Promise<ThreadAnswer> {
    if (this.#failure !== null) throw this.#failure;
    this.#calls += 1;
    const grammar = this.#sentGrammar === this.#grammar ? null : this.#grammar;
    const call: ThreadCall = { id: this.#calls, work, grammar };
    // Sent first: what cannot be sent throws here, and nobody waits for its answer.
    this.#worker.postMessage(call, transfer);
    this.#sentGrammar = this.#grammar;
    if (this.#waiting.size === 0) this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(call.id, { resolve, reject });
    });
  }

  #settle({ id, answer }: ThreadReply): void {
    const waiting = this.#waiting.get(id);
    // After a failure every call has had its answer.
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (answer._tag === 'failed') waiting.reject(unpackFailure(answer.failure));
    else waiting.resolve(answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#worker.unref();
    for (const { reject } of waiting) reject(this.#failure);
  }
}
