// What an NBD client says, read from whatever pieces its bytes come in. Sizes are checked before there
// is room made for anything: no more is held than one option of OPTION_BYTES_MAX. What comes with a
// write is passed over, and never held.

import { COMMAND, OPTION_BYTES_MAX, OPTION_MAGIC, REQUEST_MAGIC } from './protocol.ts';

/** A command on an export. */
export interface Request {
  readonly flags: number;
  readonly command: number;
  /** What the client knows its answer by. */
  readonly cookie: bigint;
  readonly offsetBytes: bigint;
  readonly lengthBytes: number;
}

export type ClientMessage =
  | { readonly _tag: 'flags'; readonly flags: number }
  | { readonly _tag: 'option'; readonly option: number; readonly data: Buffer }
  /** Its data was more than is taken: nothing that follows can be read. */
  | { readonly _tag: 'option too big'; readonly option: number; readonly lengthBytes: number }
  | ({ readonly _tag: 'request' } & Request)
  /** This is no client of ours: nothing that follows can be read. */
  | { readonly _tag: 'broken'; readonly why: string };

/** An option whose data is being read: so many bytes of it are there. */
interface OptionRead {
  readonly option: number;
  readonly data: Buffer;
  bytes: number;
}

type Phase = 'flags' | 'options' | 'requests' | 'ended';

const FLAGS_BYTES = 4;
const OPTION_BYTES = 16;
const REQUEST_BYTES = 28;
const HEAD_BYTES: Readonly<Record<Phase, number>> = {
  flags: FLAGS_BYTES,
  options: OPTION_BYTES,
  requests: REQUEST_BYTES,
  ended: 0,
};

const hex = (number: bigint | number): string => `0x${number.toString(16)}`;

/** The messages of one connection. Give it bytes with `push`, then take messages until there is none. */
export class ClientMessages {
  #phase: Phase = 'flags';
  readonly #head = Buffer.alloc(REQUEST_BYTES);
  #headBytes = 0;
  #option: OptionRead | null = null;
  /** Bytes of a write that are still to be passed over. */
  #passed = 0;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;

  /** Gives it what came next. All that was given before must have been taken. */
  push(chunk: Buffer): void {
    this.#chunk = this.#at === this.#chunk.length ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#at = 0;
  }

  /** Whether bytes came that no message was made of yet. */
  get hasMore(): boolean {
    return this.#headBytes > 0 || this.#option !== null || this.#at < this.#chunk.length;
  }

  /** From here on the client sends options, on a connection that was begun before. */
  beginOptions(): void {
    this.#phase = 'options';
  }

  /** From here on the client sends commands. */
  beginRequests(): void {
    this.#phase = 'requests';
  }

  /** The next message; null: more must come first. */
  next(): ClientMessage | null {
    if (this.#phase === 'ended' || !this.#pass()) return null;
    if (this.#option !== null) return this.#dataOf(this.#option);
    if (!this.#fillHead()) return null;
    if (this.#phase === 'requests') return this.#request();
    if (this.#phase === 'options') return this.#optionHead();
    this.#phase = 'options';
    return { _tag: 'flags', flags: this.#head.readUInt32BE(0) };
  }

  get #rest(): Buffer {
    return this.#chunk.subarray(this.#at);
  }

  #broken(why: string): ClientMessage {
    this.#phase = 'ended';
    return { _tag: 'broken', why };
  }

  /** Passes over what came with a write; whether all of it is past. */
  #pass(): boolean {
    const passed = Math.min(this.#passed, this.#chunk.length - this.#at);
    this.#passed -= passed;
    this.#at += passed;
    return this.#passed === 0;
  }

  /** Whether a whole head is there; then the next one begins. */
  #fillHead(): boolean {
    const wanted = HEAD_BYTES[this.#phase];
    const taken = Math.min(wanted - this.#headBytes, this.#chunk.length - this.#at);
    this.#chunk.copy(this.#head, this.#headBytes, this.#at, this.#at + taken);
    this.#at += taken;
    this.#headBytes += taken;
    if (this.#headBytes < wanted) return false;
    this.#headBytes = 0;
    return true;
  }

  #optionHead(): ClientMessage | null {
    const magic = this.#head.readBigUInt64BE(0);
    if (magic !== OPTION_MAGIC)
      return this.#broken(`an option begins with ${hex(magic)}, not ${hex(OPTION_MAGIC)}`);
    const option = this.#head.readUInt32BE(8);
    const lengthBytes = this.#head.readUInt32BE(12);
    if (lengthBytes > OPTION_BYTES_MAX) {
      this.#phase = 'ended';
      return { _tag: 'option too big', option, lengthBytes };
    }
    this.#option = { option, data: Buffer.alloc(lengthBytes), bytes: 0 };
    return this.#dataOf(this.#option);
  }

  #dataOf(of: OptionRead): ClientMessage | null {
    const taken = Math.min(of.data.length - of.bytes, this.#chunk.length - this.#at);
    this.#chunk.copy(of.data, of.bytes, this.#at, this.#at + taken);
    this.#at += taken;
    of.bytes += taken;
    if (of.bytes < of.data.length) return null;
    this.#option = null;
    return { _tag: 'option', option: of.option, data: of.data };
  }

  #request(): ClientMessage {
    const magic = this.#head.readUInt32BE(0);
    if (magic !== REQUEST_MAGIC)
      return this.#broken(`a command begins with ${hex(magic)}, not ${hex(REQUEST_MAGIC)}`);
    const request = {
      flags: this.#head.readUInt16BE(4),
      command: this.#head.readUInt16BE(6),
      cookie: this.#head.readBigUInt64BE(8),
      offsetBytes: this.#head.readBigUInt64BE(16),
      lengthBytes: this.#head.readUInt32BE(24),
    };
    if (request.command === COMMAND.write) this.#passed = request.lengthBytes;
    return { _tag: 'request', ...request };
  }
}

/** Reads what came with an option, and knows where it ends. */
export class OptionData {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Whether nothing is left. */
  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u16(): number | null {
    const at = this.#take(2);
    return at === null ? null : this.#bytes.readUInt16BE(at);
  }

  u32(): number | null {
    const at = this.#take(4);
    return at === null ? null : this.#bytes.readUInt32BE(at);
  }

  /** A string with its length before it; null where it ends too early, or is longer than is taken. */
  string(bytesMax: number): string | null {
    const length = this.u32();
    if (length === null || length > bytesMax) return null;
    const at = this.#take(length);
    return at === null ? null : this.#bytes.toString('utf8', at, at + length);
  }

  /** So many numbers of 16 bits. */
  u16s(count: number): readonly number[] | null {
    const at = this.#take(2 * count);
    if (at === null) return null;
    return Array.from({ length: count }, (_, i) => this.#bytes.readUInt16BE(at + 2 * i));
  }

  #take(length: number): number | null {
    const at = this.#at;
    if (at + length > this.#bytes.length) return null;
    this.#at += length;
    return at;
  }
}
