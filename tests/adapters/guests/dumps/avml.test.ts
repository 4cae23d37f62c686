// Dumps that avml writes compressed: what is read of them, and what is refused.

import { describe, expect, test } from '@jest/globals';
import { unsnap } from '../../../../adapters/guests/dumps/snappy.ts';
import { avmlDump, snapped } from '../../../support/guest/avml-bytes.ts';
import { DumpOpener, flat, runAt } from '../../../support/guest/opened-dump.ts';
import { suiteFolder } from '../../../support/disks/suite-folder.ts';

const opener = new DumpOpener(suiteFolder());

const RUNS = [runAt(1, 50, 3), runAt(5000, 7, 5)];
const DUMP = avmlDump(RUNS);
/** Behind the header, the stream's own mark, and a chunk that is skipped. */
const FIRST_CHUNK = 32 + 10 + 9;

test('is decompressed; what was left out is zeros', async () => {
  const { captured, memory } = await opener.opened(DUMP);
  expect(memory.equals(flat(5007, RUNS))).toBe(true);
  expect(captured.mode).toBe('image');
  expect(captured.memoryMap.ranges).toHaveLength(1);
});

test('snappy: literals of all lengths, copies near and far, also of what they write', () => {
  const long = Buffer.alloc(70_000, 'abcdefg');
  const literal = Buffer.concat([Buffer.from([62 << 2, 0x6f, 0x11, 0x01]), long]);
  const out = new Uint8Array(70_020);
  // Lengths by 1, 2 and 4 bytes of distance.
  const copies = [
    [((5 - 4) << 2) | 1, 7],
    [((6 - 1) << 2) | 2, 0x70, 0x11],
    [((9 - 1) << 2) | 3, 0x70, 0x11, 0x01, 0],
  ].flat();
  const data = Buffer.concat([Buffer.from([0x84, 0xa3, 0x04]), literal, Buffer.from(copies)]);
  expect(unsnap(data, out)).toBe(70_020);
  const expected = [...long];
  for (const [count, back] of [
    [5, 7],
    [6, 0x1170],
    [9, 0x11170],
  ] as const)
    for (let i = 0; i < count; i += 1) expected.push(expected[expected.length - back]!);
  expect(Buffer.from(out).equals(Buffer.from(expected))).toBe(true);
  expect(unsnap(snapped(long), new Uint8Array(70_000))).toBe(70_000);
});

describe('snappy that is not sound is refused:', () => {
  test.each([
    ['nothing', []],
    ['a length without an end', [0x80, 0x80]],
    ['a length that there is no room for', [0xff, 0xff, 0xff, 0x7f, 0, 65]],
    ['less than it says', [5, 0, 65]],
    ['more than it says', [1, 4, 65, 66]],
    ['a literal that ends early', [9, 8 << 2, 65]],
    ['a literal whose length ends early', [9, 61 << 2, 1]],
    ['a copy of what is not there', [9, 0, 65, (3 << 2) | 2, 2, 0]],
    ['a copy of nothing', [9, 0, 65, (3 << 2) | 2, 0, 0]],
    ['a copy that ends early', [9, 0, 65, (3 << 2) | 3, 1, 0]],
  ])('%s', (_, bytes) => {
    expect(unsnap(Uint8Array.from(bytes), new Uint8Array(64))).toBeNull();
  });
});

/** The dump with another byte. */
function withByte(at: number, value: number): Buffer {
  const changed = Buffer.from(DUMP);
  changed[at] = value;
  return changed;
}

describe('is refused:', () => {
  test.each([
    ['another version', withByte(4, 1), /no header of a range/u],
    ['a range that is longer than avml writes', withByte(32 - 16 + 3, 0x40), /bytes of memory at/u],
    ['a range of no whole pages', withByte(16, 0xfe), /bytes of memory at/u],
    ['a chunk of a kind that is not known', withByte(FIRST_CHUNK, 5), /a chunk of kind 5/u],
    ['a chunk behind the end', withByte(FIRST_CHUNK + 3, 0xff), /^SOURCE_SIZE/u],
    ['a chunk that claims too much', withByte(FIRST_CHUNK + 10, 0x7f), /a chunk of \d+ bytes/u],
    [
      'content that is not what it was',
      withByte(FIRST_CHUNK + 60, 0xaa),
      /a chunk that is damaged/u,
    ],
    [
      'a wrong checksum',
      withByte(FIRST_CHUNK + 4, DUMP[FIRST_CHUNK + 4]! ^ 1),
      /a chunk that is damaged/u,
    ],
    ['a wrong length at its end', withByte(DUMP.length - 8, 1), /says that/u],
    ['no end', DUMP.subarray(0, DUMP.length - 9), /^SOURCE_SIZE/u],
  ])('%s', async (_, bytes, expected) => {
    expect(await opener.refused(bytes)).toMatch(expected);
  });
});
