// A stand-in for a QEMU whose memory arrives, in a thread of its own: it asks for pages, so many at once
// and each when one of them is there, or takes all that comes. What it says in the end is the seconds
// that this took.

import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import * as layout from '../../adapters/guests/qemu/stream-layout.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { wanted, word } from '../support/guest/returned-bytes.ts';

/** What such a thread is told. */
export interface AskingTask {
  readonly path: string;
  readonly block: string;
  /** The pages to ask for, one after the other; none: all is taken as it comes. */
  readonly asked: readonly number[];
  readonly together: number;
}

const SHUT = 1;
const WORD_BYTES = 8;

/** Takes a stream of sections in, whatever parts it comes in; tells of each page and of the end. */
class Arrivals {
  #left: Buffer = Buffer.alloc(0);
  /** Whether records of pages come, and whether nothing does after them. */
  #isInSection = false;
  #isLast = false;

  readonly #onPage: (page: number) => void;
  readonly #onEnd: () => void;

  constructor(onPage: (page: number) => void, onEnd: () => void) {
    this.#onPage = onPage;
    this.#onEnd = onEnd;
  }

  take(part: Buffer): void {
    const bytes = this.#left.length === 0 ? part : Buffer.concat([this.#left, part]);
    let at = 0;
    for (let next = this.#record(bytes, at); next > 0; next = this.#record(bytes, at)) at = next;
    this.#left = bytes.subarray(at);
  }

  /** The end of a record that is there whole; 0: it is not. */
  #record(bytes: Buffer, at: number): number {
    return this.#isInSection ? this.#pageAt(bytes, at) : this.#beginAt(bytes, at);
  }

  #beginAt(bytes: Buffer, at: number): number {
    if (this.#isLast && at < bytes.length) {
      this.#onEnd();
      return 0;
    }
    if (at + 5 > bytes.length) return 0;
    this.#isInSection = true;
    this.#isLast = bytes[at] === layout.RECORD_END;
    return at + 5;
  }

  #pageAt(bytes: Buffer, at: number): number {
    if (at + WORD_BYTES + 1 > bytes.length) return 0;
    const said = Number(bytes.readBigUInt64BE(at));
    const flags = said % (layout.RAM_FLAGS_MASK + 1);
    let end = at + WORD_BYTES;
    if ((flags & layout.RAM_EOS) !== 0) {
      // Behind them their footer.
      if (end + 5 > bytes.length) return 0;
      this.#isInSection = false;
      return end + 5;
    }
    if ((flags & layout.RAM_CONTINUE) === 0) end += 1 + bytes[end]!;
    end += (flags & layout.RAM_PAGE) === 0 ? 1 : PAGE_BYTES;
    if (end > bytes.length) return 0;
    this.#onPage(Math.floor(said / PAGE_BYTES));
    return end;
  }
}

async function asking(socket: Socket, { block, asked, together }: AskingTask): Promise<void> {
  const has = new Set<number>();
  const waiting = new Set<number>();
  let at = 0;
  await new Promise<void>((resolve) => {
    const ask = (): void => {
      while (waiting.size < together && at < asked.length) {
        const page = asked[(at += 1) - 1]!;
        if (has.has(page)) continue;
        waiting.add(page);
        socket.write(wanted({ block, page }));
      }
      if (waiting.size === 0) resolve();
    };
    const arrivals = new Arrivals(
      (page) => {
        has.add(page);
        if (waiting.delete(page)) ask();
      },
      () => undefined,
    );
    socket.on('data', (part: Buffer) => arrivals.take(part));
    ask();
  });
}

async function taking(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const arrivals = new Arrivals(() => undefined, resolve);
    socket.on('data', (part: Buffer) => arrivals.take(part));
  });
  socket.write(word(SHUT, 0));
}

const task = workerData as AskingTask;
const socket = connect(task.path, () => {
  const begun = performance.now();
  void (task.asked.length > 0 ? asking(socket, task) : taking(socket)).then(() => {
    parentPort!.postMessage((performance.now() - begun) / 1000);
    return socket.end();
  });
});
