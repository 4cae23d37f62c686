// A ledger that hosts share: the log on EventStoreDB, the packs in an object store, on
// each host only what is derived, and its keys. It behaves as the one in a folder does. The log is on
// the double of the server's services unless PAGELEDGER_ESDB_URL names a real one; the object store is
// a real server.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  copyLedger,
  fingerprint,
  openLedger,
  takeCheckpoint,
  type Ledger,
} from '../../../index.ts';
import { imageSeries } from '../../support/images.ts';
import {
  answersOf,
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { expectRight, inLogOrder, seriesOf } from '../../support/ledgers/recorded-series.ts';
import { describeWithS3 } from '../../support/s3-server/s3-server.ts';
import {
  startSharedWorld,
  type Host,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';

const LONG_MS = 300_000;

/** Where two texts begin to differ, with what follows; null where they do not. */
function differenceOf(left: string, right: string): readonly string[] | null {
  if (left === right) return null;
  let at = 0;
  while (left[at] === right[at]) at += 1;
  return [left, right].map((text) => text.slice(Math.max(0, at - 80), at + 80));
}

/** Lets a host record into a group, with the key of one that does. */
async function shareKey(from: Host, to: Host): Promise<void> {
  const key = await from.commands.bytes('group', 'export', '--group', 'default', '--to', '-');
  const imported = await to.commands.run(['group', 'import', '-'], { stdin: key });
  expect([imported.exitCode, imported.stderr]).toEqual([0, '']);
}

/** What is the ledger's own, or its host's, and not of what was recorded. */
const OWN = new Set(['ledger', 'logBytes', 'pageStore', 'place', 'withoutKey']);

/** Everything a ledger answers, as text; positions by their order. */
async function plainAnswers(ledger: Ledger): Promise<string> {
  const positions = new Map<string, number>();
  const answers = await answersOf(ledger, [0, 7, 300]);
  return JSON.stringify(answers, (name, value: unknown) => {
    if (OWN.has(name)) return null;
    if (typeof value !== 'bigint') return value;
    const text = String(value);
    if (!positions.has(text)) positions.set(text, positions.size);
    return positions.get(text);
  });
}

describeWithS3('a ledger on servers', () => {
  let world: SharedWorld;
  beforeAll(async () => {
    world = await startSharedWorld();
  }, LONG_MS);
  afterAll(() => world.remove(), LONG_MS);

  test(
    'answers everything as one in a folder does of the same recording',
    async () => {
      const { folder } = world;
      const host = world.another().host('one');
      const images = imageSeries({ seed: 21, pages: 310, captures: 4, changedPages: 60 });
      const files = writeImages({
        folder,
        name: 'same',
        images,
        fromMs: 1_790_000_000_000,
        stepMs: 1000,
      });
      const record = async (ledger: Ledger): Promise<void> => {
        await recordFiles(ledger, { vm: 'red', files });
        await recordFiles(ledger, { vm: 'green', files: files.slice(1, 3) });
        await takeCheckpoint(ledger, { vm: 'red', name: 'third', capture: 3 });
      };
      const url = join(folder, 'embedded');
      const prints: string[] = [];
      const clock = (): number => 1_790_000_000_000;
      for (const options of [{ url }, host.options])
        await withLedger({ ...options, clock, mode: 'create' }, async (ledger) => {
          await record(ledger);
          prints.push(await fingerprint(ledger));
          for (const [at, file] of ['@1', '@2', 'cp:third', 'latest'].entries()) {
            const bytes = await restored(ledger, { vm: 'red', at: file, folder });
            expect([file, bytes.equals(readFileSync(files[at]!))]).toEqual([file, true]);
          }
        });
      expect(prints[1]).toBe(prints[0]);
      // The copy has the same packs and events, so every answer is the same to the byte.
      const copy = world.another().host('one');
      const both = await withLedger({ url, mode: 'read' }, (from) =>
        withLedger({ ...copy.options, clock, mode: 'create' }, async (to) => {
          expect((await copyLedger({ from, to })).fingerprint).toBe(prints[0]);
          return [await plainAnswers(from), await plainAnswers(to)];
        }),
      );
      expect(differenceOf(both[0]!, both[1]!)).toBeNull();
      // And back again, into a folder.
      const back = join(folder, 'back');
      await withLedger({ ...copy.options, mode: 'read' }, (from) =>
        withLedger({ url: back, mode: 'create' }, async (to) => {
          expect((await copyLedger({ from, to })).fingerprint).toBe(prints[0]);
        }),
      );
    },
    LONG_MS,
  );

  test(
    'recorded into by two hosts at once has one order, and both see the same',
    async () => {
      const { folder } = world;
      const place = world.another();
      const [one, two] = [place.host('one'), place.host('two')];
      const images = new Map([
        ['red', seriesOf(1, 4)],
        ['green', seriesOf(2, 4)],
      ]);
      const seed = writeImages({ folder, name: 'seed', images: [Buffer.alloc(4096)] });
      await one.commands.json('record', 'image', '--vm', 'seed', ...seed);
      await one.commands.json('retire', '--vm', 'seed');
      await shareKey(one, two);
      const outcomes = await Promise.all(
        [one, two].map((host, i) => {
          const [vm, series] = [...images][i]!;
          const files = writeImages({ folder, name: vm, images: series });
          return host.commands.run(['record', 'image', '--vm', vm, ...files]);
        }),
      );
      expect(outcomes.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual([
        [0, ''],
        [0, ''],
      ]);
      const others = new Map([['seed', [Buffer.alloc(4096)]]]);
      const orders: unknown[] = [];
      for (const host of [one, two]) {
        const projections = join(
          host.stateFolder,
          readdirSync(host.stateFolder)[0]!,
          'projections',
        );
        for (const isRebuilt of [false, true]) {
          if (isRebuilt) rmSync(projections, { recursive: true });
          await withLedger({ ...host.options, mode: 'read' }, async (ledger) => {
            await expectRight(ledger, { images, others, folder });
            orders.push(inLogOrder(ledger));
          });
        }
      }
      expect(new Set(orders.map((order) => JSON.stringify(order, plain))).size).toBe(1);
    },
    LONG_MS,
  );

  const plain = (_name: string, value: unknown): unknown =>
    typeof value === 'bigint' ? String(value) : value;

  test(
    'is restored by a host that has nothing of it yet, and by one whose cache was lost',
    async () => {
      const { folder } = world;
      const place = world.another();
      const images = [...imageSeries({ seed: 5, pages: 300, captures: 2, changedPages: 60 })];
      const files = writeImages({ folder, name: 'cold', images });
      await place.host('one').commands.json('record', 'image', '--vm', 'red', ...files);
      const cold = place.host('cold');
      const ask = (at: string): Promise<Buffer> =>
        cold.commands.bytes('restore', '--vm', 'red', '--at', at, '--to', '-');
      expect((await ask('@1')).equals(images[0]!)).toBe(true);
      const cache = join(cold.stateFolder, readdirSync(cold.stateFolder)[0]!, 'cache');
      expect(existsSync(cache)).toBe(true);
      rmSync(cache, { recursive: true });
      expect((await ask('@2')).equals(images[1]!)).toBe(true);
      const checked = await cold.commands.run(['verify']);
      expect([checked.exitCode, checked.stdout.toString()]).toEqual([
        0,
        expect.stringContaining('no key of group default'),
      ]);
    },
    LONG_MS,
  );

  test(
    'made by two hosts at the same moment is one ledger',
    async () => {
      const { folder } = world;
      const place = world.another();
      const hosts = ['one', 'two', 'three'].map((name) => place.host(name));
      const files = writeImages({ folder, name: 'race', images: [Buffer.alloc(8192, 'r')] });
      const outcomes = await Promise.all(
        hosts.map((host, i) =>
          host.commands.run(['record', 'image', '--vm', `vm-${i}`, '--group', `g${i}`, ...files]),
        ),
      );
      expect(outcomes.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(
        hosts.map(() => [0, '']),
      );
      const ids = new Set<string | null>();
      for (const { options } of hosts)
        await withLedger({ ...options, mode: 'read' }, async (ledger) => {
          ids.add(ledger.id);
          expect([...ledger.state.catalogue.vms.keys()].toSorted()).toEqual([
            'vm-0',
            'vm-1',
            'vm-2',
          ]);
          await Promise.resolve();
        });
      expect(ids.size).toBe(1);
    },
    LONG_MS,
  );

  test(
    'lets one recorder record a VM: a second one, on another host, is refused and nothing is lost',
    async () => {
      const { folder } = world;
      const place = world.another();
      const [one, two] = [place.host('one'), place.host('two')];
      const images = [...imageSeries({ seed: 8, pages: 400, captures: 3, changedPages: 50 })];
      const files = writeImages({ folder, name: 'both', images });
      await one.commands.json('record', 'image', '--vm', 'red', files[0]!);
      await shareKey(one, two);
      const ledgers = await Promise.all(
        [one, two].map(({ options }) => openLedger({ ...options, mode: 'write', threads: 0 })),
      );
      try {
        const outcomes = await Promise.allSettled(
          ledgers.map((ledger, i) => recordFiles(ledger, { vm: 'red', files: [files[i + 1]!] })),
        );
        const refused = outcomes.filter(({ status }) => status === 'rejected');
        expect(refused.length).toBeLessThanOrEqual(1);
        for (const outcome of refused)
          expect(outcome).toMatchObject({
            reason: { code: expect.stringMatching(/REVISION_CONFLICT|VM_BUSY/u) },
          });
        const kept = 3 - refused.length;
        await ledgers[0]!.state.catchUp({ heavy: false });
        expect(ledgers[0]!.vm('red').captures).toHaveLength(kept);
        expect(
          (await restored(ledgers[0]!, { vm: 'red', at: '@1', folder })).equals(images[0]!),
        ).toBe(true);
      } finally {
        for (const ledger of ledgers) await ledger.close();
      }
    },
    LONG_MS,
  );
});
