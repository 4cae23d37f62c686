import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { openStateFiles } from '../../../../adapters/stores/derived/state-files.ts';
import type { StateFiles } from '../../../../domain/ports/derived-files.ts';
import { countSteps, filesThatFail } from '../../../support/spoiled/broken-files.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import { triesOf } from '../../../support/long-run.ts';

let temporary: TemporaryFolder;
let folder: string;
let states: StateFiles;
beforeEach(async () => {
  temporary = await makeTemporaryFolder();
  folder = join(temporary.path, 'projections');
  states = openStateFiles({ files: nodeFiles, folder });
});
afterEach(() => temporary.remove());

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a state file', () => {
  test('gives back what was last saved, also in folders of its own', async () => {
    await states.save('index', bytesOf('one'));
    await states.save('index', bytesOf('two'));
    await states.save('memory/web-1/12', bytesOf('three'));
    await states.save('empty', new Uint8Array(0));
    expect(await states.load('index')).toEqual(bytesOf('two'));
    expect(await states.load('memory/web-1/12')).toEqual(bytesOf('three'));
    expect(await states.load('empty')).toEqual(new Uint8Array(0));
    expect(await states.load('memory/web-1/13')).toBeNull();
    expect(await states.load('memory')).toBeNull();
  });

  test('is listed by the beginning of its name', async () => {
    for (const name of ['index', 'memory/a/1', 'memory/a/2', 'memory/ab/1', 'memory/b/1'])
      await states.save(name, bytesOf(name));
    writeFileSync(join(folder, 'memory', 'tmp-half'), '');
    expect(await states.list('')).toHaveLength(5);
    expect(await states.list('memory/a/')).toEqual(['memory/a/1', 'memory/a/2']);
    expect(await states.list('memory/a')).toEqual(['memory/a/1', 'memory/a/2', 'memory/ab/1']);
    expect(await states.list('other/')).toEqual([]);
    expect(await states.list('../')).toEqual([]);
  });

  test("bears a name like a temporary file's without being taken for one", async () => {
    await states.save('tables/tmp-x/1', bytesOf('x'));
    expect(await states.load('tables/tmp-x/1')).toEqual(bytesOf('x'));
    expect(await states.list('tables/tmp-x/')).toEqual(['tables/tmp-x/1']);
    expect(readdirSync(join(folder, 'tables'))).toEqual(['%tmp-x']);
  });

  test('is dropped, and what is not there may be dropped', async () => {
    await states.save('a/b', bytesOf('x'));
    await states.drop('a/b');
    await states.drop('a/b');
    expect(await states.load('a/b')).toBeNull();
    expect(await states.list('')).toEqual([]);
  });

  test.each(['', '.', '..', '../x', '/x', 'a//b', 'a/', 'a/../b', '.x', 'a\0', 'ä', 'a\\b'])(
    'is never called %j',
    async (name) => {
      await expect(states.load(name)).rejects.toThrow('broken invariant');
      await expect(states.save(name, bytesOf('x'))).rejects.toThrow('broken invariant');
      await expect(states.drop(name)).rejects.toThrow('broken invariant');
      expect(readdirSync(temporary.path)).toEqual([]);
    },
  );

  test('is not there when any bit of it flipped, or it is longer or shorter', async () => {
    await states.save('state', bytesOf('what a projection keeps'));
    const path = join(folder, 'state');
    const whole = readFileSync(path);
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const damaged = Buffer.from(whole);
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      writeFileSync(path, damaged);
      expect([bit, await states.load('state')]).toEqual([bit, null]);
    }
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      expect(await states.load('state')).toBeNull();
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.from('x')]));
    expect(await states.load('state')).toBeNull();
    writeFileSync(path, whole);
    expect(await states.load('state')).not.toBeNull();
  });

  test('that is large is read where it lies, also once another has its name', async () => {
    const payload = new Uint8Array(1_000_000);
    for (let i = 0; i < payload.length; i += 1) payload[i] = (i * 31 + (i >>> 11)) & 0xff;
    // In pieces that end anywhere.
    const cuts = [0, 1, 65_535, 65_537, 300_000, 999_999, payload.length];
    const pieces = cuts.slice(1).map((end, i) => payload.subarray(cuts[i], end));
    await states.save('large', { length: payload.length, pieces: () => pieces });
    expect(await states.load('large')).toEqual(payload);
    const open = (await states.open('large'))!;
    expect([open.length, open.memory]).toEqual([payload.length, null]);
    await states.save('large', bytesOf('another'));
    for (const [at, length] of [
      [0, 5],
      [65_530, 20],
      [999_990, 10],
      [10, 900_000],
    ] as const) {
      const target = new Uint8Array(length);
      open.copy(at, target);
      expect(target).toEqual(payload.subarray(at, at + length));
    }
    await open.close();
    const small = (await states.open('large'))!;
    expect(small.memory).toEqual(bytesOf('another'));
    await small.close();
    expect(await states.open('none')).toBeNull();
  });

  test('that is large is not there where any block of it is damaged, and later nothing unchecked is given', async () => {
    const payload = new Uint8Array(1_000_000).fill(7);
    await states.save('large', payload);
    const path = join(folder, 'large');
    const whole = readFileSync(path);
    for (const at of [0, 19, 20, 70_000, 1_000_019, 1_000_020, whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 1;
      writeFileSync(path, damaged);
      expect([at, await states.open('large')]).toEqual([at, null]);
    }
    writeFileSync(path, whole);
    const open = (await states.open('large'))!;
    // In place, as a disk would spoil it.
    const file = openSync(path, 'r+');
    writeSync(file, Uint8Array.of(8), 0, 1, 20 + 200_000);
    closeSync(file);
    const target = new Uint8Array(10);
    open.copy(500_000, target);
    expect(target).toEqual(payload.subarray(0, 10));
    expect(() => {
      open.copy(200_010, target);
    }).toThrow(expect.objectContaining({ code: 'IO_FAILED' }));
    await open.close();
  });

  test('that is anything at all is not there, and takes no memory that it only claims', async () => {
    mkdirSync(folder);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
        writeFileSync(join(folder, 'state'), bytes);
        expect(await states.load('state')).toBeNull();
      }),
      { numRuns: triesOf(50) },
    );
  });

  test('holds any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 10_000 }), async (bytes) => {
        await states.save('state', bytes);
        expect(await states.load('state')).toEqual(bytes);
      }),
      { numRuns: triesOf(30) },
    );
  });

  test('that cannot be written keeps what it held, and nobody is troubled', async () => {
    const steps = await countSteps((files) =>
      openStateFiles({ files, folder: join(temporary.path, 'counted') }).save('a', bytesOf('x')),
    );
    expect(steps).toBeGreaterThan(3);
    await states.save('a', bytesOf('before'));
    for (let step = 0; step < steps; step += 1) {
      const files = filesThatFail({ step, systemCode: 'EROFS' });
      await openStateFiles({ files, folder }).save('a', bytesOf('after'));
      expect(await states.load('a')).toEqual(bytesOf('before'));
      expect(await states.list('')).toEqual(['a']);
    }
    expect(readdirSync(folder)).toEqual(['a']);
  });

  test('whose place is taken by a folder, or that leads nowhere, is not there', async () => {
    await states.save('a/b', bytesOf('x'));
    await states.save('a', bytesOf('y'));
    await states.save('a/b/c', bytesOf('z'));
    symlinkSync('nowhere', join(folder, 'link'));
    expect(await states.load('a')).toBeNull();
    expect(await states.load('a/b/c')).toBeNull();
    expect(await states.load('link')).toBeNull();
    expect(await states.list('')).toEqual(['a/b']);
  });

  test('takes half written ones away that are over an hour old', async () => {
    await states.save('a', bytesOf('x'));
    const old = join(folder, 'tmp-old');
    writeFileSync(old, 'half');
    utimesSync(old, new Date(Date.now() - 3_700_000), new Date(Date.now() - 3_700_000));
    // Once a process: folders have thousands of files.
    await states.save('a', bytesOf('y'));
    expect(readdirSync(folder).toSorted()).toEqual(['a', 'tmp-old']);
    await openStateFiles({ files: nodeFiles, folder }).save('a', bytesOf('y'));
    expect(readdirSync(folder)).toEqual(['a']);
  });

  test('is whole for who reads it while it is saved again and again', async () => {
    const contents = [new Uint8Array(200_000).fill(1), new Uint8Array(150_000).fill(2)];
    await states.save('a', contents[0]!);
    const writer = (async () => {
      for (let i = 0; i < 30; i += 1) await states.save('a', contents[i % 2]!);
    })();
    const sizes = new Set<string>();
    for (let i = 0; i < 30; i += 1) {
      const read = await states.load('a');
      sizes.add(`${read?.length} of ${read?.[0]}`);
    }
    await writer;
    expect(['200000 of 1', '150000 of 2']).toEqual(expect.arrayContaining([...sizes]));
  });
});
