// Restoring any point: whatever was recorded comes back byte for byte, by every
// name of its point, in any order, from the ledger, from a copy of it, and with nothing derived left.

import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openImage } from '../../support/guest/open-image.ts';
import { sinkOfDescriptor } from '../../../adapters/guests/byte-sink.ts';
import { fingerprint, PAGE_BYTES, takeCheckpoint, verify, type Ledger } from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { bytesOfImage } from '../../support/guest/images.ts';
import { devices, head } from '../../support/guest/stream-bytes.ts';
import { writeStream } from '../../support/guest/written-streams.ts';
import { imageSeries, makeImage, pageAt, seededRandom } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import {
  answersOf,
  distinctPages,
  eventsOf,
  recordFiles,
  recordImage,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import {
  makeTemporaryFolder,
  withTemporaryFolder,
  type TemporaryFolder,
} from '../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../support/long-run.ts';

const SERIES = { seed: 12, pages: 768, captures: 12, changedPages: 96 };
const FIRST_MS = Date.parse('2026-11-20T10:00:00Z');
const HOUR_MS = 3_600_000;
const NOW_MS = FIRST_MS + 100 * HOUR_MS;
const LONG_MS = 300_000;

/** Items in a random order, always the same one. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  const left = [...items];
  return items.map(() => left.splice(random(left.length), 1)[0]!);
}

describe('a series of twelve images', () => {
  const images = [...imageSeries(SERIES)];
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let url: string;
  const open = <T>(work: (ledger: Ledger) => Promise<T>, at = url): Promise<T> =>
    withLedger({ url: at, mode: 'read', clock: () => NOW_MS }, work);

  /** Half of it through the library, half through the command line; three checkpoints. */
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    commands = new LedgerCommands(url);
    const request = { folder: folder.path, name: 'image', images };
    const files = writeImages({ ...request, fromMs: FIRST_MS, stepMs: HOUR_MS });
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await recordFiles(ledger, { vm: 'vm', files: files.slice(0, 6) });
      await takeCheckpoint(ledger, { vm: 'vm', name: 'early', capture: 2 });
    });
    await commands.json('record', 'image', '--vm', 'vm', ...files.slice(6));
    await commands.json('checkpoint', '--vm', 'vm', '--name', 'late', '--at', '@11');
    await commands.json('checkpoint', '--vm', 'vm', '--name', 'end');
  }, LONG_MS);
  afterAll(() => folder.remove());

  /** Every name of every capture, with the index of its image. */
  function namesOfPoints(ledger: Ledger): (readonly [string, number])[] {
    const { captures } = ledger.vm('vm');
    const names: (readonly [string, number])[] = [
      ['latest', 11],
      ['cp:early', 1],
      ['cp:late', 10],
      ['cp:end', 11],
    ];
    for (const [i, { position }] of captures.entries()) {
      const timeMs = FIRST_MS + i * HOUR_MS;
      const until = captures[i + 1]?.position ?? position + 1000n;
      names.push([`@${i + 1}`, i], [`pos:${position}`, i], [`pos:${until - 1n}`, i]);
      names.push([`time:${new Date(timeMs).toISOString()}`, i]);
      names.push([`time:${new Date(timeMs + HOUR_MS - 1).toISOString()}`, i]);
      names.push([`ago:${(NOW_MS - timeMs) / HOUR_MS}h`, i]);
    }
    return names;
  }

  /** Names of the points, or of a sample of them, that do not come back as they were recorded. */
  async function wrongPoints(ledger: Ledger, seed: number, each = 1): Promise<string[]> {
    const wrong: string[] = [];
    for (const [at, i] of sampleOf(shuffled(namesOfPoints(ledger), seed), each)) {
      const bytes = await restored(ledger, { vm: 'vm', at, folder: folder.path });
      if (!bytes.equals(images[i]!)) wrong.push(at);
    }
    return wrong;
  }

  test('comes back byte for byte at every point, by every name, in any order', async () => {
    expect(await open((ledger) => wrongPoints(ledger, 1, 2))).toEqual([]);
  });

  test(
    'comes back through the command line, into files and to standard output',
    async () => {
      const { position } = (await commands.json('captures', '--vm', 'vm'))[4]!;
      const points: (readonly [string, number])[] = [
        ['@9', 8],
        [`pos:${String(position)}`, 4],
        ['time:2026-11-20T12:30:00Z', 2],
        ['cp:late', 10],
        ['latest', 11],
      ];
      for (const [at, i] of points) {
        const to = join(folder.path, `to-${i}`);
        await commands.json('restore', '--vm', 'vm', '--at', at, '--to', to);
        expect([at, readFileSync(to).equals(images[i]!)]).toEqual([at, true]);
      }
      const piped = await commands.bytes('restore', '--vm', 'vm', '--at', '@3', '--to', '-');
      expect(piped.equals(images[2]!)).toBe(true);
      const ago = await commands.bytes('restore', '--vm', 'vm', '--at', 'ago:0s', '--to', '-');
      expect(ago.equals(images[11]!)).toBe(true);
    },
    LONG_MS,
  );

  test('tells of its newest captures alone, where that is asked for', async () => {
    const all = await commands.json('captures', '--vm', 'vm');
    for (const [last, from] of [
      ['1', 11],
      ['5', 7],
      ['12', 0],
      ['900', 0],
    ] as const)
      expect(await commands.json('captures', '--vm', 'vm', '--last', last)).toEqual(
        all.slice(from),
      );
    for (const last of ['0', '-1', 'x'])
      expect((await commands.run(['captures', '--vm', 'vm', '--last', last])).exitCode).toBe(2);
  });

  test('has no point before its first capture, and says so', async () => {
    await open((ledger) => {
      const entry = ledger.vm('vm');
      const early = new Date(FIRST_MS - 1).toISOString();
      for (const at of ['pos:0', `time:${early}`, '@13', 'ago:101h', 'cp:none'])
        expect(() => ledger.resolve(entry, at)).toThrow(/no capture|no checkpoint/u);
      for (const at of ['', '@0', '@x', 'pos:-1', 'time:someday', 'ago:5', 'cp:', '7'])
        expect(() => ledger.resolve(entry, at)).toThrow(/is not a point/u);
      return Promise.resolve();
    });
  });

  test(
    'answers the same from a copy elsewhere and with nothing derived left',
    async () => {
      const gfns = [0, 5, 300, SERIES.pages - 1];
      const before = await open((ledger) => answersOf(ledger, gfns));
      const copy = join(folder.path, 'elsewhere');
      cpSync(url, copy, { recursive: true });
      rmSync(join(copy, 'projections'), { recursive: true });
      expect(await open((ledger) => answersOf(ledger, gfns), copy)).toEqual(before);
      expect(await open((ledger) => wrongPoints(ledger, 2, 3), copy)).toEqual([]);
      rmSync(join(copy, 'projections'), { recursive: true });
      const copied = new LedgerCommands(copy);
      const asked = [
        ['captures', '--vm', 'vm'],
        ['sharing'],
        ['history', '--vm', 'vm', '--page', '5'],
        ['checkpoints'],
        ['vms'],
      ];
      for (const words of asked)
        expect(await copied.json(...words)).toEqual(await commands.json(...words));
    },
    LONG_MS,
  );

  test(
    'comes back from a ledger without its keys',
    async () => {
      const copy = join(folder.path, 'keyless');
      cpSync(url, copy, { recursive: true });
      rmSync(join(copy, 'keys'), { recursive: true });
      expect(await open((ledger) => wrongPoints(ledger, 3, 3), copy)).toEqual([]);
    },
    LONG_MS,
  );

  test(
    'is not restored over a file that exists, unless that is said',
    async () => {
      const to = join(folder.path, 'existing');
      writeFileSync(to, 'as it was');
      const words = ['restore', '--vm', 'vm', '--at', '@4', '--to', to];
      const refused = await commands.run(words);
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toContain(to);
      expect(refused.stderr).toContain('--force');
      expect(readFileSync(to, 'utf8')).toBe('as it was');
      expect((await commands.run([...words, '--force'])).exitCode).toBe(0);
      expect(readFileSync(to).equals(images[3]!)).toBe(true);
    },
    LONG_MS,
  );

  test(
    'leaves the target as it was where a point is damaged',
    async () => {
      const copy = join(folder.path, 'damaged');
      cpSync(url, copy, { recursive: true });
      const packs = join(copy, 'packs');
      for (const path of readdirSync(packs, { recursive: true, encoding: 'utf8' }))
        if (path.includes('/')) renameSync(join(packs, path), join(packs, `${path}.gone`));
      const into = join(folder.path, 'target');
      writeFileSync(into, 'as it was');
      const words = ['restore', '--vm', 'vm', '--at', '@2', '--to', into, '--force'];
      const failed = await new LedgerCommands(copy).run(words);
      expect(failed.exitCode).toBe(3);
      expect(failed.stderr).toContain('PACK_MISSING');
      expect(readFileSync(into, 'utf8')).toBe('as it was');
      const left = readdirSync(folder.path).filter((name) => name.startsWith('.pageledger-'));
      expect(left).toEqual([]);
      const piped = await new LedgerCommands(copy).run([...words.slice(0, 6), '-']);
      expect([piped.exitCode, piped.stdout.length]).toEqual([3, 0]);
    },
    LONG_MS,
  );
});

