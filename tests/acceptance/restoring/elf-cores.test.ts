// A point as an ELF core: RAM at its guest-physical addresses, as debuggers of kernels read it.

import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import {
  openRecorder,
  PAGE_BYTES,
  restoreToFile,
  restoreToStream,
  type Ledger,
} from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { readCore } from '../../support/guest/elf-core.ts';
import { memorySource } from '../../support/guest/memory-guest.ts';
import { seededRandom } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const HIGH = 2 ** 32;
const blocks = [
  { name: 'pc.ram', pages: 2048 },
  { name: 'pc.bios', pages: 16 },
];
const bytesOf = (pages: number): number => pages * PAGE_BYTES;
/** As of a machine that has the first 512 pages below its hole. */
const memoryMap: MemoryMap = {
  blocks,
  ranges: [
    { address: 0, block: 'pc.ram', offset: 0, length: bytesOf(512) },
    { address: HIGH - bytesOf(16), block: 'pc.bios', offset: 0, length: bytesOf(16) },
    { address: HIGH, block: 'pc.ram', offset: bytesOf(512), length: bytesOf(1536) },
  ],
};

/** Every eighth page holds something. */
function memory(): Uint8Array {
  const random = seededRandom(5);
  const bytes = new Uint8Array(bytesOf(2064));
  for (let page = 0; page < 2064; page += 8)
    for (let i = 0; i < PAGE_BYTES; i += 1) bytes[page * PAGE_BYTES + i] = random(256);
  return bytes;
}

const MEMORY = memory();
const EXPECTED = [
  { virtual: 0n, physical: 0, bytes: Buffer.from(MEMORY.subarray(0, bytesOf(512))) },
  {
    virtual: BigInt(HIGH),
    physical: HIGH,
    bytes: Buffer.from(MEMORY.subarray(bytesOf(512), bytesOf(2048))),
  },
];

describe('an ELF core of a point', () => {
  let folder: TemporaryFolder;
  let url: string;
  let path: string;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    path = join(folder.path, 'core');
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await record(ledger, 'web', memoryMap);
      await record(ledger, 'unknown', { blocks, ranges: [] });
      await restoreToFile(ledger, point(ledger), { path, format: 'elf', isForced: false });
    });
  });
  afterAll(() => folder.remove());

  async function record(ledger: Ledger, vm: string, map: MemoryMap): Promise<void> {
    const recorder = await openRecorder(ledger, { vm, group: null });
    const source = memorySource({
      pages: MEMORY,
      memoryMap: map,
      areRangesTold: true,
      device: null,
      argv: null,
      timeMs: 1e12,
      pauseMs: 1,
      mode: 'migrate',
      source: 'guest.qmp',
    });
    try {
      await recorder.record(await valueOf(source.capture()));
    } finally {
      await recorder.close();
    }
  }

  const point = (ledger: Ledger) => {
    const entry = ledger.vm('web');
    return { entry, row: entry.capture(1)! };
  };

  test('has each stretch of RAM at its guest-physical address, and holes for zeros', () => {
    expect(readCore(readFileSync(path))).toEqual({ segments: EXPECTED, notes: [] });
    const { size, blocks: sectors } = statSync(path);
    expect(sectors * 512).toBeLessThan(size / 4);
  });

  test('is the same through a pipe', async () => {
    const chunks: Buffer[] = [];
    const writable = new Writable({
      write(chunk: Buffer, _, done) {
        chunks.push(Buffer.from(chunk));
        done();
      },
    });
    await withLedger({ url, mode: 'read' }, (ledger) =>
      restoreToStream(ledger, point(ledger), { format: 'elf', writable }),
    );
    expect(Buffer.concat(chunks).equals(readFileSync(path))).toBe(true);
  });

  test('is told with what it has and what it leaves out', async () => {
    const commands = new LedgerCommands(url);
    const to = join(folder.path, 'told');
    const [row] = await commands.json('restore', '--vm', 'web', '--format', 'elf', '--to', to);
    expect(row).toMatchObject({
      format: 'elf',
      layout: null,
      pages: 2048,
      bytes: bytesOf(2048),
      leftOut: ['pc.bios'],
      kernel: null,
    });
    expect(readFileSync(to).equals(readFileSync(path))).toBe(true);
    const words = ['restore', '--vm', 'web', '--format', 'elf', '--force', '--to', to];
    const { stdout } = await commands.run(words);
    expect(stdout.toString()).toContain('without registers');
    expect(stdout.toString()).toContain('without what a kernel says');
  });

  test('is refused where nobody knows at which addresses the memory lies', async () => {
    const words = [
      'restore',
      '--vm',
      'unknown',
      '--format',
      'elf',
      '--to',
      join(folder.path, 'no'),
    ];
    const { exitCode, stderr } = await new LedgerCommands(url).run(words);
    expect([exitCode, stderr.includes('--format raw --layout packed')]).toEqual([1, true]);
  });

  const READELF = programPath('readelf');
  (READELF === null ? describe.skip : describe)('to readelf', () => {
    test('is sound', () => {
      const { stdout, stderr } = spawnSync(
        READELF ?? '',
        ['--headers', '--notes', '--wide', path],
        {
          encoding: 'utf8',
        },
      );
      expect(stderr).toBe('');
      expect(stdout).toContain('CORE (Core file)');
      expect(stdout).toMatch(
        /LOAD +0x001000 0x0000000000000000 0x0000000000000000 0x200000 0x200000/u,
      );
      expect(stdout).toMatch(
        /LOAD +0x201000 0x0000000100000000 0x0000000100000000 0x600000 0x600000/u,
      );
    });
  });

  const GDB = programPath('gdb');
  (GDB === null ? describe.skip : describe)('to gdb', () => {
    test('has memory above 4 GiB too', () => {
      const words = [0, HIGH + bytesOf(1528)].map((address) => `x/8xb 0x${address.toString(16)}`);
      const commands = [`core-file ${path}`, ...words].flatMap((word) => ['-ex', word]);
      const { stdout } = spawnSync(GDB ?? '', ['-nx', '-batch', ...commands], { encoding: 'utf8' });
      const shown = [...stdout.matchAll(/:((?:\t0x[0-9a-f]{2}){8})$/gmu)].map((match) => match[1]);
      const text = (page: number): string =>
        [...MEMORY.subarray(bytesOf(page), bytesOf(page) + 8)]
          .map((byte) => `\t0x${byte.toString(16).padStart(2, '0')}`)
          .join('');
      expect(shown).toEqual([text(0), text(2040)]);
    });
  });
});
