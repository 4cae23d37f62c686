// A ledger whose log is another one since it was last opened, or while it is open: put back from a
// copy, swapped for a copy that was recorded into, cut off.

import { cpSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { restoreToFile, verify, type Ledger } from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import { recordFiles, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
const PAGES = 64;

let folder: TemporaryFolder;
let files: readonly string[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const images = [1, 2, 3, 4, 5, 6].map((seed) => makeImage({ seed, pages: PAGES, mix: MIX }));
  files = writeImages({ folder: folder.path, name: 'image', images });
});
afterAll(() => folder.remove());

const pathOf = (name: string): string => join(folder.path, name);

const record = (name: string, numbers: readonly number[]): Promise<unknown> =>
  withLedger({ url: pathOf(name), mode: 'create', threads: 0 }, (ledger) =>
    recordFiles(ledger, { vm: 'web', files: numbers.map((number) => files[number]!) }),
  );

/** Puts parts of another ledger in the place of those of one. */
function putBack(from: string, to: string, parts: readonly string[]): void {
  for (const part of parts) {
    rmSync(join(pathOf(to), part), { recursive: true, force: true });
    cpSync(join(pathOf(from), part), join(pathOf(to), part), { recursive: true });
  }
}

/** The images that the captures of VM web restore to, by their numbers. */
async function restored(ledger: Ledger): Promise<number[]> {
  const entry = ledger.vm('web');
  const found: number[] = [];
  for (const row of entry.captures) {
    const path = pathOf('restored.raw');
    await restoreToFile(ledger, { entry, row }, { path, format: 'raw', isForced: true });
    const bytes = readFileSync(path);
    found.push(files.findIndex((file) => readFileSync(file).equals(bytes)));
  }
  return found;
}

const opened = <A>(name: string, work: (ledger: Ledger) => Promise<A>): Promise<A> =>
  withLedger({ url: pathOf(name), mode: 'write', threads: 0 }, work);

describe('a log that was put back while nobody had it open', () => {
  test('gives what it says, though projections are of another past', async () => {
    await record('a', [0]);
    cpSync(pathOf('a'), pathOf('b'), { recursive: true });
    await record('a', [1, 2]);
    await record('b', [3, 4, 5]);
    putBack('b', 'a', ['log', 'keys']);
    cpSync(join(pathOf('b'), 'packs'), join(pathOf('a'), 'packs'), { recursive: true });
    const found = await opened('a', async (ledger) => ({
      images: await restored(ledger),
      findings: (await verify(ledger, () => undefined)).findings,
    }));
    expect(found).toEqual({ images: [0, 3, 4, 5], findings: [] });
    await record('a', [1]);
    expect(await opened('a', restored)).toEqual([0, 3, 4, 5, 1]);
  });

  test('gives what it says, where only projections were put back', async () => {
    await record('c', [0]);
    cpSync(pathOf('c'), pathOf('d'), { recursive: true });
    await record('c', [1, 2]);
    await record('d', [3, 4, 5]);
    putBack('c', 'd', ['projections']);
    expect(await opened('d', restored)).toEqual([0, 3, 4, 5]);
    await record('d', [1]);
    expect(await opened('d', restored)).toEqual([0, 3, 4, 5, 1]);
  });
});

test('identifiers of contents that are gone give their room back', async () => {
  const sizeBytes = (): number => statSync(join(pathOf('room'), 'projections/identifiers')).size;
  await record('room', [0]);
  cpSync(pathOf('room'), pathOf('room-copy'), { recursive: true });
  const before = sizeBytes();
  await record('room', [1, 2]);
  expect(sizeBytes()).toBeGreaterThan(before);
  putBack('room-copy', 'room', ['log', 'keys']);
  expect(await opened('room', restored)).toEqual([0]);
  expect(sizeBytes()).toBe(before);
});

/** The places of all rows. */
async function placesIn(ledger: Ledger, from?: string): Promise<string[]> {
  const places: string[] = [];
  for await (const message of ledger.rows(from === undefined ? {} : { from })) {
    if (message._tag === 'caughtUp') break;
    if (message._tag === 'row') places.push(message.row.place);
  }
  return places;
}

test('a place of a past that is gone is refused, also where the log has grown past it', async () => {
  await record('places', [0]);
  cpSync(pathOf('places'), pathOf('places-copy'), { recursive: true });
  await record('places', [1]);
  const places = await opened('places', placesIn);
  putBack('places-copy', 'places', ['log', 'keys']);
  await record('places', [2, 3, 4]);
  await opened('places', async (ledger) => {
    await expect(placesIn(ledger, places.at(-1))).rejects.toMatchObject({
      refusal: { _tag: 'BadPlace' },
    });
    const now = await placesIn(ledger);
    const common = places.filter((place) => now.includes(place));
    expect(common.length).toBeGreaterThan(2);
    const rest = await placesIn(ledger, common.at(-1));
    expect(rest).toEqual(now.slice(now.indexOf(common.at(-1)!) + 1));
    // One that an earlier release gave.
    expect(await placesIn(ledger, common.at(-1)!.replace(/@.*/u, ''))).toEqual(rest);
  });
});

describe('a log that is put back while it is open', () => {
  const takeTurns = {
    'in the place of its files': (name: string) => putBack(`${name}-copy`, name, ['log']),
    'over its files': (name: string) =>
      cpSync(join(pathOf(`${name}-copy`), 'log'), join(pathOf(name), 'log'), { recursive: true }),
    'by a rename of its folder': (name: string) => {
      renameSync(join(pathOf(name), 'log'), pathOf(`${name}-old`));
      cpSync(join(pathOf(`${name}-copy`), 'log'), join(pathOf(name), 'log'), { recursive: true });
    },
  };

  test.each(Object.entries(takeTurns))('%s takes no capture', async (how, replace) => {
    const name = how.replaceAll(' ', '-');
    await record(name, [0]);
    cpSync(pathOf(name), pathOf(`${name}-copy`), { recursive: true });
    await opened(name, async (ledger) => {
      await recordFiles(ledger, { vm: 'web', files: [files[1]!] });
      replace(name);
      const again = recordFiles(ledger, { vm: 'web', files: [files[2]!] });
      await expect(again).rejects.toMatchObject({ code: 'LOG_REPLACED' });
    });
    expect(await opened(name, restored)).toEqual([0]);
    await record(name, [3]);
    expect(await opened(name, restored)).toEqual([0, 3]);
  });

  test('ends who follows it, who is told', async () => {
    await record('followed', [0]);
    cpSync(pathOf('followed'), pathOf('followed-copy'), { recursive: true });
    await record('followed', [1]);
    await opened('followed', async (ledger) => {
      const following = async (): Promise<void> => {
        for await (const message of ledger.rows())
          if (message._tag === 'caughtUp') putBack('followed-copy', 'followed', ['log']);
      };
      await expect(following()).rejects.toMatchObject({ code: 'LOG_REPLACED' });
    });
  });
});
