// A subscriber of a shared ledger, `pageledger subscribe` on a host of its own, killed at random and
// resumed from the last whole line that it printed, beside recorders on another host: it sees every row
// once. The log is on the double unless PAGELEDGER_ESDB_URL names a server.
//
// PAGELEDGER_KILLS: how many times. PAGELEDGER_SEED: the seed of the moments.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JsonRow } from '../../support/command-line.ts';
import { imageSeries, seededRandom } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { describeWithS3 } from '../../support/s3-server/s3-server.ts';
import {
  startSharedWorld,
  type SharedCommands,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';

const KILLS = Number(process.env['PAGELEDGER_KILLS'] ?? 6);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? Date.now() % 1_000_000);
const LONG_MS = 240_000;
const CAPTURES = 5;

const placesOf = (rows: readonly JsonRow[]): string[] => rows.map((row) => String(row['place']));

/** The whole lines of a subscriber that is killed when it has printed so much, or has waited so long. */
async function killedAfter(
  commands: SharedCommands,
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
async function untilPrintingMs(
  commands: SharedCommands,
  words: readonly string[],
): Promise<number> {
  const startMs = performance.now();
  const subscriber = commands.start(words);
  await subscriber.until(({ stdout }) => stdout.length > 0);
  subscriber.signal('SIGKILL');
  await subscriber.ended;
  return Math.ceil(performance.now() - startMs);
}

/** What a subscriber prints until it has seen a place. */
async function printedUntil(
  commands: SharedCommands,
  words: readonly string[],
  place: unknown,
): Promise<JsonRow[]> {
  const subscriber = commands.start(words);
  await subscriber.until(({ stdout }) => stdout.includes(`"place":${JSON.stringify(place)}`));
  subscriber.signal('SIGTERM');
  const { exitCode, stderr } = await subscriber.ended;
  expect([exitCode, stderr]).toEqual([0, '']);
  return subscriber.rows();
}

describeWithS3('a ledger on servers', () => {
  let world: SharedWorld;
  let files: readonly string[][];
  beforeAll(async () => {
    world = await startSharedWorld();
    const series = { pages: 800, captures: CAPTURES, changedPages: 120 };
    files = ['red', 'green'].map((name, seed) =>
      writeImages({ folder: world.folder, name, images: imageSeries({ ...series, seed }) }),
    );
  }, LONG_MS);
  afterAll(() => world.remove(), LONG_MS);

  test(
    `shows a subscriber killed ${KILLS} times every row once (PAGELEDGER_SEED=${SEED})`,
    async () => {
      const place = world.another();
      const recorder = place.host('recorder').commands;
      const { commands } = place.host('subscriber');
      await recorder.json('record', 'image', '--vm', 'red', ...files[0]!.slice(0, 2));
      // What comes while it is killed and started again.
      const recording = ['red', 'green'].map((vm, i) =>
        recorder.run(['record', 'image', '--vm', vm, ...files[i]!.slice(i === 0 ? 2 : 0)]),
      );
      const random = seededRandom(SEED);
      let words = ['subscribe', '--pages'];
      const startMs = await untilPrintingMs(commands, words);
      const seen: JsonRow[] = [];
      let takes = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        const moment = { bytes: random(200_000), ms: startMs + random(2 * startMs) };
        const rows = await killedAfter(commands, words, moment);
        if (rows.length > 0) takes += 1;
        seen.push(...rows);
        const last = seen.at(-1);
        if (last !== undefined) words = ['subscribe', '--pages', '--from', String(last['place'])];
      }
      for (const { exitCode, stderr } of await Promise.all(recording))
        expect([exitCode, stderr]).toEqual([0, '']);
      const all = await commands.json('log', '--pages');
      const end = all.at(-1)!['place'];
      if (seen.at(-1)?.['place'] !== end) seen.push(...(await printedUntil(commands, words, end)));
      expect(placesOf(seen)).toEqual(placesOf(all));
      expect(seen).toEqual(all);
      const commits = seen.filter(({ type }) => type === 'CaptureCommitted');
      expect(commits).toHaveLength(2 * CAPTURES);
      expect(takes).toBeGreaterThan(1);
    },
    LONG_MS + KILLS * 20_000,
  );
});
