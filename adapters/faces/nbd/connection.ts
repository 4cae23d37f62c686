// One client: what it says is read as fast as it is answered, and no faster. So many commands are under
// way at once, and a client that takes no answers gets no further ones made.

import type { Socket } from 'node:net';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { Limiter } from '../../../domain/values/limiter.ts';
import { Turn } from '../../../domain/values/turn.ts';
import { ClientMessages, type Request } from './client-messages.ts';
import { secureAsServer, type SharedKey } from '../sockets/shared-key.ts';
import { Negotiation, type Agreed, type OfferedExports, type Security } from './negotiation.ts';
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
  /** What clients must encrypt with; absent: nothing is. */
  readonly key?: SharedKey;
  /** Is told what could not be read for a client. */
  readonly onFailure: (message: string) => void;
}

const weightOf = ({ lengthBytes }: Request): number =>
  Math.min(PIECE_BYTES, Math.max(COMMAND_BYTES_MIN, lengthBytes));

class Connection {
  #socket: Socket;
  readonly #ways: ConnectionWays;
  readonly #writes = new Turn();
  readonly #underWay = new Limiter(UNDER_WAY_BYTES);
  readonly #gone = new AbortController();
  #messages = new ClientMessages();
  #negotiation: Negotiation;
  #agreed: Agreed | null = null;
  #transmission: Transmission | null = null;
  #hasEnded = false;

  constructor(socket: Socket, ways: ConnectionWays) {
    this.#socket = socket;
    this.#ways = ways;
    this.#negotiation = this.#negotiated(ways.key === undefined ? 'none' : 'to come');
    // A client that goes is no failure of ours.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#gone.abort());
  }

  #negotiated(security: Security): Negotiation {
    return new Negotiation(this.#ways.exports, (bytes) => this.#send([bytes]), security);
  }

  /** Serves the client until it goes. */
  async serve(): Promise<void> {
    const timer = setTimeout(() => {
      if (this.#agreed === null) this.#socket.destroy();
    }, NEGOTIATION_MS);
    try {
      await this.#send([greeting()]);
      while (!this.#hasEnded) {
        const of = this.#socket;
        await this.#readAll(of);
        // It is another one where it is encrypted from now on.
        if (of === this.#socket) break;
      }
    } catch (thrown) {
      const isRefused = isLedgerError(thrown) && thrown.code === 'PEER_REFUSED';
      if (isRefused) this.#ways.onFailure(thrown.message);
      else if (!this.#socket.destroyed) throw thrown;
    } finally {
      clearTimeout(timer);
      this.#gone.abort();
      await this.#writes.ended();
      this.#socket.destroy();
      this.#negotiation.close();
      this.#agreed?.export.close();
    }
  }

  /** Takes what comes on a socket, until it ends or another one is in its place. */
  async #readAll(socket: Socket): Promise<void> {
    const chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
    for await (const chunk of chunks) {
      await this.#take(chunk);
      if (this.#hasEnded || socket !== this.#socket) return;
    }
  }

  /** Goes on encrypted, from the options on. What was sent before that nobody has asked for ends it. */
  async #secure(key: SharedKey): Promise<void> {
    if (this.#messages.hasMore) {
      this.#hasEnded = true;
      return;
    }
    this.#negotiation.close();
    this.#socket = await secureAsServer(this.#socket, key);
    this.#socket.on('error', () => undefined);
    this.#messages = new ClientMessages();
    this.#messages.beginOptions();
    this.#negotiation = this.#negotiated('there');
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
        if (next._tag === 'secure') return this.#secure(this.#ways.key!);
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

  /** Sends parts that belong together; they are read no longer when it resolves. */
  async #send(parts: readonly Uint8Array[]): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        socket.off('close', end);
        resolve();
      };
      socket.on('close', end);
      socket.cork();
      for (const [i, part] of parts.entries())
        if (i < parts.length - 1) socket.write(part);
        // Of a client that went it is called before whoever makes answers hears of that.
        else
          socket.write(part, () => {
            if (!socket.destroyed) end();
          });
      socket.uncork();
    });
  }
}

/** Serves a client until it goes. */
export const serveConnection = (socket: Socket, ways: ConnectionWays): Promise<void> =>
  new Connection(socket, ways).serve();
