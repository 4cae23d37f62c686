// A runner on a worker thread. The thread keeps the process alive only while a call is under way. A
// thread that dies fails the calls under way and all that follow.

import { Worker } from 'node:worker_threads';
import { assert } from '../../domain/assert.ts';
import { LedgerError } from '../../domain/ledger-error.ts';
import type {
  EngineKeys,
  FillRequest,
  ScanRequest,
  StoredBlocks,
} from '../../domain/page-engine.ts';
import type { ChunkColumns, StoreRequest } from './page-core.ts';
import type { PageRunner } from './page-runner.ts';
import { unpackFailure } from './thread-messages.ts';
import type { ThreadAnswer, ThreadCall, ThreadReply, ThreadWork } from './thread-messages.ts';

interface Waiting {
  readonly resolve: (answer: ThreadAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** The buffer of a fill is made this much larger than asked, so that the next one fits too. */
const FILL_BUFFER_STEP_BYTES = 1024 * 1024;

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
  readonly #fillBuffers: SharedArrayBuffer[] = [];
  #calls = 0;
  #sentKeys: EngineKeys | null = null;
  #failure: Error | null = null;

  /** `entry` is the thread's program; another one than the engine's is of use to tests only. */
  constructor({ entry = ENTRY }: { readonly entry?: URL } = {}) {
    // Options of the process's own command line, such as --input-type, are not for a thread.
    this.#worker = new Worker(entry, { execArgv: [] });
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

  async store(slot: number, { rows, cuts }: StoreRequest): Promise<StoredBlocks> {
    // A view is sent with its whole buffer, so a copy is sent.
    const request = { rows: rows.slice(), cuts };
    const answer = await this.#call({ _tag: 'store', slot, request }, [request.rows.buffer]);
    assert(answer._tag === 'stored', 'a store is answered with blocks');
    return answer.blocks;
  }

  async fill(request: FillRequest): Promise<void> {
    const { blocks, bytes } = request;
    const shared = this.#takeBuffer(bytes.byteLength);
    const sent = new Uint8Array(shared, 0, bytes.byteLength);
    sent.set(bytes);
    const copy: FillRequest = {
      bytes: sent,
      blocks: {
        codecs: blocks.codecs.slice(),
        pages: blocks.pages.slice(),
        lengths: blocks.lengths.slice(),
        checksums: blocks.checksums.slice(),
      },
      slots: request.slots.slice(),
      pages: request.pages.slice(),
      fd: request.fd,
      offsetBytes: request.offsetBytes,
      label: request.label,
    };
    try {
      await this.#call({ _tag: 'fill', request: copy });
    } finally {
      this.#fillBuffers.push(shared);
    }
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

  #takeBuffer(lengthBytes: number): SharedArrayBuffer {
    const buffer = this.#fillBuffers.pop();
    if (buffer !== undefined && buffer.byteLength >= lengthBytes) return buffer;
    const steps = Math.ceil(lengthBytes / FILL_BUFFER_STEP_BYTES) + 1;
    return new SharedArrayBuffer(steps * FILL_BUFFER_STEP_BYTES);
  }

  async #call(work: ThreadWork, transfer: readonly ArrayBuffer[] = []): Promise<ThreadAnswer> {
    if (this.#failure !== null) throw this.#failure;
    this.#calls += 1;
    const call: ThreadCall = { id: this.#calls, work };
    // Sent first: what cannot be sent throws here, and nobody waits for its answer.
    this.#worker.postMessage(call, transfer);
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
