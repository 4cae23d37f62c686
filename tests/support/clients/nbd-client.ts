// A client of NBD that says whatever a test wants it to, sound or not.

import { connect, type Socket } from 'node:net';
import {
  CHUNK,
  CHUNK_DONE,
  COMMAND,
  HANDSHAKE,
  OPTION,
  OPTION_MAGIC,
  OPTION_REPLY,
  REQUEST_MAGIC,
} from '../../../adapters/faces/nbd/protocol.ts';

/** A string with its length before it. */
export function counted(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
}

const u32 = (number: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};

/** An option; `claimed` bytes are said to come with it where that is another number. */
export function optionBytes(
  option: number,
  data: Uint8Array = Buffer.alloc(0),
  claimed?: number,
): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64BE(OPTION_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(claimed ?? data.length, 12);
  return Buffer.concat([head, data]);
}

/** What comes with GO and INFO. */
export const goData = (name: string, infos: readonly number[] = []): Buffer => {
  const rest = Buffer.alloc(2 + 2 * infos.length);
  rest.writeUInt16BE(infos.length);
  for (const [i, info] of infos.entries()) rest.writeUInt16BE(info, 2 + 2 * i);
  return Buffer.concat([counted(name), rest]);
};

/** What comes with options about metadata contexts. */
export const contextData = (name: string, queries: readonly string[]): Buffer =>
  Buffer.concat([counted(name), u32(queries.length), ...queries.map(counted)]);

export interface RequestFields {
  readonly command: number;
  readonly offsetBytes?: number | bigint;
  readonly lengthBytes?: number;
  readonly flags?: number;
  readonly cookie?: bigint;
}

/** A command, without what comes with a write. */
export function requestBytes(of: RequestFields): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(of.flags ?? 0, 4);
  bytes.writeUInt16BE(of.command, 6);
  bytes.writeBigUInt64BE(of.cookie ?? 7n, 8);
  bytes.writeBigUInt64BE(BigInt(of.offsetBytes ?? 0), 16);
  bytes.writeUInt32BE(of.lengthBytes ?? 0, 24);
  return bytes;
}

export const CLIENT_FLAGS = u32(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes);

/** An answer to an option. */
export interface OptionAnswer {
  readonly type: number;
  readonly data: Buffer;
}

/** An answer to a command: its failure, what was read, and what was said of extents. */
export interface Answer {
  readonly error: number;
  readonly message: string;
  readonly bytes: Buffer;
  /** Stretches that were told as zeros. */
  readonly holes: readonly (readonly [number, number])[];
  /** By number of the context, length and flags of each extent. */
  readonly extents: ReadonlyMap<number, readonly (readonly [number, number])[]>;
}

/** A connection; every wait fails where the server ends it first. */
export class NbdClient {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #hasEnded = false;
  #changed = (): void => undefined;
  isStructured = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#changed();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#hasEnded = true;
      this.#changed();
    });
  }

  /** Connects, and waits for nothing. */
  static connect(path: string): Promise<NbdClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => resolve(new NbdClient(socket)));
      socket.once('error', reject);
    });
  }

  /** Connects and says that it is a client. */
  static async greeted(path: string): Promise<NbdClient> {
    const client = await NbdClient.connect(path);
    await client.take(18);
    client.write(CLIENT_FLAGS);
    return client;
  }

  /** Connects and opens an export, with structured replies and these contexts. */
  static async opened(
    path: string,
    name: string,
    contexts: readonly string[] = [],
  ): Promise<NbdClient> {
    const client = await NbdClient.greeted(path);
    await client.ask(OPTION.structuredReply);
    client.isStructured = true;
    if (contexts.length > 0) await client.ask(OPTION.setMetaContext, contextData(name, contexts));
    await client.ask(OPTION.go, goData(name));
    return client;
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next bytes, so many. */
  async take(lengthBytes: number): Promise<Buffer> {
    while (this.#bytes.length < lengthBytes) {
      if (this.#hasEnded) throw new TypeError('the server ended the connection');
      await this.#change();
    }
    const taken = this.#bytes.subarray(0, lengthBytes);
    this.#bytes = this.#bytes.subarray(lengthBytes);
    return taken;
  }

  /** Waits until the server ends the connection; what it said until then is thrown away. */
  async ended(): Promise<void> {
    while (!this.#hasEnded) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }

  async #optionAnswer(): Promise<OptionAnswer> {
    const head = await this.take(20);
    return { type: head.readUInt32BE(12), data: await this.take(head.readUInt32BE(16)) };
  }

  /** Asks, and gives all answers, of which the last one ends the option. */
  async ask(option: number, data?: Uint8Array): Promise<OptionAnswer[]> {
    this.write(optionBytes(option, data));
    return this.answers();
  }

  /** Answers to an option up to the one that ends it. */
  async answers(): Promise<OptionAnswer[]> {
    const answers: OptionAnswer[] = [];
    for (;;) {
      const answer = await this.#optionAnswer();
      answers.push(answer);
      if (answer.type === OPTION_REPLY.ack || answer.type >= 0x8000_0000) return answers;
    }
  }

  /** Gives a command, alone, and its answer. */
  async do(of: RequestFields): Promise<Answer> {
    this.write(requestBytes(of));
    return this.answer(of);
  }

  /** The answer to a command that was given. */
  async answer({ command, lengthBytes = 0, offsetBytes = 0 }: RequestFields): Promise<Answer> {
    if (!this.isStructured) {
      const error = (await this.take(16)).readUInt32BE(4);
      const isRead = command === COMMAND.read && error === 0;
      const bytes = isRead ? await this.take(lengthBytes) : Buffer.alloc(0);
      return { error, message: '', bytes, holes: [], extents: new Map() };
    }
    const bytes = Buffer.alloc(command === COMMAND.read ? lengthBytes : 0);
    const holes: [number, number][] = [];
    const extents = new Map<number, [number, number][]>();
    let [error, message] = [0, ''];
    for (;;) {
      const head = await this.take(20);
      const type = head.readUInt16BE(6);
      const data = await this.take(head.readUInt32BE(16));
      const at = (): number => Number(data.readBigUInt64BE(0)) - Number(offsetBytes);
      if (type === CHUNK.data) data.copy(bytes, at(), 8);
      else if (type === CHUNK.hole) holes.push([at(), data.readUInt32BE(8)]);
      else if (type === CHUNK.blockStatus) {
        const told: [number, number][] = [];
        for (let i = 4; i < data.length; i += 8)
          told.push([data.readUInt32BE(i), data.readUInt32BE(i + 4)]);
        extents.set(data.readUInt32BE(0), told);
      } else if (type >= 0x8000) {
        error = data.readUInt32BE(0);
        message = data.toString('utf8', 6);
      }
      if ((head.readUInt16BE(4) & CHUNK_DONE) !== 0)
        return { error, message, bytes, holes, extents };
    }
  }

  /** Goes without a word. */
  close(): void {
    this.socket.destroy();
  }
}
