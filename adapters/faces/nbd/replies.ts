// What an NBD server says, as bytes.

import {
  CHUNK,
  CHUNK_DONE,
  HANDSHAKE,
  HANDSHAKE_MAGIC,
  INFO,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
  READ_BYTES_MAX,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
  type NbdError,
} from './protocol.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { Stretch } from './stretch.ts';

/** Bytes of zeros after the old answer to EXPORT_NAME. */
const OLD_ZEROES = 124;
/** Longest text beside a failure. */
const MESSAGE_BYTES_MAX = 2048;

/** What a server says first. */
export function greeting(): Buffer {
  const bytes = Buffer.alloc(18);
  bytes.writeBigUInt64BE(HANDSHAKE_MAGIC, 0);
  bytes.writeBigUInt64BE(OPTION_MAGIC, 8);
  bytes.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 16);
  return bytes;
}

/** An answer to an option. */
export function optionReply(
  option: number,
  type: number,
  data: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

/** The refusal of an option, with a sentence for people. */
export const optionError = (option: number, type: number, message: string): Buffer =>
  optionReply(option, type, Buffer.from(message).subarray(0, MESSAGE_BYTES_MAX));

/** The name of an export, and a word about it. */
export function serverReply(
  option: number,
  of: { readonly name: string; readonly description: string },
) {
  const name = Buffer.from(of.name);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  const data = Buffer.concat([length, name, Buffer.from(of.description)]);
  return optionReply(option, OPTION_REPLY.server, data);
}

const infoReply = (option: number, kind: number, data: Uint8Array): Buffer => {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(kind);
  return optionReply(option, OPTION_REPLY.info, Buffer.concat([head, data]));
};

/** What every export is asked for: its size and its flags. */
export interface ExportFacts {
  readonly sizeBytes: number;
  readonly flags: number;
}

const factsBytes = ({ sizeBytes, flags }: ExportFacts): Buffer => {
  const bytes = Buffer.alloc(10);
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 0);
  bytes.writeUInt16BE(flags, 8);
  return bytes;
};

/** The size and flags of an export. */
export const exportInfo = (option: number, facts: ExportFacts): Buffer =>
  infoReply(option, INFO.export, factsBytes(facts));

/** A text about an export: its name, or a description. */
export const textInfo = (option: number, kind: number, text: string): Buffer =>
  infoReply(option, kind, Buffer.from(text));

/** Any byte may be read, whole pages are better, and no more than this at once. */
export function blockSizeInfo(option: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(1, 0);
  bytes.writeUInt32BE(PAGE_BYTES, 4);
  bytes.writeUInt32BE(READ_BYTES_MAX, 8);
  return infoReply(option, INFO.blockSize, bytes);
}

/** The answer to EXPORT_NAME, which is no option reply. */
export const oldExportReply = (facts: ExportFacts, hasZeroes: 'with zeroes' | 'without'): Buffer =>
  Buffer.concat([factsBytes(facts), Buffer.alloc(hasZeroes === 'with zeroes' ? OLD_ZEROES : 0)]);

/** A metadata context that there is, and the number that it has where it was set. */
export function contextReply(
  option: number,
  of: { readonly id: number; readonly name: string },
): Buffer {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(of.id);
  return optionReply(option, OPTION_REPLY.metaContext, Buffer.concat([id, Buffer.from(of.name)]));
}

/** The head of an answer to a client that knows no structured ones; data follows where nothing failed. */
export function simpleReply(cookie: bigint, error: NbdError | 0): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(error, 4);
  bytes.writeBigUInt64BE(cookie, 8);
  return bytes;
}

/** Which answer a part is of, and whether it is the last. */
export interface ChunkOf {
  readonly cookie: bigint;
  readonly isLast: boolean;
}

const CHUNK_HEAD_BYTES = 20;

/** The head of a part, and room for what follows it. */
function chunk(of: ChunkOf, type: number, length: { readonly here: number; readonly all: number }) {
  const bytes = Buffer.alloc(CHUNK_HEAD_BYTES + length.here);
  bytes.writeUInt32BE(STRUCTURED_REPLY_MAGIC, 0);
  bytes.writeUInt16BE(of.isLast ? CHUNK_DONE : 0, 4);
  bytes.writeUInt16BE(type, 6);
  bytes.writeBigUInt64BE(of.cookie, 8);
  bytes.writeUInt32BE(length.all, 16);
  return bytes;
}

/** It is done, and there is nothing to say. */
export const doneChunk = (of: ChunkOf): Buffer => chunk(of, CHUNK.none, { here: 0, all: 0 });

/** What comes before so many bytes of data, that lie there. */
export function dataChunkHead(of: ChunkOf, at: Stretch) {
  const bytes = chunk(of, CHUNK.data, { here: 8, all: 8 + at.lengthBytes });
  bytes.writeBigUInt64BE(BigInt(at.offsetBytes), CHUNK_HEAD_BYTES);
  return bytes;
}

/** So many bytes there are zeros. */
export function holeChunk(of: ChunkOf, at: Stretch) {
  const bytes = chunk(of, CHUNK.hole, { here: 12, all: 12 });
  bytes.writeBigUInt64BE(BigInt(at.offsetBytes), CHUNK_HEAD_BYTES);
  bytes.writeUInt32BE(at.lengthBytes, CHUNK_HEAD_BYTES + 8);
  return bytes;
}

/** A stretch of an export that a context says one thing of. */
export interface Extent {
  readonly lengthBytes: number;
  readonly flags: number;
}

/** What a context says, from the asked place on. */
export function statusChunk(of: ChunkOf, context: number, extents: readonly Extent[]): Buffer {
  const length = 4 + 8 * extents.length;
  const bytes = chunk(of, CHUNK.blockStatus, { here: length, all: length });
  bytes.writeUInt32BE(context, CHUNK_HEAD_BYTES);
  let at = CHUNK_HEAD_BYTES + 4;
  for (const { lengthBytes, flags } of extents) {
    bytes.writeUInt32BE(lengthBytes, at);
    bytes.writeUInt32BE(flags, at + 4);
    at += 8;
  }
  return bytes;
}

/** It failed, and why, in words for people. */
export function errorChunk(of: ChunkOf, error: NbdError, message: string): Buffer {
  const text = Buffer.from(message).subarray(0, MESSAGE_BYTES_MAX);
  const length = 6 + text.length;
  const bytes = chunk(of, CHUNK.error, { here: length, all: length });
  bytes.writeUInt32BE(error, CHUNK_HEAD_BYTES);
  bytes.writeUInt16BE(text.length, CHUNK_HEAD_BYTES + 4);
  text.copy(bytes, CHUNK_HEAD_BYTES + 6);
  return bytes;
}
