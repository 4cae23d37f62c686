import { spawnSync } from 'node:child_process';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OpenSourceRequest } from '../../../adapters/guests/sources.ts';
import { openImage } from '../../support/guest/open-image.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { bytesOfImage } from '../../support/guest/images.ts';
import { libvirtHead } from '../../support/guest/libvirt-bytes.ts';
import * as stream from '../../support/guest/stream-bytes.ts';
import { failureOf, valueOf } from '../../support/outcomes.ts';
import { makeTemporaryFolder } from '../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

/** What the clock says. */
const NOW_MS = 7_000_000;

let files = 0;
function file(content: Uint8Array): string {
  const path = join(folder.path, `file-${files++}`);
  writeFileSync(path, content);
  return path;
}

const openSource = (request: Pick<OpenSourceRequest, 'path' | 'format' | 'stdin' | 'folder'>) =>
  openImage({ timeMs: null, clock: () => NOW_MS, ...request });

/** The source and its capture. */
async function opened(request: Parameters<typeof openSource>[0]) {
  const source = await valueOf(openSource(request));
  return { ...(await valueOf(source.capture())), close: () => source.close() };
}

const memory = stream.bytesOf(stream.pageOf(1), stream.pageOf(0), stream.pageOf(3));
const guest = stream.bytesOf(
  stream.head(),
  stream.start([{ name: 'pc.ram', pages: 3 }]),
  stream.end(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.page(2, stream.pageOf(3))),
  stream.tail(),
);

const libvirtSave = (options: {
  readonly form?: number;
  readonly isLittle?: boolean;
  readonly content?: Uint8Array;
}): Buffer => stream.bytesOf(libvirtHead(options), options.content ?? guest);

/** What a program makes of the guest; null: it is not there. */
function compressed(program: string): Buffer | null {
  const { stdout, error } = spawnSync(program, ['-c'], { input: guest });
  return error === undefined ? stdout : null;
}

describe('a libvirt save that is compressed', () => {
  const kinds = ['gzip', 'bzip2', 'xz', 'lzop', 'zstd'].map((name, i) => [name, i + 1] as const);

  /** The memory of a save, or the code of why it is refused. */
  async function read(save: Uint8Array): Promise<string> {
    const outcome = await openSource({ path: file(save) })();
    if (outcome._tag === 'Left') return outcome.left.code;
    const { image } = await valueOf(outcome.right.capture());
    const bytes = bytesOfImage(image).toString('latin1');
    outcome.right.close();
    return bytes;
  }

  test.each(kinds)('with %s is decompressed, where that is there', async (program, form) => {
    const content = compressed(program);
    const isThere = content !== null || program === 'gzip';
    const bytes = content ?? gzipSync(guest);
    const whole = await read(libvirtSave({ form, content: bytes }));
    expect(whole).toBe(isThere ? memory.toString('latin1') : 'MISSING_TOOL');
    const cut = libvirtSave({ form, content: bytes.subarray(0, bytes.length - 12) });
    expect(await read(cut)).toMatch(isThere ? /^(?:SOURCE_FORMAT|STREAM_TRUNCATED)$/u : /TOOL/u);
  });

  const packed = compressed('xz');
  test('is refused where xz would take 4 GiB for it', async () => {
    if (packed === null) return;
    const content = Buffer.from(packed);
    // The size of the dictionary, and the checksum of what has it: the first block's head, of 12 bytes.
    content[12 + 4] = 40;
    content.writeUInt32LE(crc32(content.subarray(12, 20)), 20);
    const path = file(libvirtSave({ form: 3, content }));
    const { code, message } = await failureOf(openSource({ path }));
    expect([code, message]).toEqual(['SOURCE_FORMAT', expect.stringMatching(/memory/iu)]);
  });

  test('is refused where its memory comes without an end', async () => {
    const page = stream.page(0, stream.pageOf(7), 'pc.ram');
    const repeated = stream.bytesOf(
      stream.head(),
      stream.start([{ name: 'pc.ram', pages: 3 }]),
      stream.end(...Array.from({ length: 5000 }, () => page)),
      stream.tail(),
    );
    const bomb = libvirtSave({ form: 1, content: gzipSync(repeated) });
    expect(bomb.length).toBeLessThan(200_000);
    const { code, message } = await failureOf(openSource({ path: file(bomb) }));
    expect(code).toBe('STREAM_INVALID');
    expect(message).toContain('for 3 pages of memory');
    // Not compressed, it is as long as it says.
    const plain = await opened({ path: file(repeated) });
    plain.close();
  });
});