/** Records images of one VM, all of them, and restores each: what came back otherwise, and findings. */
async function comeBack(images: readonly Uint8Array[], threads = 0) {
  return withTemporaryFolder(async (folder) => {
    const url = join(folder, 'ledger');
    const files = writeImages({ folder, name: 'image', images });
    await withLedger({ url, mode: 'create', threads }, (ledger) =>
      recordFiles(ledger, { vm: 'vm', files }),
    );
    return withLedger({ url, mode: 'read', threads }, async (ledger) => {
      const wrong: number[] = [];
      for (const [i, image] of images.entries()) {
        const bytes = await restored(ledger, { vm: 'vm', at: `@${i + 1}`, folder });
        if (!bytes.equals(image)) wrong.push(i);
      }
      const { findings, summary } = await verify(ledger, () => undefined);
      return { wrong, findings, captures: summary.checked.captures };
    });
  });
}

const WHOLE = { wrong: [], findings: [] };

describe('memory of any size and content', () => {
  test.each(sampleOf([1, 2, 3, 4, 5, 1024, 1023, 1025, 8193, 4095, 4096, 4097], 11))(
    '%i distinct pages come back, also after changes at the edges',
    async (pages) => {
      const first = distinctPages({ pages, seed: 1 });
      const edges = Buffer.from(first);
      for (const gfn of [0, 1023, 1024, 4095, 4096, pages - 1])
        if (gfn < pages) edges.fill(`edge ${gfn} `, gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
      const anew = distinctPages({ pages, seed: 2 });
      expect(await comeBack([first, edges, anew, first])).toMatchObject(WHOLE);
    },
    LONG_MS,
  );

  test.each([1, 700])('%i pages of zeros come back, before and after content', async (pages) => {
    const zeros = new Uint8Array(pages * PAGE_BYTES);
    expect(await comeBack([zeros, distinctPages({ pages, seed: 3 }), zeros, zeros])).toMatchObject(
      WHOLE,
    );
  });

  test.each([2, 1500])('%i equal pages come back', async (pages) => {
    const equal = Buffer.alloc(pages * PAGE_BYTES, 'the same content in every page; ');
    const repeated = Buffer.alloc(pages * PAGE_BYTES, 0xff);
    expect(await comeBack([equal, repeated, equal])).toMatchObject(WHOLE);
  });

  test(
    'pages that do not compress come back',
    async () => {
      const mix = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
      const images = [4, 5].map((seed) => makeImage({ seed, pages: 1100, mix }));
      expect(await comeBack(images, 2)).toMatchObject(WHOLE);
    },
    LONG_MS,
  );
});

test(
  'recording on two threads and on none gives the same events and the same fingerprint',
  async () => {
    const images = [...imageSeries({ seed: 6, pages: 1200, captures: 4, changedPages: 300 })];
    await withTemporaryFolder(async (folder) => {
      const files = writeImages({ folder, name: 'image', images, fromMs: FIRST_MS });
      const recorded = async (threads: number) => {
        const url = join(folder, `threads-${threads}`);
        return withLedger({ url, mode: 'create', threads }, async (ledger) => {
          const rows = await recordFiles(ledger, { vm: 'vm', files });
          const events = await eventsOf(ledger, { isExpanded: true, vm: 'vm' });
          return {
            counts: rows.map(({ position: _p, hash: _h, id: _i, recordedAtMs: _r, ...row }) => row),
            // Positions count bytes of events with ids; identifiers and pack names follow from random keys.
            events: events.map(({ item, type, capture, facts }) => {
              const { gfn, scope, holder, pages, bytes, rows: count } = facts;
              return { item, type, capture, gfn, scope, holder, pages, bytes, count };
            }),
            fingerprint: await fingerprint(ledger),
          };
        });
      };
      const inline = await recorded(0);
      expect(inline.events.length).toBeGreaterThan(1200);
      const threaded = await recorded(2);
      expect(threaded).toEqual({
        ...inline,
        counts: inline.counts.map((row, i) => ({ ...row, range: threaded.counts[i]!.range })),
      });
    });
  },
  LONG_MS,
);

describe('a migration stream as a source', () => {
  const MAIN = { name: 'pc.ram', pages: 300 };
  const VIDEO = { name: 'vga.vram', pages: 20 };
  const memoryMap = { blocks: [MAIN, VIDEO], ranges: [] };
  const device = { head: head(), ...devices() };

  async function writeGuest(path: string, memory: Uint8Array): Promise<void> {
    function* runs() {
      for (let gfn = 0; gfn < memory.length / PAGE_BYTES; gfn += 1)
        yield { firstPage: gfn, pages: pageAt(memory, gfn) };
    }
    const fd = openSync(path, 'w');
    await writeStream({
      device,
      memoryMap,
      runs: runs(),
      sink: sinkOfDescriptor(fd),
    });
    closeSync(fd);
  }

  test('comes back as raw memory and as a stream with the same devices', async () => {
    await withTemporaryFolder(async (folder) => {
      const pages = MAIN.pages + VIDEO.pages;
      const memories = [...imageSeries({ seed: 8, pages, captures: 3, changedPages: 40 })];
      const files = memories.map((_, i) => join(folder, `stream-${i}`));
      for (const [i, file] of files.entries()) await writeGuest(file, memories[i]!);
      const url = join(folder, 'ledger');
      await withLedger({ url, mode: 'create' }, async (ledger) => {
        const rows = await recordFiles(ledger, { vm: 'vm', files });
        expect(rows.map(({ hasDevice, mode }) => ({ hasDevice, mode }))).toEqual(
          Array.from({ length: 3 }, () => ({ hasDevice: true, mode: 'stream' })),
        );
        expect(ledger.vm('vm').state.registered!.memoryMap.blocks).toEqual([MAIN, VIDEO]);
        for (const [i, memory] of memories.entries()) {
          const at = { vm: 'vm', at: `@${i + 1}`, folder };
          const raw = await restored(ledger, at);
          expect(raw.equals(memory.subarray(0, MAIN.pages * PAGE_BYTES))).toBe(true);
          const again = join(folder, `again-${i}`);
          writeFileSync(again, await restored(ledger, { ...at, format: 'qemu' }));
          const source = await valueOf(
            openImage({ path: again, timeMs: null, clock: ledger.clock }),
          );
          const captured = await valueOf(source.capture());
          expect(bytesOfImage(captured.image).equals(memory)).toBe(true);
          expect(captured.memoryMap.blocks).toEqual([MAIN, VIDEO]);
          expect(captured.device).toEqual(device);
          source.close();
        }
        const again = memories.map((_, i) => join(folder, `again-${i}`));
        const copies = await recordFiles(ledger, { vm: 'copy', files: again });
        expect(copies.map(({ stored }) => stored)).toEqual([0, 0, 0]);
        expect((await verify(ledger, () => undefined)).findings).toEqual([]);
      });
    });
  });

  test('is read from standard input', async () => {
    await withTemporaryFolder(async (folder) => {
      const memory = makeImage({ seed: 9, pages: MAIN.pages + VIDEO.pages });
      const path = join(folder, 'stream');
      await writeGuest(path, memory);
      const commands = new LedgerCommands(join(folder, 'ledger'));
      const words = ['record', 'image', '--vm', 'vm', '-'];
      const stdin = readFileSync(path);
      expect((await commands.run(words, { stdin })).exitCode).toBe(0);
      const to = join(folder, 'back');
      await commands.json('restore', '--vm', 'vm', '--to', to);
      expect(readFileSync(to).equals(memory.subarray(0, MAIN.pages * PAGE_BYTES))).toBe(true);
    });
  });

  test('of an image there is none: refused, and nothing written', async () => {
    await withTemporaryFolder(async (folder) => {
      const image = makeImage({ seed: 10, pages: 8 });
      await withLedger({ url: join(folder, 'ledger'), mode: 'create' }, async (ledger) => {
        await recordImage(ledger, { vm: 'vm', image, folder });
        const asked = restored(ledger, { vm: 'vm', at: 'latest', folder, format: 'qemu' });
        await expect(asked).rejects.toThrow(/no device state/u);
      });
      expect(readdirSync(folder)).toEqual(['ledger']);
    });
  });
});
