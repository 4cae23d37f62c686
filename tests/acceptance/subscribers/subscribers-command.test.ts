// `pageledger subscribe` as programs use it: killed at random and resumed from the last whole line it
// printed, beside recorders in other processes; its ends, its projections, and what it refuses.
//
// PAGELEDGER_KILLS: how many times (`npm run test:long`: 200). PAGELEDGER_SEED: the seed of the moments.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { imageSeries, seededRandom } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const KILLS = Number(process.env['PAGELEDGER_KILLS'] ?? 8);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? Date.now() % 1_000_000);
const LONG_MS = 300_000;

const isCommit = (row: JsonRow): boolean => row['type'] === 'CaptureCommitted';
const placesOf = (rows: readonly JsonRow[]): string[] => rows.map((row) => String(row['place']));

let folder: TemporaryFolder;
let commands: LedgerCommands;
let files: readonly string[][];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  const series = { pages: 1200, captures: 6, changedPages: 150 };
  files = ['red', 'green'].map((name, seed) =>
    writeImages({ folder: folder.path, name, images: imageSeries({ ...series, seed }) }),
  );
  await commands.json('record', 'image', '--vm', 'red', ...files[0]!.slice(0, 3));
}, LONG_MS);
afterAll(() => folder.remove());

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** The whole lines of a subscriber that is killed when it has printed so much, or has waited so long. */
async function killedAfter(
  words: readonly string[],
  { bytes, ms }: { readonly bytes: number; readonly ms: number },
): Promise<JsonRow[]> {
  const subscriber = commands.start(words);
  const printed = subscriber.until(({ stdout }) => stdout.length >= bytes);
  await Promise.race([printed.catch(() => undefined), sleep(ms)]);
  subscriber.signal('SIGKILL');
  const { signal } = await subscriber.ended;
  expect(signal).toBe('SIGKILL');
  return subscriber.rows();
}

/** How long it takes here and now until a subscriber prints something. */
async function untilPrinting(words: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const subscriber = commands.start(words);
  await subscriber.until(({ stdout }) => stdout.length > 0);
  subscriber.signal('SIGKILL');
  await subscriber.ended;
  return Math.ceil(performance.now() - startMs);
}

/** What a subscriber prints until it has seen a place, and how it ends then. */
async function printedUntil(words: readonly string[], place: unknown): Promise<JsonRow[]> {
  const subscriber = commands.start(words);
  await subscriber.until(({ stdout }) => stdout.includes(`"place":${JSON.stringify(place)}`));
  subscriber.signal('SIGTERM');
  const { exitCode, stderr } = await subscriber.ended;
  expect([exitCode, stderr]).toEqual([0, '']);
  return subscriber.rows();
}

/** The rows that a subscriber has put together, and how it goes on. */
class Follower {
  seen: JsonRow[] = [];

  get place(): string | null {
    const place = this.seen.at(-1)?.['place'];
    return typeof place === 'string' ? place : null;
  }

  get words(): readonly string[] {
    const { place } = this;
    const from = place === null ? [] : ['--from', place];
    return ['subscribe', '--pages', ...from];
  }
}

test(
  `a subscriber killed ${KILLS} times sees every event once (PAGELEDGER_SEED=${SEED})`,
  async () => {
    const random = seededRandom(SEED);
    const startMs = await untilPrinting(['subscribe', '--pages']);
    // What comes while it is killed and started again.
    let isRecorded = false;
    const recording = Promise.all(
      ['red', 'green'].map((vm, i) =>
        commands.run(['record', 'image', '--vm', vm, ...files[i]!.slice(i === 0 ? 3 : 0)]),
      ),
    ).finally(() => {
      isRecorded = true;
    });
    const followers = [new Follower()];
    let takes = 0;
    // How often it was killed before it printed anything: a busy machine gives it longer the next time.
    let early = 0;
    let all: JsonRow[] | null = null;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const follower = followers.at(-1)!;
      const ms = (1 + early) * startMs + random(startMs);
      const rows = await killedAfter(follower.words, { bytes: random(200_000), ms });
      if (rows.length > 0) takes += 1;
      early = rows.length > 0 ? 0 : early + 1;
      follower.seen.push(...rows);
      if (isRecorded) all ??= await commands.json('log', '--pages');
      // Who has seen it all begins again.
      if (all !== null && follower.place === all.at(-1)!['place']) followers.push(new Follower());
    }
    for (const { exitCode, stderr } of await recording) expect([exitCode, stderr]).toEqual([0, '']);
    all ??= await commands.json('log', '--pages');
    const last = followers.at(-1)!;
    last.seen.push(...(await printedUntil(last.words, all.at(-1)!['place'])));
    for (const { seen } of followers) {
      expect(placesOf(seen)).toEqual(placesOf(all));
      expect(seen).toEqual(all);
    }
    expect(all.filter(isCommit)).toHaveLength(12);
    expect(takes).toBeGreaterThan(1);
  },
  LONG_MS + KILLS * 15_000,
);

