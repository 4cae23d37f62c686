// One client: what it says is read as fast as it is answered, and no faster. So many commands are under
// way at once, and a client that takes no answers gets no further ones made.

import type { Socket } from 'node:net';
import { Limiter } from '../../../domain/values/limiter.ts';
import { Turn } from '../../../domain/values/turn.ts';
import { ClientMessages, type Request } from './client-messages.ts';
import { Negotiation, type Agreed, type OfferedExports } from './negotiation.ts';
import { COMMAND, PIECE_BYTES } from './protocol.ts';
import { greeting } from './replies.ts';
import { Transmission, type Send } from './transmission.ts';

/** How long a client may take to say what it wants. */
const NEGOTIATION_MS = 60_000;
/** Bytes of answers that are made for a client at once. */
const UNDER_WAY_BYTES = 4 * PIECE_BYTES;
/** As what the smallest command counts: there are at most 64 of them. */
const COMMAND_BYTES_MIN = UNDER_WAY_BYTES / 64;

/** What a connection is given. */
export interface ConnectionWays {
  readonly exports: OfferedExports;
  /** Is told what could not be read for a client. */
  readonly onFailure: (message: string) => void;
}

const weightOf = ({ lengthBytes }: Request): number =>
  Math.min(PIECE_BYTES, Math.max(COMMAND_BYTES_MIN, lengthBytes));

class Connection {
  readonly #socket: Socket;
  readonly #ways: ConnectionWays;
  readonly #writes = new Turn();
  readonly #underWay = new Limiter(UNDER_WAY_BYTES);
  readonly #gone = new AbortController();
  readonly #messages = new ClientMessages();
  readonly #negotiation: Negotiation;
  #agreed: Agreed | null = null;
  #transmission: Transmission | null = null;
  #hasEnded = false;

  constructor(socket: Socket, ways: ConnectionWays) {
    this.#socket = socket;
    this.#ways = ways;
    this.#negotiation = new Negotiation(ways.exports, (bytes) => this.#send([bytes]));
    // A client that goes is no failure of ours.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#gone.abort());
  }

  /** Serves the client until it goes. */
  async serve(): Promise<void> {
    const timer = setTimeout(() => {
      if (this.#agreed === null) this.#socket.destroy();
    }, NEGOTIATION_MS);
    try {
      await this.#send([greeting()]);
      const chunks: AsyncIterable<Buffer> = this.#socket;
      for await (const chunk of chunks) {
        await this.#take(chunk);
        if (this.#hasEnded) break;
      }
    } catch (thrown) {
      if (!this.#socket.destroyed) throw thrown;
    } finally {
      clearTimeout(timer);
      this.#gone.abort();
      await this.#writes.ended();
      this.#socket.destroy();
      this.#negotiation.close();
      this.#agreed?.export.close();
    }
  }

  async #take(chunk: Buffer): Promise<void> {
    const messages = this.#messages;
    messages.push(chunk);
    for (let message = messages.next(); message !== null; message = messages.next()) {
      // Nothing is made for a client that has gone.
      if (this.#socket.destroyed) return;
      if (message._tag === 'request') await this.#request(message);
      else {
        const next = await this.#negotiation.take(message);
        if (next._tag === 'end') this.#hasEnded = true;
        if (next._tag === 'commands') this.#begin(next.agreed);
      }
      if (this.#hasEnded) return;
    }
  }

  #begin(agreed: Agreed): void {
    this.#agreed = agreed;
    this.#messages.beginRequests();
    this.#transmission = new Transmission(agreed, {
      alone: (work) => this.#alone(work),
      signal: this.#gone.signal,
      onFailure: this.#ways.onFailure,
    });
  }

  /** Begins with a command as soon as there is room for its answer. */
  async #request(request: Request): Promise<void> {
    if (request.command === COMMAND.disconnect) {
      // What was asked before is answered first.
      await this.#underWay.enter(UNDER_WAY_BYTES);
      this.#hasEnded = true;
      return;
    }
    const weight = weightOf(request);
    await this.#underWay.enter(weight);
    this.#transmission!.answer(request)
      // An answer that cannot be given, or given to its end, leaves nothing to go on with.
      .catch(() => this.#socket.destroy())
      .finally(() => this.#underWay.leave(weight));
  }

  /** Lets work send parts that belong together. Where it fails after the first the client is lost. */
  #alone(work: (send: Send) => Promise<void>): Promise<void> {
    return this.#writes.run(async () => {
      try {
        await work((parts) => this.#send(parts));
      } catch (thrown) {
        this.#socket.destroy();
        throw thrown;
      }
    });
  }

  async #send(parts: readonly Uint8Array[]): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.cork();
    for (const part of parts) socket.write(part);
    socket.uncork();
    if (!socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        socket.off('drain', end);
        socket.off('close', end);
        resolve();
      };
      socket.on('drain', end);
      socket.on('close', end);
    });
  }
}

/** Serves a client until it goes. */
export const serveConnection = (socket: Socket, ways: ConnectionWays): Promise<void> =>
  new Connection(socket, ways).serve();
