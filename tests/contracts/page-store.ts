// What every page store does (domain/ports/page-store.ts, PageStore): a function of a factory, run by a small
// test file of each store.

import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readMemory, withOpenMemory } from '../../adapters/files/memory-file.ts';
import type { PackEntry, PageStore } from '../../domain/ports/page-store.ts';
import { seededRandom } from '../support/images.ts';
import { failureOf, gather, valueOf } from '../support/outcomes.ts';
import { triesOf } from '../support/long-run.ts';

export interface PageStoreWorld {
  readonly store: PageStore;
  /** Another instance over the same packs, as another process has it. */
  another(): Promise<PageStore>;
  close(): Promise<void>;
}

export interface Pack {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What tells bytes apart; jest compares large arrays a thousand times slower. */
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const packOf = (bytes: Uint8Array): Pack => ({
  name: digestOf(bytes),
  bytes,
});

/** A pack of so many bytes at random. */
export function makePack(request: { readonly seed: number; readonly sizeBytes: number }): Pack {
  const random = seededRandom(request.seed);
  return packOf(Uint8Array.from({ length: request.sizeBytes }, () => random(256)));
}

const nameOf = (entry: PackEntry): string => entry.name;

/** Runs the contract on the stores that `factory` makes, each empty. */
export function pageStoreContract(name: string, factory: () => Promise<PageStoreWorld>): void {
  describe(`the page store ${name}`, () => {
    let world: PageStoreWorld;
    beforeEach(async () => {
      world = await factory();
    });
    afterEach(() => world.close());
    const current = (): PageStoreWorld => world;
    contractOfPut(current);
    contractOfGet(current);
    contractOfFiles(current);
    contractOfList(current);
    contractOfDelete(current);
    contractOfMarks(current);
    contractOfModel(factory);
  });
}

type Current = () => PageStoreWorld;

function contractOfPut(current: Current): void {
  test('gives back the pack that was put, also to another instance', async () => {
    const pack = makePack({ seed: 1, sizeBytes: 70_000 });
    await valueOf(current().store.put(pack));
    const whole = { name: pack.name, offsetBytes: 0, lengthBytes: pack.bytes.length };
    expect(digestOf(await valueOf(current().store.get(whole)))).toBe(pack.name);
    expect(digestOf(await valueOf((await current().another()).get(whole)))).toBe(pack.name);
  });

  test('takes a pack of 6 MiB', async () => {
    const bytes = new Uint8Array(6 * 2 ** 20).fill(0x5a);
    bytes.set([1, 2, 3, 4], bytes.length - 4);
    const pack = packOf(bytes);
    await valueOf(current().store.put(pack));
    const end = { name: pack.name, offsetBytes: bytes.length - 6, lengthBytes: 6 };
    expect(await valueOf(current().store.get(end))).toEqual(bytes.subarray(-6));
    expect((await gather(current().store.list())).map((entry) => entry.sizeBytes)).toEqual([
      bytes.length,
    ]);
  });

  test('does not keep the caller\u2019s buffer: what was put stays as it was', async () => {
    const pack = makePack({ seed: 2, sizeBytes: 100 });
    const bytes = pack.bytes.slice();
    await valueOf(current().store.put({ name: pack.name, bytes }));
    bytes.fill(0);
    const range = { name: pack.name, offsetBytes: 0, lengthBytes: 100 };
    const read = await valueOf(current().store.get(range));
    expect(read).toEqual(pack.bytes);
    read.fill(0);
    expect(await valueOf(current().store.get(range))).toEqual(pack.bytes);
  });

  test('may be repeated', async () => {
    const pack = makePack({ seed: 3, sizeBytes: 5000 });
    await valueOf(current().store.put(pack));
    await valueOf(current().store.put(pack));
    expect((await gather(current().store.list())).map(nameOf)).toEqual([pack.name]);
  });

  test('takes the same pack from several instances at once', async () => {
    const pack = makePack({ seed: 4, sizeBytes: 300_000 });
    const stores = [current().store, await current().another(), await current().another()];
    await Promise.all([...stores, ...stores].map((store) => valueOf(store.put(pack))));
    expect((await gather(current().store.list())).map(nameOf)).toEqual([pack.name]);
    const whole = { name: pack.name, offsetBytes: 0, lengthBytes: pack.bytes.length };
    for (const store of stores) expect(digestOf(await valueOf(store.get(whole)))).toBe(pack.name);
  });

  test('says whether a pack that was put is there, of its length', async () => {
    const { store } = current();
    const { name, bytes } = makePack({ seed: 6, sizeBytes: 5000 });
    const other = await current().another();
    const asked = async (sizeBytes: number): Promise<readonly boolean[]> => [
      await valueOf(store.has({ name, sizeBytes })),
      await valueOf(other.has({ name, sizeBytes })),
    ];
    expect(await asked(5000)).toEqual([false, false]);
    await valueOf(store.put({ name, bytes }));
    expect(await asked(5000)).toEqual([true, true]);
    expect(await asked(4999)).toEqual([false, false]);
    await valueOf(store.delete(name));
    expect(await asked(5000)).toEqual([false, false]);
  });

  test('keeps a part of a pack that cannot be had whole, until the pack is put', async () => {
    const { store } = current();
    const pack = makePack({ seed: 7, sizeBytes: 5000 });
    const { name } = pack;
    const bytes = new Uint8Array(5001);
    bytes.set(pack.bytes.subarray(0, 3000));
    await valueOf(store.putPart({ name, bytes }));
    expect(await valueOf(store.has({ name, sizeBytes: 5000 }))).toBe(false);
    const start = { name, offsetBytes: 0, lengthBytes: 3000 };
    expect(await valueOf(store.get(start))).toEqual(pack.bytes.subarray(0, 3000));
    await valueOf(store.put(pack));
    expect(await valueOf(store.has({ name, sizeBytes: 5000 }))).toBe(true);
    const whole = { name, offsetBytes: 0, lengthBytes: 5000 };
    for (const each of [store, await current().another()])
      expect(digestOf(await valueOf(each.get(whole)))).toBe(name);
    expect((await gather(store.list())).map(nameOf)).toEqual([name]);
  });

  test('refuses bytes that are not what the name says, and stores nothing', async () => {
    const pack = makePack({ seed: 5, sizeBytes: 5000 });
    const bytes = pack.bytes.slice();
    bytes[4999]! ^= 1;
    const failure = await failureOf(current().store.put({ name: pack.name, bytes }));
    expect(failure.code).toBe('PACK_DAMAGED');
    expect(failure.message).toContain(pack.name);
    expect(await gather(current().store.list())).toEqual([]);
  });
}

const BAD_NAMES = [
  '',
  'a'.repeat(63),
  'a'.repeat(65),
  'A'.repeat(64),
  `${'a'.repeat(64)}\n`,
  `../${'a'.repeat(61)}`,
  `${'a'.repeat(63)}/`,
  `${'a'.repeat(63)}\0`,
  '/etc/passwd',
];

function contractOfGet(current: Current): void {
  const pack = makePack({ seed: 6, sizeBytes: 10_000 });
  const get = (offsetBytes: number, lengthBytes: number) =>
    current().store.get({ name: pack.name, offsetBytes, lengthBytes });

  test('gives ranges at both ends and empty ones', async () => {
    await valueOf(current().store.put(pack));
    expect(await valueOf(get(0, 1))).toEqual(pack.bytes.subarray(0, 1));
    expect(await valueOf(get(9999, 1))).toEqual(pack.bytes.subarray(9999));
    expect(await valueOf(get(4096, 4096))).toEqual(pack.bytes.subarray(4096, 8192));
    expect(await valueOf(get(0, 0))).toEqual(new Uint8Array(0));
    expect(await valueOf(get(10_000, 0))).toEqual(new Uint8Array(0));
  });

  test.each([
    [9999, 2],
    [10_000, 1],
    [10_001, 0],
    [0, 10_001],
    [0, 2 ** 52],
    [2 ** 52, 2 ** 52],
  ])('calls a pack damaged that ends before %d + %d bytes', async (offset, length) => {
    await valueOf(current().store.put(pack));
    const failure = await failureOf(get(offset, length));
    expect(failure.code).toBe('PACK_DAMAGED');
    expect(failure.facts).toMatchObject({
      name: pack.name,
      foundBytes: 10_000,
      expectedBytes: offset + length,
    });
  });

  test('names a pack that is not there', async () => {
    const failure = await failureOf(get(0, 1));
    expect(failure.code).toBe('PACK_MISSING');
    expect(failure.message).toContain(pack.name);
  });

  test('gives many ranges at once', async () => {
    await valueOf(current().store.put(pack));
    const offsets = Array.from({ length: 200 }, (_, i) => i * 49);
    const parts = await Promise.all(offsets.map((offset) => valueOf(get(offset, 49))));
    for (const [i, part] of parts.entries())
      expect(part).toEqual(pack.bytes.subarray(i * 49, (i + 1) * 49));
  });

  test.each(BAD_NAMES)('refuses the name %j in every operation', async (name) => {
    const bytes = new Uint8Array(1);
    const codes = [
      await failureOf(current().store.get({ name, offsetBytes: 0, lengthBytes: 0 })),
      await failureOf(current().store.put({ name, bytes })),
      await failureOf(current().store.delete(name)),
    ].map((failure) => failure.code);
    expect(codes).toEqual(['PACK_DAMAGED', 'PACK_DAMAGED', 'PACK_DAMAGED']);
  });
}

/** What stores keep whose packs lie in files; others have nothing to keep. */
function contractOfFiles(current: Current): void {
  const pack = makePack({ seed: 21, sizeBytes: 5000 });

  test('gives a pack as a file, opened when it is read', async () => {
    const { store } = current();
    if (store.fileOf === undefined) return;
    const file = store.fileOf(pack.name);
    const read = (): string => {
      const bytes = new Uint8Array(pack.bytes.length);
      const part = { bytes, at: 0, lengthBytes: bytes.length, offsetBytes: 0 };
      expect(withOpenMemory(file, (open) => readMemory(open, part))).toBe(bytes.length);
      return digestOf(bytes);
    };
    expect(read).toThrow('ENOENT');
    await valueOf(store.put(pack));
    expect(read()).toBe(pack.name);
    await valueOf(store.delete(pack.name));
    expect(read).toThrow('ENOENT');
  });
}

function contractOfList(current: Current): void {
  test('lists nothing when it is empty', async () => {
    expect(await gather(current().store.list())).toEqual([]);
  });

  test('lists each pack once, with its size and when it was written', async () => {
    const before = Date.now();
    const packs = Array.from({ length: 40 }, (_, i) => makePack({ seed: 100 + i, sizeBytes: i }));
    for (const pack of packs) await valueOf(current().store.put(pack));
    const entries = await gather(current().store.list());
    const sizes = new Map(entries.map((entry) => [entry.name, entry.sizeBytes]));
    expect(sizes).toEqual(new Map(packs.map((pack) => [pack.name, pack.bytes.length])));
    expect(entries).toHaveLength(packs.length);
    // Servers and file systems keep whole seconds at worst.
    for (const entry of entries) expect(entry.writtenAtMs).toBeGreaterThan(before - 2000);
  });

  test('has a clock, by which a pack that was just written is new', async () => {
    await valueOf(current().store.put(makePack({ seed: 150, sizeBytes: 64 })));
    const [entry] = await gather(current().store.list());
    const ageMs = (await valueOf(current().store.now())) - entry!.writtenAtMs;
    expect(Math.abs(ageMs)).toBeLessThan(60_000);
    expect(await gather(current().store.list())).toHaveLength(1);
  });

  test('lists every pack that was there all the time, while others come and go', async () => {
    const stay = Array.from({ length: 20 }, (_, i) => makePack({ seed: 200 + i, sizeBytes: 64 }));
    const go = Array.from({ length: 20 }, (_, i) => makePack({ seed: 300 + i, sizeBytes: 64 }));
    for (const pack of [...stay, ...go]) await valueOf(current().store.put(pack));
    const busy = (async () => {
      for (const [i, pack] of go.entries()) {
        await valueOf(current().store.put(makePack({ seed: 400 + i, sizeBytes: 64 })));
        await valueOf(current().store.delete(pack.name));
      }
    })();
    const names = (await gather(current().store.list())).map(nameOf);
    await busy;
    for (const pack of stay) expect(names.filter((name) => name === pack.name)).toHaveLength(1);
  });

  test('may be left before its end', async () => {
    for (let i = 0; i < 5; i += 1)
      await valueOf(current().store.put(makePack({ seed: 500 + i, sizeBytes: 8 })));
    for await (const entry of current().store.list()) {
      expect(entry.sizeBytes).toBe(8);
      break;
    }
    expect(await gather(current().store.list())).toHaveLength(5);
  });
}

function contractOfDelete(current: Current): void {
  test('forgets a pack that was deleted, and takes it again', async () => {
    const pack = makePack({ seed: 7, sizeBytes: 5000 });
    const range = { name: pack.name, offsetBytes: 10, lengthBytes: 10 };
    await valueOf(current().store.put(pack));
    await valueOf(current().store.get(range));
    await valueOf(current().store.delete(pack.name));
    expect((await failureOf(current().store.get(range))).code).toBe('PACK_MISSING');
    expect(await gather(current().store.list())).toEqual([]);
    await valueOf(current().store.put(pack));
    expect(await valueOf(current().store.get(range))).toEqual(pack.bytes.subarray(10, 20));
  });

  test('may be asked to delete what is not there', async () => {
    const { name } = makePack({ seed: 8, sizeBytes: 1 });
    await valueOf(current().store.delete(name));
    await valueOf(current().store.delete(name));
    expect(await gather(current().store.list())).toEqual([]);
  });

  test('gives the right bytes or none to who reads while it is deleted', async () => {
    const pack = makePack({ seed: 9, sizeBytes: 200_000 });
    const other = await current().another();
    await valueOf(current().store.put(pack));
    const range = { name: pack.name, offsetBytes: 1000, lengthBytes: 150_000 };
    const reads = Array.from({ length: 20 }, (_, i) =>
      (i % 2 === 0 ? current().store : other).get(range)(),
    );
    await valueOf(current().store.delete(pack.name));
    const answers = (await Promise.all(reads)).map((outcome) =>
      outcome._tag === 'Left' ? outcome.left.code : digestOf(outcome.right),
    );
    const right = digestOf(pack.bytes.subarray(1000, 151_000));
    expect(answers.filter((answer) => answer !== 'PACK_MISSING' && answer !== right)).toEqual([]);
  });
}

function contractOfMarks(current: Current): void {
  const first = { position: 4711n, id: '0b8c1e5de1b94bd2a54a0c2f7f1f3c55' };
  const second = { position: 2n ** 62n, id: 'f'.repeat(32) };

  test('keeps the last mark, for other instances too, and lists it as no pack', async () => {
    expect(await valueOf(current().store.marks())).toEqual([]);
    await valueOf(current().store.putMark(first));
    await valueOf(current().store.putMark(first));
    expect(await valueOf((await current().another()).marks())).toEqual([first]);
    await valueOf(current().store.putMark(second));
    expect(await valueOf((await current().another()).marks())).toEqual([second]);
    expect(await gather(current().store.list())).toEqual([]);
  });
}

const MODEL_PACKS = Array.from({ length: 4 }, (_, i) =>
  makePack({ seed: 900 + i, sizeBytes: 1 + 300 * i }),
);

type Step = { readonly pack: number; readonly kind: 'put' | 'get' | 'delete' };

function contractOfModel(factory: () => Promise<PageStoreWorld>): void {
  const step: fc.Arbitrary<Step> = fc.record({
    pack: fc.nat({ max: MODEL_PACKS.length - 1 }),
    kind: fc.constantFrom('put', 'get', 'delete'),
  });

  test('does whatever is asked of it as a plain map would', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const world = await factory();
        const model = new Set<string>();
        for (const { pack, kind } of steps)
          expect(await runStep(world.store, model, MODEL_PACKS[pack]!, kind)).toBe(true);
        const names = (await gather(world.store.list())).map(nameOf);
        await world.close();
        expect(names.toSorted()).toEqual([...model].toSorted());
      }),
      { numRuns: triesOf(20) },
    );
  });
}

/** Takes a step on the store and on the model: whether the store answered as the model says. */
async function runStep(
  store: PageStore,
  model: Set<string>,
  pack: Pack,
  kind: Step['kind'],
): Promise<boolean> {
  switch (kind) {
    case 'put':
      await valueOf(store.put(pack));
      model.add(pack.name);
      return true;
    case 'delete':
      await valueOf(store.delete(pack.name));
      model.delete(pack.name);
      return true;
    case 'get':
      break;
  }
  const range = { name: pack.name, offsetBytes: 0, lengthBytes: pack.bytes.length };
  const outcome = await store.get(range)();
  if (outcome._tag === 'Left') return !model.has(pack.name);
  return model.has(pack.name) && digestOf(outcome.right) === pack.name;
}
