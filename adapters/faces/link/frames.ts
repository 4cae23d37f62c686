// Frames of the link between two hosts (docs/format.md, "The link"): a length, a kind, a body. Lengths are
// checked before anything is kept, and what is read is at most one frame ahead.

import type { Duplex } from 'node:stream';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { linkInvalid } from '../../wiring/hosts/arrival.ts';

/** Most bytes of a frame's body. */
export const FRAME_BYTES_MAX = 2 ** 21;
const HEADER_BYTES = 5;
/** How long a peer may say nothing, and how often one that works on says so. */
export interface LinkTimes {
  readonly silenceMs: number;
  readonly aliveMs: number;
  /** As often, at most, with nothing else between: longer work than that is none. */
  readonly aliveMax: number;
}

/** Silence of two minutes ends a link, and so do four hours in which nothing but signs of life came. */
export const LINK_TIMES: LinkTimes = { silenceMs: 120_000, aliveMs: 30_000, aliveMax: 480 };

/** Kinds of frames, by number. */
export const KINDS = {
  hello: 1,
  offer: 2,
  identifiers: 3,
  wanted: 4,
  pages: 5,
  device: 6,
  sent: 7,
  recorded: 8,
  handOver: 9,
  completed: 10,
  ask: 11,
  answer: 12,
  refused: 13,
  contents: 14,
  part: 15,
  patches: 16,
  alive: 17,
  check: 18,
  checked: 19,
  request: 20,
  moved: 21,
  known: 22,
  change: 23,
} as const;
export type FrameKind = keyof typeof KINDS;

const isKind = (name: string): name is FrameKind => Object.hasOwn(KINDS, name);
/** The kind of a number, or undefined. */
const kindOf = (number: number): FrameKind | undefined =>
  Object.keys(KINDS)
    .filter(isKind)
    .find((name) => KINDS[name] === number);

export interface Frame {
  readonly kind: FrameKind;
  readonly body: Uint8Array;
}

/** The bytes of a frame, in two parts. */
export function frameBytes(kind: FrameKind, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length, true);
  bytes[4] = KINDS[kind];
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

const lost = (why: string, cause?: unknown): LedgerError =>
  new LedgerError('LINK_LOST', `the other host is gone: ${why}`, {}, cause);

const NOTHING = new Uint8Array(0);

/** A connection to another host: frames, one after the other. */
export class Link {
  readonly #socket: Duplex;
  readonly #times: LinkTimes;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  /** Bytes of frames so far, both ways. */
  bytes = 0;

  constructor(socket: Duplex, times: LinkTimes = LINK_TIMES) {
    this.#socket = socket;
    this.#times = times;
    this.#chunks = (socket as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  }

  /** Sends a frame; waits while the peer does not take it. LINK_LOST. */
  async send(kind: FrameKind, body: Uint8Array): Promise<void> {
    const bytes = frameBytes(kind, body);
    this.bytes += bytes.length;
    if (this.#socket.destroyed) throw lost('the connection is closed');
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(lost(error.message, error));
      });
    });
  }

  /**
   * So many bytes, which share their memory with nothing else that came; null: the peer ended before the
   * first of them.
   */
  async #take(count: number): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(count);
    for (let have = 0; ;) {
      const some = this.#rest.subarray(0, count - have);
      bytes.set(some, have);
      have += some.length;
      this.#rest = this.#rest.subarray(some.length);
      if (have === count) return bytes;
      const next = await this.#chunks.next().catch((thrown: unknown) => {
        throw lost(thrown instanceof Error ? thrown.message : String(thrown), thrown);
      });
      if (next.done === true) {
        if (have === 0) return null;
        throw lost('it broke off inside a message');
      }
      this.#rest = next.value;
    }
  }

  /**
   * Works while the peer waits, and says now and then that it does: the peer would take the silence for
   * the end. Nothing else may be sent meanwhile.
   */
  async working<A>(work: () => Promise<A>): Promise<A> {
    // What cannot be sent is met where something is sent next.
    const say = (): void => void this.send('alive', NOTHING).catch(() => undefined);
    const timer = setInterval(say, this.#times.aliveMs);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  /**
   * The next frame that says something; null: the peer ended. LINK_INVALID for what is none, and for a
   * peer that says nothing but that it is there, LINK_LOST.
   */
  async next(): Promise<Frame | null> {
    for (let signs = 0; ; signs += 1) {
      const frame = await this.#frame();
      if (frame?.kind !== 'alive') return frame;
      if (frame.body.length > 0 || signs >= this.#times.aliveMax)
        throw linkInvalid(`it said ${signs + 1} times that it is there, and nothing else`);
    }
  }

  async #frame(): Promise<Frame | null> {
    const header = await this.#take(HEADER_BYTES);
    if (header === null) return null;
    const length = new DataView(header.buffer, header.byteOffset).getUint32(0, true);
    const kind = kindOf(header[4]!);
    if (length > FRAME_BYTES_MAX)
      throw linkInvalid(`a message of ${length} bytes; at most ${FRAME_BYTES_MAX} were expected`);
    if (kind === undefined) throw linkInvalid(`a message of kind ${header[4]!}`);
    const body = await this.#take(length);
    if (body === null && length > 0) throw lost('it broke off before a message');
    this.bytes += HEADER_BYTES + length;
    return { kind, body: body ?? NOTHING };
  }

  /** The next frame, which is of this kind. */
  async expect(kind: FrameKind): Promise<Uint8Array> {
    const frame = await this.next();
    if (frame === null) throw lost(`it ended where ${kind} was expected`);
    if (frame.kind !== kind) throw linkInvalid(`${frame.kind} came where ${kind} was expected`);
    return frame.body;
  }

  close(): void {
    this.#socket.destroy();
  }
}
