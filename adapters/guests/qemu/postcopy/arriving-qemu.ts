// A QEMU as a guest whose memory still arrives: one socket, pages on the way there, demands on the way
// back. What it says is read from before the first byte is sent: it asks for pages while it loads its
// devices.

import type { Socket } from 'node:net';
import { assert } from '../../../../domain/values/assert.ts';
import { isLedgerError, LedgerError } from '../../../../domain/values/ledger-error.ts';
import type { DeviceState } from '../../../../domain/values/device-state.ts';
import { pageCountOf, type MemoryMap } from '../../../../domain/values/memory-map.ts';
import type {
  ArrivingGuest,
  DemandListener,
  PageDemand,
} from '../../../../domain/ports/arriving-guest.ts';
import { sinkOfWritable, type ByteSink } from '../../byte-sink.ts';
import * as stream from './arriving-stream.ts';
import { ReturnPath, type Returned } from './return-path.ts';

export interface ArrivingQemuRequest {
  readonly socket: Socket;
  readonly memoryMap: MemoryMap;
  /** What messages call it. */
  readonly path: string;
}

/** A waiting answer to something that was asked on the way there. */
interface Awaited {
  readonly resolve: (message: Returned) => void;
  readonly reject: (failure: Error) => void;
}

/** Most demands from before somebody listens: a guest that stands has asked for what its processors lack. */
const EARLY_MAX = 4096;

export class ArrivingQemu implements ArrivingGuest {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #memoryMap: MemoryMap;
  readonly #sink: ByteSink;
  readonly #returnPath: ReturnPath;
  readonly #records: stream.ArrivingPages;
  /** Demands from before somebody listens. */
  readonly #early: PageDemand[] = [];
  #listener: DemandListener | null = null;
  #awaited: Awaited | null = null;
  /** Why it is over; null: as it should be. Absent: it is not. */
  #ended: { readonly failure: Error | null } | null = null;

  constructor({ socket, memoryMap, path }: ArrivingQemuRequest) {
    this.#socket = socket;
    this.#path = path;
    this.#memoryMap = memoryMap;
    this.#sink = sinkOfWritable(socket);
    this.#returnPath = new ReturnPath(memoryMap, path);
    this.#records = new stream.ArrivingPages(memoryMap);
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    // A cut connection is a guest that is gone, or stands: who listens is told once.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#end(null));
  }

  /** Sends what the guest needs to run. */
  begin(device: DeviceState): Promise<void> {
    return this.#sink(stream.arrivalOf(this.#memoryMap, device));
  }

  /** Of a guest that was left: which of its pages it has; from then on it goes on. */
  async goOn(): Promise<Uint8Array> {
    const given = new Uint8Array(pageCountOf(this.#memoryMap));
    let at = 0;
    for (const { name, pages } of this.#memoryMap.blocks) {
      const answer = await this.#ask(stream.receivedQuestion(name), 'received');
      assert(answer._tag === 'received', 'what was awaited came');
      if (answer.block !== name) throw this.#failed(`told of ${answer.block}, asked for ${name}`);
      given.set(answer.has, at);
      at += pages;
    }
    await this.#ask(stream.goOn(), 'resumed');
    return given;
  }

  #ask(question: Uint8Array, wanted: Returned['_tag']): Promise<Returned> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended.failure ?? this.#failed('closed the connection'));
        return;
      }
      this.#awaited = {
        resolve: (message) => {
          if (message._tag === wanted) resolve(message);
          else reject(this.#failed(`answered with ${message._tag}`));
        },
        reject,
      };
      this.#sink(question).catch(reject);
    });
  }

  listen(listener: DemandListener): void {
    this.#listener = listener;
    for (const demand of this.#early.splice(0)) listener.onDemand(demand);
    if (this.#ended !== null) listener.onEnd(this.#ended.failure);
  }

  async give(given: Parameters<ArrivingGuest['give']>[0]): Promise<void> {
    const { bytes, giveBack } = this.#records.section(given);
    await this.#written(bytes);
    giveBack();
  }

  finish(): Promise<void> {
    return this.#written(stream.arrivalEnd());
  }

  /** Writes to a guest that may end meanwhile: that is told before the write is known to have failed. */
  async #written(bytes: Uint8Array): Promise<void> {
    try {
      await this.#sink(bytes);
    } catch (thrown) {
      this.#end(null);
      throw thrown;
    }
  }

  leave(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    if (this.#ended !== null) return;
    try {
      for (const message of this.#returnPath.take(bytes)) this.#hear(message);
    } catch (thrown) {
      if (!isLedgerError(thrown)) throw thrown;
      this.#end(thrown);
      this.#socket.destroy();
    }
  }

  #hear(message: Returned): void {
    switch (message._tag) {
      case 'wanted': {
        const { firstPage, count } = message;
        if (this.#listener === null) {
          if (this.#early.length === EARLY_MAX)
            throw this.#failed(`asked for more than ${EARLY_MAX} pages before it went on`);
          this.#early.push({ firstPage, count });
        } else this.#listener.onDemand({ firstPage, count });
        return;
      }
      case 'shut':
        this.#end(
          message.status === 0 ? null : this.#failed(`gave up with status ${message.status}`),
        );
        return;
      case 'pong':
        return;
      case 'received':
      case 'resumed': {
        const awaited = this.#awaited;
        this.#awaited = null;
        if (awaited === null) throw this.#failed(`answered what nobody asked (${message._tag})`);
        awaited.resolve(message);
        return;
      }
      default:
        message satisfies never;
    }
  }

  #end(failure: Error | null): void {
    if (this.#ended !== null) return;
    this.#ended = { failure };
    this.#awaited?.reject(failure ?? this.#failed('closed the connection'));
    this.#listener?.onEnd(failure);
  }

  #failed(how: string): LedgerError {
    return new LedgerError('QEMU_FAILED', `${this.#path}: the guest's QEMU ${how}`, {
      path: this.#path,
    });
  }
}
