import { expect, test } from '@jest/globals';
import { SmallReads } from '../../../../adapters/stores/page-store-folder/small-reads.ts';
import type { OpenFile } from '../../../../adapters/files/file-port.ts';

const SLOW_MS = 3;
const QUICK_MS = 0.01;

/** A file whose reads take as long as is said, by a clock of its own, and how each was made. */
function timedFile(): {
  readonly file: OpenFile;
  readonly reads: SmallReads;
  readonly ways: string[];
  takeMs: number;
} {
  let nowMs = 0;
  const ways: string[] = [];
  const made = {
    ways,
    takeMs: QUICK_MS,
    reads: new SmallReads(() => nowMs),
    file: {
      read: async (target: Uint8Array) => {
        ways.push('pool');
        return target.fill(7).length;
      },
      readNow: (target: Uint8Array) => {
        ways.push('at once');
        nowMs += made.takeMs;
        return target.fill(7).length;
      },
    } as unknown as OpenFile,
  };
  return made;
}

const read = async (from: ReturnType<typeof timedFile>, bytes: number): Promise<void> => {
  const target = new Uint8Array(bytes);
  expect(await from.reads.read(from.file, target, 0)).toBe(bytes);
  expect(target.every((byte) => byte === 7)).toBe(true);
};

test('what is small is read at once, what is large by the pool', async () => {
  const from = timedFile();
  await read(from, 4096);
  await read(from, 1024 * 1024);
  await read(from, 64 * 1024);
  expect(from.ways).toEqual(['at once', 'pool', 'at once']);
});

test('after a slow read the next 64 go to the pool, and then one is tried again', async () => {
  const from = timedFile();
  from.takeMs = SLOW_MS;
  for (let i = 0; i < 66; i += 1) await read(from, 4096);
  expect(from.ways.filter((way) => way === 'at once')).toHaveLength(2);
  expect(from.ways.at(0)).toBe('at once');
  expect(from.ways.at(-1)).toBe('at once');
  from.takeMs = QUICK_MS;
  for (let i = 0; i < 66; i += 1) await read(from, 4096);
  expect(from.ways.slice(-2)).toEqual(['at once', 'at once']);
});
