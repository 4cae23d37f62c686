import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { openBlockFiles } from '../../../../adapters/stores/derived/block-files.ts';
import { openStateFiles } from '../../../../adapters/stores/derived/state-files.ts';
import { FILE_BLOCK_BYTES, type BlockFiles } from '../../../../domain/ports/derived-files.ts';
import { withTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import { triesOf } from '../../../support/long-run.ts';

async function* blocksOf(contents: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* contents;
}

const withFiles = (work: (files: BlockFiles, folder: string) => Promise<void>): Promise<void> =>
  withTemporaryFolder((folder) => work(openBlockFiles({ files: nodeFiles, folder }), folder));

const BYTES = [
  Uint8Array.of(1, 2, 3),
  new Uint8Array(FILE_BLOCK_BYTES).fill(9),
  new Uint8Array(0),
] as const;

describe('block files', () => {
  test('give each block back alone, with zeros after what was saved', () =>
    withFiles(async (files, folder) => {
      expect(await files.save('some/blocks', blocksOf(BYTES))).toBe(true);
      const file = (await files.open('some/blocks'))!;
      expect(file.count).toBe(3);
      for (const number of [2, 0, 1]) {
        const expected = new Uint8Array(FILE_BLOCK_BYTES);
        expected.set(BYTES[number]!);
        expect(await file.read(number)).toEqual(expected);
      }
      expect(await file.read(3)).toBeNull();
      await file.close();
      const states = openStateFiles({ files: nodeFiles, folder });
      expect(await states.list('some/')).toEqual(['some/blocks']);
      await states.drop('some/blocks');
      expect(await files.open('some/blocks')).toBeNull();
    }));

  test('give blocks one after the other, and null where one is damaged or gone', () =>
    withFiles(async (files, folder) => {
      const blocks = Array.from({ length: 40 }, (_, i) => new Uint8Array(i + 1).fill(i + 1));
      await files.save('blocks', blocksOf(blocks));
      const path = join(folder, 'blocks');
      const bytes = readFileSync(path);
      const damaged = 21;
      bytes[(damaged * bytes.length) / blocks.length]! ^= 1;
      writeFileSync(path, bytes);
      const file = (await files.open('blocks'))!;
      truncateSync(path, (38 * bytes.length) / blocks.length);
      let number = 0;
      for await (const block of file.first(40)) {
        const expected = new Uint8Array(FILE_BLOCK_BYTES);
        expected.set(blocks[number]!);
        expect(block).toEqual(number === damaged || number >= 38 ? null : expected);
        number += 1;
      }
      expect(number).toBe(40);
      await file.close();
    }));

  test('do not give a block in which any bit changed, nor one that lies elsewhere', () =>
    withFiles(async (files, folder) => {
      await files.save('blocks', blocksOf(BYTES));
      const path = join(folder, 'blocks');
      const whole = readFileSync(path);
      const stride = whole.length / 3;
      await fc.assert(
        fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), async (at, bit) => {
          const damaged = Buffer.from(whole);
          damaged[at]! ^= 1 << bit;
          writeFileSync(path, damaged);
          const file = (await files.open('blocks'))!;
          for (let number = 0; number < 3; number += 1) {
            const block = await file.read(number);
            expect(block === null).toBe(number === Math.floor(at / stride));
          }
          await file.close();
        }),
        { numRuns: triesOf(60) },
      );
      writeFileSync(path, Buffer.concat([whole.subarray(stride), whole.subarray(0, stride)]));
      const file = (await files.open('blocks'))!;
      expect([await file.read(0), await file.read(1), await file.read(2)]).toEqual([
        null,
        null,
        null,
      ]);
      await file.close();
    }));

  test('that were cut off, or are something else, are not there', () =>
    withFiles(async (files, folder) => {
      await files.save('blocks', blocksOf(BYTES));
      const path = join(folder, 'blocks');
      truncateSync(path, statSync(path).size - 1);
      expect(await files.open('blocks')).toBeNull();
      truncateSync(path, 0);
      expect(await files.open('blocks')).toBeNull();
      expect(await files.open('nothing')).toBeNull();
    }));

  test('are replaced whole, or stay as they were where writing fails', () =>
    withFiles(async (files, folder) => {
      await files.save('blocks', blocksOf(BYTES));
      writeFileSync(join(folder, 'file'), 'no folder');
      expect(await files.save('file/blocks', blocksOf(BYTES))).toBe(false);
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Uint8Array.of(5);
        throw new TypeError('the source failed');
      }
      await expect(files.save('blocks', failing())).rejects.toThrow('the source failed');
      const kept = (await files.open('blocks'))!;
      expect((await kept.read(0))!.subarray(0, 3)).toEqual(Uint8Array.of(1, 2, 3));
      await kept.close();
      expect(await files.save('blocks', blocksOf([Uint8Array.of(5)]))).toBe(true);
      const replaced = (await files.open('blocks'))!;
      expect(replaced.count).toBe(1);
      await replaced.close();
    }));
});
