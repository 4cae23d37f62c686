// `forget`, `checkpoint --drop` and `compact` as a user runs them, on real files.

import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import {
  compact,
  copyLedger,
  fingerprint,
  forgetPoints,
  openLedger,
  verify,
} from '../../../index.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { changeImage, makeImage, seededRandom } from '../../support/images.ts';
import { digestOf, recordBytes, restoredDigest } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { IS_LONG } from '../../support/long-run.ts';

const PAGES = 200;
const KILLS = Number(process.env['PAGELEDGER_KILLS'] ?? 1);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_266);

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

function bytesIn(path: string): number {
  const facts = statSync(path);
  if (!facts.isDirectory()) return facts.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0);
}
/** Bytes of packs; the mark of a compaction lies beside them. */
const packBytes = (url: string): number =>
  readdirSync(join(url, 'packs'))
    .filter((name) => name !== 'compacted')
    .reduce((sum, name) => sum + bytesIn(join(url, 'packs', name)), 0);

/** A ledger of one VM with so many captures; gives their images' digests. */
async function makeLedger(
  name: string,
  captures: number,
): Promise<{ url: string; digests: string[] }> {
  const url = join(folder.path, name);
  const ledger = await openLedger({ url, mode: 'create', threads: 0 });
  const digests: string[] = [];
  let bytes = makeImage({ seed: SEED, pages: PAGES });
  for (let i = 0; i < captures; i += 1) {
    if (i > 0) bytes = changeImage(bytes, { seed: SEED + i, changedPages: 12 });
    await recordBytes(ledger, { vm: 'guest', bytes, scratch: join(folder.path, 'scratch') });
    digests.push(digestOf(bytes));
  }
  await ledger.close();
  return { url, digests };
}

/** Captures of a VM that do not give back what was recorded, of those from a first one on. */
async function wrongPoints(
  url: string,
  digests: readonly string[],
  first: number,
): Promise<string[]> {
  const ledger = await openLedger({ url, mode: 'read', threads: 0 });
  const scratch = join(folder.path, 'restored');
  const wrong: string[] = [];
  try {
    for (let capture = first; capture <= digests.length; capture += 1)
      if (
        (await restoredDigest(ledger, { vm: 'guest', at: `@${capture}`, scratch })) !==
        digests[capture - 1]
      )
        wrong.push(`@${capture}`);
  } finally {
    await ledger.close();
  }
  return wrong;
}

/** Compacts a ledger to the end, and gives what is wrong with it then. */
async function faultsCompactedAgain(url: string): Promise<string[]> {
  const ledger = await openLedger({ url, mode: 'write', threads: 0 });
  try {
    await compact(ledger, { graceMs: 0, isDryRun: false });
    const { findings } = await verify(ledger, () => undefined);
    return findings.map(({ where, reason }) => `${where}: ${reason}`);
  } finally {
    await ledger.close();
  }
}

