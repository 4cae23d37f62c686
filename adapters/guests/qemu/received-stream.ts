// QEMU's connection for the stream of a capture, as the recorder has it: read by whoever parses it, until
// it is left. From then on it is kept open, and where nobody else does it can be emptied, so that QEMU
// comes to the end of what it sends.

import type { Socket } from 'node:net';
import { sourceOfChunks, type ByteSource } from './byte-window.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';

export class ReceivedStream {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #isLeft = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  }

  /** Its bytes, for one parser, which gets none once the stream is left. */
  get source(): ByteSource {
    return sourceOfChunks({ [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) });
  }

  /** Gives its parser no more. */
  leave(): void {
    this.#isLeft = true;
  }

  /** Reads what is left to its end, and throws it away. */
  async drain(): Promise<void> {
    this.leave();
    try {
      for (;;) if ((await this.#chunks.next()).done === true) return;
    } catch {
      // It was cut: nothing more comes.
    }
  }

  close(): void {
    this.leave();
    this.#socket.destroy();
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const next = await this.#chunks.next();
    if (!this.#isLeft) return next;
    throw new LedgerError('STREAM_TRUNCATED', 'the stream was given up', {});
  }
}
