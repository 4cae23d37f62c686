// Damage to the files of a ledger, one at a time: each point is given back right or refused with a
// clear error, `verify` names exactly what is lost, and nothing else is affected.
//
// PAGELEDGER_FLIPS is the number of bits flipped in each kind of file (every bit of a kind that has no
// more); PAGELEDGER_SEED the seed they are drawn by.

import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openLedger } from '../../../index.ts';
import { clearCode, judge, type Judgement } from '../../support/spoiled/damaged-ledger.ts';
import { putBack, takeSnapshot, type Snapshot } from '../../support/disks/folder-snapshot.ts';
import { changeImage, seededRandom, type Random } from '../../support/images.ts';
import {
  makeSmallLedger,
  recordBytes,
  restoredDigest,
  digestOf,
} from '../../support/ledgers/small-ledger.ts';
import {
  SMALL_CHECKPOINT,
  smallImages,
  type Expected,
} from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../support/long-run.ts';

const FLIPS_USUAL = 3;
const FLIPS = Number(process.env['PAGELEDGER_FLIPS'] ?? FLIPS_USUAL);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_261);

let folder: TemporaryFolder;
let url: string;
let scratch: string;
let expected: Expected;
let whole: Snapshot;
/** One file of each kind; all of them where more than the usual is asked for. */
function samples(): string[] {
  if (FLIPS > FLIPS_USUAL) return [...whole.keys()];
  const kinds = new Map([...whole.keys()].map((name) => [kindOf(name), name]));
  return [...kinds.values()];
}
const kindOf = (name: string): string => (/^(log\/.|packs|.*\/)/u.exec(name) ?? [name])[0];

const byGroup = (group: string): string[] =>
  [...whole.keys()].filter((name) => name.startsWith(group));

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  scratch = join(folder.path, 'scratch');
  expected = await makeSmallLedger({ url, scratch: folder.path });
  whole = takeSnapshot(url);
});
afterEach(() => {
  putBack(url, whole);
});
afterAll(() => folder.remove());

/** The damage is in the log: then what is derived is judged with and without. */
const isOfLog = (name: string): boolean => name.startsWith('log/');

/** Judges the ledger as it is now; an empty list where all is as it must be. */
async function faultsNow(what: string, name: string): Promise<string[]> {
  const judgements: Judgement[] = [];
  judgements.push(
    await judge({ url, expected, scratch, derived: isOfLog(name) ? 'helps' : 'kept' }),
  );
  if (isOfLog(name)) judgements.push(await judge({ url, expected, scratch, derived: 'gone' }));
  return judgements.flatMap(({ faults }) => faults.map((fault) => `${what}: ${fault}`));
}

/** Puts other bytes in a file's place, judges, and puts it back. */
async function faultsOf(name: string, bytes: Uint8Array, what: string): Promise<string[]> {
  writeFileSync(join(url, name), bytes);
  try {
    return await faultsNow(`${name}, ${what}`, name);
  } finally {
    putBack(url, whole);
  }
}

function flipped(name: string, bit: number): Buffer {
  const bytes = Buffer.from(whole.get(name)!);
  bytes[bit >>> 3]! ^= 1 << (bit & 7);
  return bytes;
}

/** Bits of files: all, or as many in each, at random. */
function* bitsOf(names: readonly string[]): Generator<readonly [string, number]> {
  const bits = (name: string): number => whole.get(name)!.length * 8;
  if (names.reduce((sum, name) => sum + bits(name), 0) <= FLIPS) {
    for (const name of names) for (let bit = 0; bit < bits(name); bit += 1) yield [name, bit];
    return;
  }
  const random = seededRandom(SEED);
  for (let i = 0; i < FLIPS; i += 1) {
    const name = names[i % names.length]!;
    yield [name, random(bits(name))];
  }
}

async function faultsOfFlips(names: readonly string[]): Promise<string[]> {
  const faults: string[] = [];
  for (const [name, bit] of bitsOf(names)) {
    faults.push(...(await faultsOf(name, flipped(name, bit), `bit ${bit}, seed ${SEED}`)));
  }
  return faults;
}