describe('a raw file', () => {
  test('is read where it lies, as one block of RAM, at its modification time', async () => {
    const path = file(memory);
    utimesSync(path, 1000, 2000);
    const source = await opened({ path });
    expect(source).toMatchObject({ mode: 'image', device: null, timeMs: 2_000_000, source: path });
    expect(source.memoryMap.blocks).toEqual([{ name: 'ram', pages: 3 }]);
    expect(source.image.zeros).toBeNull();
    expect(bytesOfImage(source.image)).toEqual(memory);
    source.close();
  });

  test('that holds no whole pages is SOURCE_SIZE, one that holds nothing SOURCE_EMPTY', async () => {
    const odd = await failureOf(openSource({ path: file(Buffer.alloc(PAGE_BYTES + 1)) }));
    expect(odd.code).toBe('SOURCE_SIZE');
    expect(odd.message).toContain('4097');
    const empty = await failureOf(openSource({ path: file(Buffer.alloc(0)) }));
    expect(empty.code).toBe('SOURCE_EMPTY');
  });

  test('that looks like something else is raw when that is said', async () => {
    const path = file(stream.bytesOf(Buffer.from('EMiL'), Buffer.alloc(PAGE_BYTES - 4)));
    expect((await failureOf(openSource({ path }))).code).toBe('SOURCE_FORMAT');
    const source = await opened({ path, format: 'raw' });
    expect(source.image.pageCount).toBe(1);
    source.close();
  });
});

describe('a stream', () => {
  test('in a file gives memory and device state', async () => {
    const source = await opened({ path: file(guest), folder: folder.path });
    expect(source.mode).toBe('stream');
    expect(source.memoryMap.blocks).toEqual([{ name: 'pc.ram', pages: 3 }]);
    expect(bytesOfImage(source.image)).toEqual(memory);
    expect(Buffer.from(source.device!.sections)).toEqual(stream.devices().sections);
    source.close();
  });

  test.each([true, false])(
    'in a libvirt save file is found (little-endian: %s)',
    async (isLittle) => {
      const source = await opened({ path: file(libvirtSave({ isLittle })) });
      expect(source.mode).toBe('stream');
      expect(bytesOfImage(source.image)).toEqual(memory);
      source.close();
    },
  );

  test.each([
    ['compressed', libvirtSave({ form: 1 }), 'gzip'],
    ['cut inside its header', libvirtSave({}).subarray(0, 50), 'cut short'],
  ])('in a libvirt save file that is %s is SOURCE_FORMAT', async (_, content, word) => {
    const error = await failureOf(openSource({ path: file(content) }));
    expect(error.code).toBe('SOURCE_FORMAT');
    expect(error.message).toContain(word);
  });

  test('in a volume that is longer ends where it says, and the rest is told of', async () => {
    // What another stream left there, and more than a stream has devices.
    for (const behind of [guest.subarray(5000), Buffer.alloc(73 * 2 ** 20, 7)]) {
      const path = file(stream.bytesOf(guest, behind));
      const source = await valueOf(openSource({ path }));
      const { image, device } = await valueOf(source.capture());
      expect(bytesOfImage(image)).toEqual(memory);
      expect(Buffer.from(device!.description)).toEqual(stream.devices().description);
      expect(source.warnings).toEqual([
        `${behind.length} bytes behind the stream in ${path} are left out`,
      ]);
      source.close();
    }
  });

  test('in a file ends behind what its guest may have put into its devices', async () => {
    const devices = stream.misleadingDevices();
    const before = guest.subarray(0, guest.length - stream.tail().length);
    for (const behind of [new Uint8Array(0), guest.subarray(5000), Buffer.alloc(5000)]) {
      const path = file(stream.bytesOf(before, stream.tail(devices), behind));
      const source = await opened({ path });
      expect(Buffer.from(source.device!.sections)).toEqual(devices.sections);
      expect(Buffer.from(source.device!.description)).toEqual(devices.description);
      source.close();
    }
  });

  test('that is cut keeps its own error', async () => {
    const path = file(guest.subarray(0, guest.length - 10));
    expect((await failureOf(openSource({ path }))).code).toBe('STREAM_TRUNCATED');
  });
});

describe('standard input', () => {
  test.each([
    ['image', memory],
    ['stream', guest],
  ])('as %s is read like a file, and leaves none behind', async (mode, content) => {
    const before = readdirSync(folder.path);
    const stdin = Readable.from([content.subarray(0, 100), content.subarray(100)]);
    const source = await opened({ path: '-', stdin, folder: folder.path });
    expect(source).toMatchObject({ mode, timeMs: NOW_MS });
    expect(bytesOfImage(source.image)).toEqual(memory);
    source.close();
    expect(readdirSync(folder.path)).toEqual(before);
  });

  test('without a byte is SOURCE_EMPTY', async () => {
    const stdin = Readable.from([]);
    expect((await failureOf(openSource({ path: '-', stdin }))).code).toBe('SOURCE_EMPTY');
  });
});

describe('a path', () => {
  test('to nothing, or to a folder, is SOURCE_UNREADABLE', async () => {
    for (const path of [join(folder.path, 'absent'), folder.path]) {
      const error = await failureOf(openSource({ path }));
      expect(error.code).toBe('SOURCE_UNREADABLE');
      expect(error.message).toContain(path);
    }
  });

  test('to a named pipe is read to its end', async () => {
    const path = join(folder.path, 'pipe');
    const content = file(memory);
    if (spawnSync('mkfifo', [path]).status !== 0)
      throw new TypeError('mkfifo is part of coreutils');
    const { spawn } = await import('node:child_process');
    const writer = spawn('sh', ['-c', `cat '${content}' > '${path}'`]);
    const source = await opened({ path, folder: folder.path });
    expect(bytesOfImage(source.image)).toEqual(memory);
    source.close();
    writer.kill();
  });
});
