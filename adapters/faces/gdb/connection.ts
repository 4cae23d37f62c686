// One client of GDB's remote protocol: packets in, answers out, one after the other. An interrupt comes
// in between and ends the search that is under way.

import { packetOf, PacketReader, PacketTooLong, type Incoming } from './packets.ts';
import { GdbTarget } from './target.ts';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';

/** Packets that wait while one is answered; a client sends one at a time. */
const WAITING_MAX = 64;

/** Where packets come from, and where answers go. */
export interface Wire {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly write: (bytes: Buffer) => void;
  /** Lets the client go. */
  readonly end: () => void;
}

export class GdbConnection {
  readonly #wire: Wire;
  readonly #target: GdbTarget;
  readonly #waiting: Incoming[] = [];
  #isAcked = true;
  #last: Buffer | null = null;
  #isAnswering = false;
  #isOver = false;
  #failure: Error | null = null;

  constructor(vm: DebuggedVm, wire: Wire) {
    this.#wire = wire;
    this.#target = new GdbTarget(vm, (text) => this.#show(text));
  }

  #show(text: string): void {
    this.#wire.write(packetOf(`O${Buffer.from(text, 'utf8').toString('hex')}`));
  }

  #send(reply: string): void {
    this.#last = packetOf(reply);
    this.#wire.write(this.#last);
  }

  /** Answers until the client goes. It never fails by what a client sends. */
  async serve(): Promise<void> {
    const reader = new PacketReader();
    let answering: Promise<void> = Promise.resolve();
    try {
      for await (const chunk of this.#wire.chunks) {
        for (const incoming of reader.take(chunk))
          if (incoming.kind !== 'interrupt') this.#waiting.push(incoming);
          else if (this.#isAnswering || this.#waiting.length > 0) this.#target.interrupt();
        if (this.#waiting.length > WAITING_MAX) break;
        answering = answering.then(() => this.#answerAll());
        // What was sent after a farewell is for nobody.
        if (this.#waiting.some(isFarewell)) await answering;
        if (this.#isOver) break;
      }
    } catch (thrown) {
      if (!(thrown instanceof PacketTooLong)) throw thrown;
    } finally {
      // What is left was asked by nobody who waits for it.
      this.#waiting.length = 0;
      this.#target.interrupt();
      await answering;
    }
    if (this.#failure !== null) throw this.#failure;
  }

  /** Answers what waits. What goes wrong on our side ends the connection, and is told at its end. */
  async #answerAll(): Promise<void> {
    this.#isAnswering = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
        if (!this.#isOver) this.#isOver = await this.#take(next);
      this.#target.rest();
    } catch (thrown) {
      this.#failure = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#isOver = true;
      this.#wire.end();
    } finally {
      this.#isAnswering = false;
    }
  }

  /** Whether that was the last. */
  async #take(incoming: Incoming): Promise<boolean> {
    if (incoming.kind === 'again') {
      if (this.#last !== null) this.#wire.write(this.#last);
      return false;
    }
    if (incoming.kind !== 'packet') {
      if (this.#isAcked) this.#wire.write(Buffer.from('-'));
      return false;
    }
    if (this.#isAcked) this.#wire.write(Buffer.from('+'));
    const { payload } = incoming;
    const { reply, isLast = false } = await this.#target.answer(payload);
    if (reply !== null) this.#send(reply);
    if (payload === 'QStartNoAckMode') this.#isAcked = false;
    return isLast;
  }
}

const isFarewell = (incoming: Incoming): boolean =>
  incoming.kind === 'packet' && /^(?:D|k|vKill)/u.test(incoming.payload);
