// Internal snapshots of qcow2 images, made by hand: what each holds, and what is refused.

import { describe, expect, test } from '@jest/globals';
import { DumpOpener } from '../../../support/guest/opened-dump.ts';
import { QCOW2_FIELDS, qcow2Image } from '../../../support/guest/qcow2-bytes.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';
import { suiteFolder } from '../../../support/disks/suite-folder.ts';

const PAGES = 900;
const opener = new DumpOpener(suiteFolder());

/** A guest whose pages are all filled with a byte, and more of them than one table has clusters for. */
const stateOf = (byte: number): Buffer =>
  stream.bytesOf(
    stream.head(),
    stream.start([{ name: 'pc.ram', pages: PAGES }]),
    stream.end(
      ...Array.from({ length: PAGES }, (_, i) => stream.page(i, stream.pageOf(byte), 'pc.ram')),
    ),
    stream.tail(),
  );

const IMAGE = qcow2Image([
  { name: 'before the update', state: stateOf(1) },
  { name: 'disk-only', state: new Uint8Array(0) },
  { name: 'after', state: stateOf(2), seconds: 1_800_000_000 },
]);

test('each snapshot with memory is a moment, with its own time and name', async () => {
  const moments = await opener.moments(opener.file(IMAGE, 'disk.qcow2'));
  expect(moments.map(({ captured }) => [captured.name, captured.timeMs, captured.mode])).toEqual([
    ['before the update', 1_700_000_000_250, 'stream'],
    ['after', 1_800_000_000_250, 'stream'],
  ]);
  expect(moments.map(({ captured }) => captured.file?.name)).toEqual([
    'disk.qcow2#1',
    'disk.qcow2#3',
  ]);
  for (const [i, { memory, captured }] of moments.entries()) {
    expect(memory.equals(Buffer.alloc(PAGES * 4096, i + 1))).toBe(true);
    expect(captured.device).not.toBeNull();
  }
});

/** The image with another number at a place. */
function withU32(at: number, value: number): Buffer {
  const changed = Buffer.from(IMAGE);
  changed.writeUInt32BE(value, at);
  return changed;
}

/** The image with a change in its table of snapshots, or in the L1 table of the first of them. */
function spoiled(
  change: (image: Buffer, at: { readonly entry: number; readonly l1: number }) => void,
): Buffer {
  const image = Buffer.from(IMAGE);
  const entry = Number(image.readBigUInt64BE(QCOW2_FIELDS.tableOffset));
  change(image, { entry, l1: Number(image.readBigUInt64BE(entry)) });
  return image;
}

/** The first clusters of the first state all lie at the same place. */
const circle = spoiled((image, { l1 }) => {
  const l2 = Number(image.readBigUInt64BE(l1 + 16) & 0xff_ffff_fe00n);
  for (let i = 0; i < 512; i += 1) image.copy(image, l2 + 8 * i, l2, l2 + 8);
});
const ofItself = spoiled((image, { l1 }) => {
  image.writeBigUInt64BE(BigInt(l1) | (1n << 63n), l1 + 16);
});

describe('is refused:', () => {
  test.each([
    ['an image of another version', withU32(QCOW2_FIELDS.version, 4), /of version 4/u],
    ['clusters of no size', withU32(QCOW2_FIELDS.clusterBits, 31), /clusters of 2\^31/u],
    ['an encrypted one', withU32(QCOW2_FIELDS.encryption, 2), /encrypted/u],
    ['very many snapshots', withU32(QCOW2_FIELDS.snapshots, 2 ** 31), /claims 2147483648/u],
    ['more snapshots than its table has', withU32(QCOW2_FIELDS.snapshots, 60_000), /SOURCE_/u],
    [
      'a table of them behind its end',
      withU32(QCOW2_FIELDS.tableOffset + 4, 2 ** 31),
      /^SOURCE_SIZE/u,
    ],
    ['an image that is open', withU32(QCOW2_FIELDS.features + 4, 1), /was not closed/u],
    ['one that is corrupt', withU32(QCOW2_FIELDS.features + 4, 2), /marked as corrupt/u],
    ['one with data elsewhere', withU32(QCOW2_FIELDS.features + 4, 4), /in another file/u],
    ['one with a feature of later', withU32(QCOW2_FIELDS.features, 1), /the feature 32/u],
    [
      'names that are too long',
      spoiled((image, { entry }) => image.writeUInt16BE(65_000, entry + 14)),
      /a snapshot that is none/u,
    ],
    [
      'more state than the table has clusters for',
      spoiled((image, { entry }) => image.writeBigUInt64BE(2n ** 44n, entry + 40)),
      /has no room/u,
    ],
    [
      'a state that no number is as large as',
      spoiled((image, { entry }) => image.writeBigUInt64BE(2n ** 63n, entry + 40)),
      /has no room/u,
    ],
    ['clusters that are the same', circle, /^S/u],
    ['a table that is its own', ofItself, /^S/u],
    [
      'compressed memory',
      spoiled((image, { l1 }) =>
        image.writeBigUInt64BE(1n << 62n, Number(image.readBigUInt64BE(l1 + 16) & 0xff_ffff_fe00n)),
      ),
      /compressed memory/u,
    ],
    [
      'no snapshot with memory',
      qcow2Image([{ name: 'disk', state: new Uint8Array(0) }]),
      /1 internal snapshots, and none with memory/u,
    ],
    ['no snapshot', qcow2Image([]), /0 internal snapshots/u],
  ])('%s', async (_, bytes, expected) => {
    await expect(opener.momentsRefused(bytes)).resolves.toMatch(expected);
  });
});