describe('subscribe', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'ends on %s, with nothing on standard error',
    async (signal) => {
      const subscriber = commands.start(['subscribe', '--type', 'CaptureCommitted', '--vm', 'red']);
      await subscriber.until((command) => command.rows().length >= 3);
      subscriber.signal(signal);
      const { exitCode, stderr } = await subscriber.ended;
      expect([exitCode, stderr]).toEqual([0, '']);
      const rows = subscriber.rows();
      expect(new Set(rows.map(({ vm, type }) => `${String(vm)} ${String(type)}`))).toEqual(
        new Set(['red CaptureCommitted']),
      );
    },
    LONG_MS,
  );

  test(
    'ends quietly when its reader goes away',
    async () => {
      const subscriber = commands.start(['subscribe', '--pages']);
      await subscriber.until(({ stdout }) => stdout.length > 0);
      subscriber.closeOutput();
      const { exitCode, stderr } = await subscriber.ended;
      expect([exitCode, stderr]).toEqual([0, '']);
    },
    LONG_MS,
  );

  test.each([
    [['--from', 'soon']],
    [['--from', '99999999999']],
    [['--type', 'Nothing']],
    [['--projection', 'nothing']],
    [['--projection', './nothing.mjs']],
    [['--projection', 'vms', '--pages']],
    [['--projection', 'vms', '--from', '0']],
  ])(
    'refuses %j',
    async (words) => {
      const { exitCode, stdout, stderr } = await commands.run(['subscribe', ...words]);
      expect([exitCode, stdout.length]).toEqual([2, 0]);
      expect(stderr).toMatch(/^pageledger: .+\n$/u);
    },
    LONG_MS,
  );
});

describe('subscribe --projection', () => {
  test(
    'sharing prints what the command sharing counts at each position',
    async () => {
      const subscriber = commands.start(['subscribe', '--projection', 'sharing']);
      const { position: last } = (await commands.json('log')).at(-1)!;
      await subscriber.until((command) => command.rows().at(-1)?.['position'] === last);
      subscriber.signal('SIGTERM');
      expect((await subscriber.ended).exitCode).toBe(0);
      const states = subscriber.rows();
      expect(states.length).toBeGreaterThan(9);
      for (const { position, state } of [states.at(-1)!, states[Math.floor(states.length / 2)]!]) {
        const [counts] = await commands.json('sharing', '--at', `pos:${String(position)}`);
        const { unknown, ...counted } = state as Record<string, number>;
        expect(unknown).toBe(0);
        expect(Object.keys(counted)).toContain('patched');
        expect(counts).toMatchObject(counted);
      }
      const again = commands.start(['subscribe', '--projection', 'sharing']);
      await again.until((command) => command.rows().length > 0);
      again.signal('SIGTERM');
      await again.ended;
      expect(again.rows()).toEqual([states.at(-1)]);
    },
    LONG_MS,
  );

  test(
    "of a module of one's own folds the ledger, again when its version changed",
    async () => {
      const path = join(folder.path, 'largest.mjs');
      const write = (version: number, field: string): void =>
        writeFileSync(
          path,
          `export default {
          name: 'largest',
          version: ${version},
          initial: () => ({}),
          apply(state, change) {
            if (change._tag !== 'capture') return;
            const { vm, ${field} } = change.committed;
            state[vm] = Math.max(state[vm] ?? 0, ${field});
          },
        };`,
        );
      const rows = await commands.json('captures', '--vm', 'red');
      const largest = (field: string): number => Math.max(...rows.map((row) => Number(row[field])));
      for (const [version, field] of [
        [1, 'written'],
        [2, 'unchanged'],
      ] as const) {
        write(version, field);
        const subscriber = commands.start(['subscribe', '--projection', path]);
        const { position } = (await commands.json('log')).at(-1)!;
        await subscriber.until((command) => command.rows().at(-1)?.['position'] === position);
        subscriber.signal('SIGINT');
        expect((await subscriber.ended).exitCode).toBe(0);
        const last = subscriber.rows().at(-1)!;
        expect(last).toMatchObject({ projection: 'largest', version });
        expect(last['state']).toMatchObject({ red: largest(field) });
      }
    },
    LONG_MS,
  );

  test(
    'of a module that exports none is refused',
    async () => {
      const path = join(folder.path, 'none.mjs');
      writeFileSync(path, 'export default { name: 5 };');
      const { exitCode, stderr } = await commands.run(['subscribe', '--projection', path]);
      expect([exitCode, stderr]).toEqual([
        2,
        `pageledger: ${path} exports no projection by default: an object with name (letters, digits, . _ -), version (a whole number from 0), initial and apply was expected\n`,
      ]);
    },
    LONG_MS,
  );
});
