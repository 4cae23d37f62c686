// A client of a memory server: one export, read. What the other side says is checked before anything is
// made of it; what is no sound answer ends the connection, and fails what was asked on it.

import type { Socket } from 'node:net';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { connectTo } from '../sockets/connect-to.ts';
import type { ListenAddress } from '../sockets/listen-address.ts';
import { secureAsClient, type SharedKey } from '../sockets/shared-key.ts';
import {
  COMMAND,
  HANDSHAKE,
  HANDSHAKE_MAGIC,
  INFO,
  OPTION,
  OPTION_BYTES_MAX,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
  READ_BYTES_MAX,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
} from './protocol.ts';

const ANSWER_MS = 30_000;
const GREETING_BYTES = 18;
const REPLY_BYTES = 20;
const SIMPLE_REPLY_BYTES = 16;
/** Answers to one option: more are a flood. */
const REPLIES_MAX = 64;
const EXPORT_INFO_BYTES = 12;

export const placeText = (at: ListenAddress): string =>
  at.kind === 'unix' ? at.path : `${at.host}:${at.port}`;

/** What a server does not, or what it is not. */
export const farFailure = (at: ListenAddress, why: string): LedgerError =>
  new LedgerError('PEER_UNREACHABLE', `the memory server at ${placeText(at)} ${why}`, {
    address: placeText(at),
  });

const invalid = (at: ListenAddress, why: string): LedgerError =>
  new LedgerError(
    'PEER_REFUSED',
    `what answers at ${placeText(at)} is no memory server that this release knows: ${why}`,
    { address: placeText(at) },
  );

/** Bytes as they come, taken in the lengths that are expected. */
class Incoming {
  readonly #chunks: AsyncIterator<Buffer>;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  /** So many bytes; null: it ended before. */
  async take(length: number): Promise<Buffer | null> {
    const parts = [this.#bytes];
    let there = this.#bytes.length;
    while (there < length) {
      const next = await this.#chunks.next();
      if (next.done === true) return null;
      parts.push(next.value);
      there += next.value.length;
    }
    const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts, there);
    this.#bytes = all.subarray(length);
    return all.subarray(0, length);
  }
}

interface OptionAnswer {
  readonly type: number;
  readonly data: Buffer;
}

/** An export of a server, open until it is closed or the server goes. */
export class FarClient {
  readonly #at: ListenAddress;
  readonly #socket: Socket;
  readonly #incoming: Incoming;
  readonly sizeBytes: number;
  /** What the server calls it. */
  readonly description: string;
  #asked: Promise<unknown> = Promise.resolve();
  #cookie = 0n;

  private constructor(
    at: ListenAddress,
    of: {
      readonly socket: Socket;
      readonly incoming: Incoming;
      readonly sizeBytes: number;
      readonly description: string;
    },
  ) {
    this.#at = at;
    this.#socket = of.socket;
    this.#incoming = of.incoming;
    this.sizeBytes = of.sizeBytes;
    this.description = of.description;
  }

  /** Opens an export. PEER_UNREACHABLE; PEER_REFUSED: without the key, or no such server. */
  static async open(
    at: ListenAddress,
    { name, key }: { readonly name: string; readonly key: SharedKey | null },
  ): Promise<FarClient> {
    const plain = await connected(at);
    let socket = plain;
    const timer = setTimeout(() => plain.destroy(), ANSWER_MS);
    try {
      const first = new Incoming(plain);
      const greeting = await taken(at, first, GREETING_BYTES);
      const isServer =
        greeting.readBigUInt64BE(0) === HANDSHAKE_MAGIC &&
        greeting.readBigUInt64BE(8) === OPTION_MAGIC &&
        (greeting.readUInt16BE(16) & HANDSHAKE.fixedNewstyle) !== 0;
      if (!isServer) throw invalid(at, 'it greets otherwise');
      const flags = Buffer.alloc(4);
      flags.writeUInt32BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes);
      plain.write(flags);
      if (key !== null) {
        await acknowledged(at, { socket, incoming: first }, OPTION.startTls, Buffer.alloc(0));
        socket = await secureAsClient(plain, key);
        socket.on('error', () => undefined);
      }
      const incoming = key === null ? first : new Incoming(socket);
      const answers = await acknowledged(at, { socket, incoming }, OPTION.go, goData(name));
      return new FarClient(at, { socket, incoming, ...factsOf(at, answers) });
    } catch (thrown) {
      socket.destroy();
      throw thrown;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Bytes of the export. PEER_UNREACHABLE, after which it is of no use. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const read = this.#asked.then(() => this.#read(offsetBytes, lengthBytes));
    this.#asked = read.catch(() => undefined);
    return read;
  }

