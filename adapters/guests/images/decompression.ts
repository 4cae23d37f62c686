// A compressed part of a file, decompressed as it is read: gzip here, what else there is by its program.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { sourceOfFile } from '../qemu/byte-window.ts';
import type { ImageFile } from './image-file.ts';

/** What decompresses. */
export type Compression = 'gzip' | 'bzip2' | 'xz' | 'lzop' | 'zstd';

/** The bytes that come out; whoever reads them stops it, at their end or before. */
export interface Decompression {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly stop: () => void;
}

const READ_BYTES = 256 * 1024;
/** A file says itself how much memory xz takes for it, and xz -9 makes ones that take a quarter of this. */
const XZ_MEMORY = '--memlimit-decompress=256MiB';
/** What a program says of a failure, as far as it is kept. */
const SAID_CHARACTERS_MAX = 200;

const unreadable = (label: string, compression: Compression, said: string): LedgerError =>
  new LedgerError(
    'SOURCE_FORMAT',
    `${label} cannot be decompressed with ${compression} (${said}): it was cut short, or is damaged; copy or save it again`,
    { label, format: compression },
  );

function gunzip(input: Readable, label: string): Decompression {
  const output = createGunzip();
  // Errors come to whoever reads.
  pipeline(input, output, () => undefined);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* output as AsyncIterable<Uint8Array>;
    } catch (thrown) {
      throw unreadable(label, 'gzip', thrown instanceof Error ? thrown.message : 'no reason given');
    }
  }
  return { chunks: chunks(), stop: () => void output.destroy() };
}

function byProgram(input: Readable, label: string, program: Compression): Decompression {
  const words = program === 'xz' ? ['-dc', XZ_MEMORY] : ['-dc'];
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  let failure: Error | null = null;
  let said = '';
  child.on('error', (error) => void (failure = error));
  child.stderr.on('data', (part: Buffer) => {
    said = (said + part.toString('latin1')).slice(0, SAID_CHARACTERS_MAX);
  });
  const ended = once(child, 'close').catch(() => []);
  // That it takes no more is told by how it ends.
  pipeline(input, child.stdin, () => undefined);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const [code] = await ended;
    if (failure !== null)
      throw new LedgerError(
        'MISSING_TOOL',
        `${label} is compressed with ${program}, which does not start here (${failure.message}): install it, or decompress the file elsewhere`,
        { label, format: program },
      );
    if (code !== 0)
      throw unreadable(label, program, said.trim() || `it ended with ${String(code)}`);
  }
  return { chunks: chunks(), stop: () => void child.kill('SIGKILL') };
}

/** The bytes of a file, which stays open whatever becomes of who takes them. */
async function* bytesFrom(fd: number, offsetBytes: number): AsyncGenerator<Uint8Array> {
  const source = sourceOfFile({ fd, offsetBytes });
  for (;;) {
    const bytes = Buffer.alloc(READ_BYTES);
    const count = await source(bytes);
    if (count === 0) return;
    yield bytes.subarray(0, count);
  }
}

/** Decompresses a file from a place on. SOURCE_FORMAT, MISSING_TOOL. */
export function decompress(
  { fd, label }: Pick<ImageFile, 'fd' | 'label'>,
  offsetBytes: number,
  compression: Compression,
): Decompression {
  const input = Readable.from(bytesFrom(fd, offsetBytes), { objectMode: false });
  return compression === 'gzip' ? gunzip(input, label) : byProgram(input, label, compression);
}