describe('forgetting and compacting a ledger', () => {
  let url: string;
  let digests: string[];
  let commands: LedgerCommands;
  beforeAll(async () => {
    ({ url, digests } = await makeLedger('commands', 6));
    commands = new LedgerCommands(url);
  });

  const json = async (...words: string[]): Promise<Record<string, unknown>[]> => {
    const { exitCode, stdout, stderr } = await commands.run(['--json', ...words]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    return jsonRows(stdout.toString());
  };
  const failing = async (...words: string[]): Promise<string> => {
    const { exitCode, stderr } = await commands.run(words);
    expect([1, 5]).toContain(exitCode);
    return stderr;
  };

  test('forget says what goes and why the rest stays, and nothing to do is done', async () => {
    await json('checkpoint', '--vm', 'guest', '--name', 'second', '--at', '@2');
    expect(await json('forget', '--vm', 'guest', '--before', '@1')).toHaveLength(7);
    expect(await failing('forget', '--vm', 'guest', '--before', '@9')).toContain(
      'no capture at @9',
    );
    const goes = { vm: 'guest', keep: false, reason: 'named', bytes: expect.any(Number) };
    const stays = { vm: 'guest', keep: true, bytes: 0 };
    expect(await json('forget', '--vm', 'guest', '--before', '@5')).toEqual([
      { ...goes, capture: 1 },
      { ...stays, capture: 2, reason: 'checkpoint second' },
      { ...goes, capture: 3 },
      { ...goes, capture: 4 },
      { ...stays, capture: 5, reason: 'not named' },
      { ...stays, capture: 6, reason: 'newest' },
      {
        summary: 'forget',
        captures: 3,
        kept: 3,
        bytes: expect.any(Number),
        dryRun: false,
        history: null,
        seconds: expect.any(Number),
      },
    ]);
    expect((await json('forget', '--vm', 'guest', '--before', '@5')).at(-1)).toMatchObject({
      captures: 0,
      kept: 3,
    });
  });

  test('a forgotten capture is listed, and is neither restored nor named', async () => {
    const rows = await json('captures', '--vm', 'guest');
    expect(rows.map(({ capture, forgotten }) => [capture, forgotten])).toEqual([
      [1, true],
      [2, false],
      [3, true],
      [4, true],
      [5, false],
      [6, false],
    ]);
    const target = join(folder.path, 'forgotten.raw');
    expect(await failing('restore', '--vm', 'guest', '--at', '@3', '--to', target)).toContain(
      'capture 3 of VM guest was forgotten',
    );
    expect(await failing('checkpoint', '--vm', 'guest', '--name', 'third', '--at', '@3')).toContain(
      'was forgotten',
    );
    const log = await json('log', '--vm', 'guest', '--type', 'CaptureCommitted');
    expect(log.map((row) => row['forgotten'] ?? false)).toEqual([
      true,
      false,
      true,
      true,
      false,
      false,
    ]);
  });

  test('a dry run says what it would give and changes nothing', async () => {
    const before = packBytes(url);
    const [row] = await json('compact', '--dry-run');
    expect(row).toMatchObject({ dryRun: true, rewrittenPacks: 6, deletedPacks: 0 });
    expect(row!['bytesAfter']).toBeLessThan(Number(row!['bytesBefore']));
    expect(packBytes(url)).toBe(before);
    expect(await json('log', '--type', 'PackRewritten')).toEqual([]);
  });

  test('compact gives the space back, and every kept point stays as it was', async () => {
    const before = packBytes(url);
    const logBefore = bytesIn(join(url, 'log'));
    const [row] = await json('compact');
    expect(row).toMatchObject({ rewrittenPacks: 6, deletedPacks: 6, waitingPacks: 0 });
    const fewer = before - packBytes(url);
    expect(fewer).toBe(Number(row!['bytesBefore']) - Number(row!['bytesAfter']));
    // What its events take is not given back.
    const eventBytes = fewer - Number(row!['givenBackBytes']);
    expect(eventBytes).toBeGreaterThan(0);
    expect(eventBytes).toBeLessThanOrEqual(bytesIn(join(url, 'log')) - logBefore);
    expect(packBytes(url)).toBeLessThan(before * 0.9);
    expect(await wrongPoints(url, digests, 5)).toEqual([]);
    const target = join(folder.path, 'second.raw');
    await json('restore', '--vm', 'guest', '--at', 'cp:second', '--to', target);
    expect(createHash('sha256').update(readFileSync(target)).digest('hex')).toBe(digests[1]);
    expect(await json('verify')).toMatchObject([{ damaged: 0 }]);
    expect(await json('compact')).toMatchObject([{ rewrittenPacks: 0, deletedPacks: 0 }]);
  });

  test('the events of the page store are listed', async () => {
    const [released] = await json('log', '--type', 'ContentReleased');
    expect(released).toMatchObject({ vm: null, seen: { vm: 'guest', capture: 6 } });
    expect(released!['pages']).toBeGreaterThan(0);
    const [rewritten] = await json('log', '--type', 'PackRewritten');
    expect(rewritten).toMatchObject({ group: 'default', from: 6 });
    expect(JSON.stringify(await json('log', '--pages'))).not.toContain('undefined');
  });

  test('a copy holds what is kept, without the packs that are gone, and has the same fingerprint', async () => {
    const from = await openLedger({ url, mode: 'read', threads: 0 });
    const to = await openLedger({ url: join(folder.path, 'copied'), mode: 'create', threads: 0 });
    try {
      const copied = await copyLedger({ from, to });
      expect(copied.bytes).toBe(packBytes(url));
      expect(await fingerprint(to)).toBe(await fingerprint(from));
    } finally {
      await to.close();
      await from.close();
    }
    expect(await wrongPoints(join(folder.path, 'copied'), digests, 5)).toEqual([]);
  });

  test('dropping the checkpoint forgets the capture that only it kept', async () => {
    expect(await failing('checkpoint', '--drop', '--vm', 'guest', '--name', 'none')).toContain(
      'no checkpoint none',
    );
    expect(await json('checkpoint', '--drop', '--vm', 'guest', '--name', 'second')).toMatchObject([
      { vm: 'guest', name: 'second', capture: 2, dropped: true, forgotten: true },
    ]);
    expect(await json('checkpoints')).toEqual([]);
    const { exitCode } = await commands.run(
      'checkpoint --drop --at @5 --vm guest --name x'.split(' '),
    );
    expect(exitCode).toBe(2);
  });

  test('a grace that is no duration is bad usage', async () => {
    expect((await commands.run(['compact', '--grace', 'soon'])).exitCode).toBe(2);
  });
});

describe('what compact says', () => {
  const said = async (url: string, ...words: string[]): Promise<string> =>
    (await new LedgerCommands(url).bytes('compact', ...words)).toString();

  test('is what was really given back, and when what waits goes', async () => {
    const { url } = await makeLedger('said', 3);
    const waits = await said(url, '--grace', '1h');
    expect(waits).toMatch(/^3 packs of .* rewritten into .*\n.* more are taken for now: /u);
    expect(waits).toMatch(
      /3 packs of .* wait to be deleted, and may go from 2.*run compact again/u,
    );
    const again = await said(url, '--grace', '1h');
    expect(again).toMatch(/^3 packs of .* wait to be deleted/u);
    expect(again).not.toContain('nothing');
    expect(await said(url)).toMatch(/^\S+ KiB given back \(3 packs\)\n$/u);
    expect(await said(url)).toBe('nothing to rewrite, and nothing to give back\n');
  });

  test('of one that was stopped is what is left, and no pack is left that no event names', async () => {
    const { url, digests } = await makeLedger('stopped', 4);
    const alone = new LedgerCommands(url);
    const image = join(folder.path, 'alone.raw');
    for (const seed of [1, 2, 3]) {
      writeFileSync(image, makeImage({ seed, pages: PAGES }));
      await alone.json(
        'record',
        'image',
        '--vm',
        'alone',
        '--share',
        'vm',
        '--format',
        'raw',
        image,
      );
    }
    const ledger = await openLedger({ url, mode: 'write', threads: 0 });
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    const { signal } = stop;
    const stopped = await compact(ledger, { graceMs: 0, isDryRun: false, signal, onProgress });
    expect(stopped).toMatchObject({ isStopped: true, left: { packs: 3 }, rewritten: { packs: 0 } });
    expect(stopped.rewritten.pages).toBeGreaterThan(0);
    expect(stopped.writtenBytes).toBeGreaterThan(stopped.rewritten.bytesAfter);
    const whole = await compact(ledger, { graceMs: 0, isDryRun: false });
    expect(whole).toMatchObject({ isStopped: false, left: { packs: 0 } });
    expect(whole.deleted).toMatchObject({ waitingPacks: 0 });
    await ledger.close();
    expect(await wrongPoints(url, digests, 1)).toEqual([]);
  });
});

describe('a page that is rewritten in every capture', () => {
  test('costs nothing once its points are forgotten, however many there were', async () => {
    const url = join(folder.path, 'hot');
    const ledger = await openLedger({ url, mode: 'create', threads: 0 });
    const scratch = join(folder.path, 'scratch');
    const random = seededRandom(SEED);
    const bytes = makeImage({ seed: SEED, pages: 16 });
    const captures = IS_LONG ? 60 : 20;
    try {
      for (let i = 0; i < captures; i += 1) {
        for (let at = 0; at < PAGE_BYTES; at += 1) bytes[at] = random(256);
        await recordBytes(ledger, { vm: 'guest', bytes, scratch });
      }
      const before = packBytes(url);
      expect(before).toBeGreaterThan(captures * PAGE_BYTES);
      await forgetPoints(ledger, { vm: 'guest', before: `@${captures - 2}` });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect(packBytes(url)).toBeLessThan(before - (captures - 5) * PAGE_BYTES);
    } finally {
      await ledger.close();
    }
    expect(
      readdirSync(join(url, 'packs'), { recursive: true }).filter(
        (name) => String(name).length > 60,
      ),
    ).toHaveLength(1);
    const again = await openLedger({ url, mode: 'read', threads: 0 });
    try {
      expect(await restoredDigest(again, { vm: 'guest', at: 'latest', scratch })).toBe(
        digestOf(bytes),
      );
    } finally {
      await again.close();
    }
  }, 300_000);
});

test(
  `compact, killed ${KILLS} times, loses nothing that is kept (PAGELEDGER_SEED=${SEED})`,
  async () => {
    const { url, digests } = await makeLedger('killed', 8);
    const random = seededRandom(SEED);
    await new LedgerCommands(url).json('forget', '--vm', 'guest', '--before', '@4');
    const copyOf = (name: string): LedgerCommands => {
      const copy = join(folder.path, name);
      cpSync(url, copy, { recursive: true });
      return new LedgerCommands(copy);
    };
    const startMs = performance.now();
    await copyOf('whole').json('compact');
    const runMs = performance.now() - startMs;
    const faults: string[] = [];
    let kills = 0;
    for (let i = 0; i < KILLS; i += 1) {
      const commands = copyOf(`killed-${i}`);
      const running = commands.start(['compact']);
      // Most of a short run is the start of its process.
      const afterMs = runMs * 0.4 + random(Math.ceil(runMs * 0.6));
      const timer = setTimeout(() => running.signal('SIGKILL'), afterMs);
      if ((await running.ended).signal === 'SIGKILL') kills += 1;
      clearTimeout(timer);
      if (random(3) === 0) rmSync(join(commands.ledger, 'projections'), { recursive: true });
      const wrong = await wrongPoints(commands.ledger, digests, 4);
      wrong.push(...(await faultsCompactedAgain(commands.ledger)));
      wrong.push(...(await wrongPoints(commands.ledger, digests, 4)));
      if (wrong.length > 0) faults.push(`kill ${i} after ${afterMs} ms: ${wrong.join(', ')}`);
    }
    expect(faults).toEqual([]);
    expect(kills).toBeGreaterThan(0);
  },
  300_000 + KILLS * 15_000,
);

describe('a page that is forgotten as a patch in a pack that stays', () => {
  /** So many pages of noise, by a seed. */
  const noise = (pages: number, seed: number): Buffer => {
    const random = seededRandom(seed);
    const words = new Uint32Array((pages * PAGE_BYTES) / 4).map(() => random(2 ** 32));
    return Buffer.from(words.buffer);
  };

  test('is stored anew when it comes again: nothing links to what was let go of', async () => {
    const url = join(folder.path, 'dead-patches');
    const ledger = await openLedger({ url, mode: 'create' });
    const scratch = join(folder.path, 'scratch');
    const record = (vm: string, parts: readonly Buffer[]) =>
      recordBytes(ledger, { vm, bytes: Buffer.concat(parts), scratch });
    const squeeze = () => compact(ledger, { graceMs: 0, isDryRun: false });
    const [reference, early, late] = [noise(200, 1), noise(1000, 2), noise(2000, 3)];
    const edited = Buffer.from(reference);
    for (let page = 0; page < 200; page += 1) edited[page * PAGE_BYTES]! ^= 1;
    const empty = Buffer.alloc(2000 * PAGE_BYTES);
    const second = [edited, early, late];
    await record('guest', [reference, early, empty]);
    await squeeze();
    await record('guest', second);
    await record('guest', [reference, early, late]);
    await squeeze();
    await record('guest', [
      Buffer.alloc(200 * PAGE_BYTES),
      early.subarray(0, 400 * PAGE_BYTES),
      Buffer.alloc(600 * PAGE_BYTES),
      late,
    ]);
    await forgetPoints(ledger, { vm: 'guest', before: '@4' });
    await squeeze();
    await record('other', second);
    const digest = await restoredDigest(ledger, { vm: 'other', at: '@1', scratch });
    expect(digest).toBe(digestOf(Buffer.concat(second)));
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    await ledger.close();
  });
});