describe('one flipped bit', () => {
  test.each(['log/0', 'log/heads', 'packs', 'keys', 'projections', 'format'])(
    'in %s is harmless, or every point it costs is named and refused',
    async (group) => {
      const names = byGroup(group);
      expect(names).not.toEqual([]);
      expect(await faultsOfFlips(names)).toEqual([]);
    },
    300_000,
  );

  test('in a pack names the block, and leaves the other points whole', async () => {
    const [name] = byGroup('packs').toSorted((a, b) => whole.get(a)!.length - whole.get(b)!.length);
    writeFileSync(join(url, name!), flipped(name!, (whole.get(name!)!.length - 1) * 8));
    const { failed, findings, faults } = await judge({ url, expected, scratch, derived: 'kept' });
    expect(faults).toEqual([]);
    expect(failed.size).toBeGreaterThan(0);
    expect(failed.size).toBeLessThan(expected.size);
    expect([...new Set(failed.values())]).toEqual(['PACK_DAMAGED']);
    expect(findings).toHaveLength(1);
    expect(findings[0]!.where).toContain(name!.split('/').at(-1));
  });

  test('in the log names file, bytes and stream', async () => {
    const [log] = byGroup('log/0');
    const bit = Math.floor(whole.get(log!)!.length / 2) * 8;
    writeFileSync(join(url, log!), flipped(log!, bit));
    const { findings } = await judge({ url, expected, scratch, derived: 'gone' });
    expect(findings[0]!.where).toMatch(/0\.log, bytes \d+ to \d+, stream (vm|points)-/u);
    expect(findings[0]!.reason).toMatch(/found .* expected /u);
  });
});

describe('a file that was cut off', () => {
  test('at any length costs only points that verify names', async () => {
    const random = seededRandom(SEED + 1);
    const faults: string[] = [];
    for (const name of samples()) {
      const bytes = whole.get(name)!;
      const lengths = new Set([random(bytes.length), 0, bytes.length - 1, random(bytes.length)]);
      for (const length of sampleOf([...lengths], 2))
        faults.push(...(await faultsOf(name, bytes.subarray(0, length), `cut to ${length} bytes`)));
    }
    expect(faults).toEqual([]);
  }, 300_000);

  test('the log at every end of an event: a shorter history is never taken for a whole one', async () => {
    const [name] = byGroup('log/0');
    const bytes = whole.get(name!)!;
    const magic = bytes.subarray(0, 8);
    const faults: string[] = [];
    const ends: number[] = [];
    for (let at = bytes.indexOf(magic, 1); at > 0; at = bytes.indexOf(magic, at + 1)) ends.push(at);
    for (const at of sampleOf(ends, 5))
      faults.push(...(await faultsOf(name!, bytes.subarray(0, at), `cut to ${at} bytes`)));
    expect(faults).toEqual([]);
  }, 300_000);
});

test('a file that is gone costs only points that verify names', async () => {
  const faults: string[] = [];
  for (const name of whole.keys()) {
    rmSync(join(url, name));
    faults.push(...(await faultsNow(`${name}, removed`, name)));
    putBack(url, whole);
  }
  expect(faults).toEqual([]);
}, 300_000);

/** Bytes of zeros, of a hostile size, or of something else, put over a file's or after it. */
const FOREIGN: readonly (readonly [string, (bytes: Buffer, random: Random) => Buffer])[] = [
  [
    'a stretch of zeros',
    (bytes, random) => {
      const at = random(bytes.length);
      return Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + 512));
    },
  ],
  ['foreign bytes appended', (bytes, random) => Buffer.concat([bytes, noise(700, random)])],
  ['its own bytes appended', (bytes) => Buffer.concat([bytes, bytes])],
  ['foreign bytes throughout', (bytes, random) => noise(bytes.length, random)],
  [
    'the largest numbers in place of any',
    (bytes, random) => {
      const at = random(bytes.length);
      return Buffer.from(bytes).fill(0xff, at, Math.min(bytes.length, at + 8));
    },
  ],
];