  async #read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    if (this.#socket.destroyed) throw farFailure(this.#at, 'has gone');
    const timer = setTimeout(() => this.#socket.destroy(), ANSWER_MS);
    try {
      this.#cookie += 1n;
      const request = Buffer.alloc(28);
      request.writeUInt32BE(REQUEST_MAGIC, 0);
      request.writeUInt16BE(COMMAND.read, 6);
      request.writeBigUInt64BE(this.#cookie, 8);
      request.writeBigUInt64BE(BigInt(offsetBytes), 16);
      request.writeUInt32BE(lengthBytes, 24);
      this.#socket.write(request);
      const head = await taken(this.#at, this.#incoming, SIMPLE_REPLY_BYTES);
      const isAnswer =
        head.readUInt32BE(0) === SIMPLE_REPLY_MAGIC && head.readBigUInt64BE(8) === this.#cookie;
      if (!isAnswer) throw farFailure(this.#at, 'answers what was not asked');
      const error = head.readUInt32BE(4);
      if (error !== 0) throw farFailure(this.#at, `cannot read its point (error ${error})`);
      return await taken(this.#at, this.#incoming, lengthBytes);
    } catch (thrown) {
      this.#socket.destroy();
      throw thrown;
    } finally {
      clearTimeout(timer);
    }
  }

  /** All of it, where that is no more than so many bytes. */
  async readAll(bytesMax: number): Promise<Buffer> {
    if (this.sizeBytes > bytesMax)
      throw invalid(this.#at, `it claims ${this.sizeBytes} bytes where at most ${bytesMax} belong`);
    const parts: Buffer[] = [];
    for (let at = 0; at < this.sizeBytes; at += READ_BYTES_MAX / 32)
      parts.push(await this.read(at, Math.min(READ_BYTES_MAX / 32, this.sizeBytes - at)));
    return Buffer.concat(parts);
  }

  close(): void {
    this.#socket.destroy();
  }
}

const connected = (at: ListenAddress): Promise<Socket> =>
  connectTo(at, ANSWER_MS).catch((thrown: unknown) => {
    throw farFailure(at, `does not answer: ${thrown instanceof Error ? thrown.message : ''}`);
  });

async function taken(at: ListenAddress, incoming: Incoming, length: number): Promise<Buffer> {
  try {
    const bytes = await incoming.take(length);
    if (bytes !== null) return bytes;
  } catch {
    // It broke off.
  }
  throw farFailure(at, 'broke off');
}

function goData(name: string): Buffer {
  const text = Buffer.from(name);
  const data = Buffer.alloc(4 + text.length + 4);
  data.writeUInt32BE(text.length, 0);
  text.copy(data, 4);
  data.writeUInt16BE(1, 4 + text.length);
  data.writeUInt16BE(INFO.description, 6 + text.length);
  return data;
}

/** Sends an option; what came before it was acknowledged. PEER_REFUSED where it was not. */
async function acknowledged(
  at: ListenAddress,
  { socket, incoming }: { readonly socket: Socket; readonly incoming: Incoming },
  option: number,
  data: Buffer,
): Promise<readonly OptionAnswer[]> {
  const head = Buffer.alloc(16);
  head.writeBigUInt64BE(OPTION_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(data.length, 12);
  socket.write(Buffer.concat([head, data]));
  const answers: OptionAnswer[] = [];
  while (answers.length < REPLIES_MAX) {
    const reply = await taken(at, incoming, REPLY_BYTES);
    const length = reply.readUInt32BE(16);
    const isReply =
      reply.readBigUInt64BE(0) === OPTION_REPLY_MAGIC && reply.readUInt32BE(8) === option;
    if (!isReply || length > OPTION_BYTES_MAX) throw invalid(at, 'it answers otherwise');
    const type = reply.readUInt32BE(12);
    const answer = { type, data: await taken(at, incoming, length) };
    if (type === OPTION_REPLY.ack) return answers;
    if (type === OPTION_REPLY.tlsRequired)
      throw invalid(at, 'it wants the key of the group: --key');
    if (type >= OPTION_REPLY.unsupported) throw invalid(at, answer.data.toString('utf8'));
    answers.push(answer);
  }
  throw invalid(at, 'it answers without end');
}

/** The size and the description that answers tell. */
function factsOf(at: ListenAddress, answers: readonly OptionAnswer[]) {
  const infoOf = (info: number): Buffer | undefined =>
    answers.find(({ type, data }) => {
      return type === OPTION_REPLY.info && data.length >= 2 && data.readUInt16BE(0) === info;
    })?.data;
  const told = infoOf(INFO.export);
  if (told?.length !== EXPORT_INFO_BYTES) throw invalid(at, 'it does not say how large it is');
  const sizeBytes = Number(told.readBigUInt64BE(2));
  if (!Number.isSafeInteger(sizeBytes)) throw invalid(at, 'it claims to be larger than can be');
  const description = infoOf(INFO.description)?.subarray(2).toString('utf8') ?? '';
  return { sizeBytes, description };
}