const noise = (lengthBytes: number, random: Random): Buffer =>
  Buffer.from(Array.from({ length: lengthBytes }, () => random(256)));

test.each(sampleOf(FOREIGN, 2))(
  'a file with %s costs only points that verify names',
  async (what, change) => {
    const random = seededRandom(SEED + 2);
    const faults: string[] = [];
    for (const name of samples())
      faults.push(...(await faultsOf(name, change(whole.get(name)!, random), what)));
    expect(faults).toEqual([]);
  },
  300_000,
);

test('a file of a hostile size is not read into memory', async () => {
  const faults: string[] = [];
  for (const group of ['format', 'keys/default', 'log/heads/vm-alpha', 'projections/catalogue']) {
    const [name] = byGroup(group);
    const before = process.memoryUsage().rss;
    truncateSync(join(url, name!), 2 ** 33);
    const found = await judge({ url, expected, scratch, derived: 'kept' });
    faults.push(...found.faults.map((fault) => `${name}, 8 GiB: ${fault}`));
    truncateSync(join(url, name!), 0);
    putBack(url, whole);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 29);
  }
  expect(faults).toEqual([]);
}, 300_000);

/** Records one more capture of alpha on what is left: refused clearly, or right. */
async function recordOnTop(): Promise<string | null> {
  const image = changeImage(smallImages().alpha[2]!, { seed: 99, changedPages: 6 });
  let at: string;
  try {
    const ledger = await openLedger({ url, mode: 'write', threads: 0 });
    try {
      const capture = await recordBytes(ledger, { vm: 'alpha', bytes: image, scratch });
      if (capture !== 4) return `the capture became number ${capture}`;
      at = `@${capture}`;
      const found = await restoredDigest(ledger, { vm: 'alpha', at, scratch });
      return found === digestOf(image) ? null : 'the new capture restores to other bytes';
    } finally {
      await ledger.close();
    }
  } catch (thrown) {
    return clearCode(thrown) === null ? `unclear: ${String((thrown as Error).stack)}` : null;
  }
}

test('recording on a damaged ledger is refused clearly, or right', async () => {
  const random = seededRandom(SEED + 3);
  const faults: string[] = [];
  for (const name of samples().flatMap((file) => [file, file])) {
    const bit = random(whole.get(name)!.length * 8);
    writeFileSync(join(url, name), flipped(name, bit));
    if (random(2) === 0) rmSync(join(url, 'projections'), { recursive: true });
    const fault = await recordOnTop();
    if (fault !== null) faults.push(`${name}, bit ${bit}, seed ${SEED}: ${fault}`);
    putBack(url, whole);
  }
  expect(faults).toEqual([]);
}, 300_000);

test('a checkpoint whose event is damaged is refused, never another point', async () => {
  const [name] = byGroup('log/0');
  const at = whole.get(name!)!.indexOf('CheckpointTaken');
  expect(at).toBeGreaterThan(0);
  writeFileSync(join(url, name!), flipped(name!, at * 8));
  rmSync(join(url, 'projections'), { recursive: true });
  const ledger = await openLedger({ url, mode: 'read', threads: 0 });
  const { vm, name: checkpoint } = SMALL_CHECKPOINT;
  await expect(
    restoredDigest(ledger, { vm, at: `cp:${checkpoint}`, scratch }),
  ).rejects.toMatchObject({ message: expect.stringContaining(checkpoint) });
  await ledger.close();
  const { findings, failed } = await judge({ url, expected, scratch, derived: 'kept' });
  expect(failed.size).toBe(0);
  expect(findings.map(({ where }) => where)).toEqual([expect.stringContaining('points-alpha')]);
});

test('the undamaged ledger is whole, so the tests above can fail', async () => {
  expect(await judge({ url, expected, scratch, derived: 'kept' })).toMatchObject({
    faults: [],
    findings: [],
    refusal: null,
  });
  expect(expected.size).toBe(5);
  expect(readFileSync(join(url, 'format'), 'utf8')).toContain('pageledger ledger');
});
