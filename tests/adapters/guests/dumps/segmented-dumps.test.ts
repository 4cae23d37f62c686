// Dumps that say where their memory lies: what is read of them, and what is refused.

import { describe, expect, test } from '@jest/globals';
import { findImages } from '../../../../adapters/guests/images/image-folder.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import {
  elfCore,
  elfNote,
  limeDump,
  rangeHeader,
  vmwarePair,
  windowsDump,
  xenCore,
} from '../../../support/guest/dump-bytes.ts';
import { DumpOpener, flat, runAt } from '../../../support/guest/opened-dump.ts';
import { suiteFolder } from '../../../support/disks/suite-folder.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';

const MIB_PAGES = 256;
const HIGH_PAGE = 2 ** 20;

const opener = new DumpOpener(suiteFolder());

const low = runAt(0, 0xa0, 3);
const rest = runAt(MIB_PAGES, 40, 5);
const high = runAt(HIGH_PAGE, 20, 7);
/** As RAM counts it: all below 1 MiB, then what follows, then what lies from 4 GiB on. */
const whole = Buffer.concat([flat(MIB_PAGES + 40, [low, rest]), high.bytes]);
const ranges = [
  { address: 0, block: 'ram', offset: 0, length: (MIB_PAGES + 40) * PAGE_BYTES },
  {
    address: HIGH_PAGE * PAGE_BYTES,
    block: 'ram',
    offset: (MIB_PAGES + 40) * PAGE_BYTES,
    length: 20 * PAGE_BYTES,
  },
];

describe.each([
  ['an ELF core', elfCore({ runs: [high, low, rest] }), 'core'],
  [
    'one with its count in a section',
    elfCore({ runs: [low, rest, high], isCountElsewhere: true }),
    'core',
  ],
  ['a full dump of Windows', windowsDump([low, rest, high]), 'core'],
  ["a core of Xen's", xenCore([high, low, rest]), 'core'],
  ["a core of Xen's without hardware's help", xenCore([low, rest, high], 'p2m'), 'core'],
  ['a dump of LiME', limeDump([low, rest, high, runAt(HIGH_PAGE + 20, 5000)]), 'image'],
] as const)('%s', (what, bytes, mode) => {
  test('has each run at its address, in one block', async () => {
    const { captured, memory } = await opener.opened(bytes);
    expect(memory.subarray(0, whole.length).equals(whole)).toBe(true);
    expect(captured).toMatchObject({ mode, device: null, areRangesTold: true });
    if (what.startsWith('a dump')) return;
    expect(memory.length).toBe(whole.length);
    expect(captured.memoryMap.ranges).toEqual(ranges);
  });

  test('cut short is SOURCE_SIZE', async () => {
    expect(await opener.refused(bytes.subarray(0, bytes.length - 1))).toMatch(
      /^SOURCE_SIZE: .*cut short/u,
    );
  });
});

test('a core of 32 bits is read too', async () => {
  const { memory } = await opener.opened(elfCore({ runs: [low, rest], bits: 32 }));
  expect(memory.equals(flat(MIB_PAGES + 40, [low, rest]))).toBe(true);
});

test('what QEMU dumps of devices below 4 GiB is a block behind RAM', async () => {
  const firmware = runAt(HIGH_PAGE - 64, 64, 9);
  const notes = [elfNote('CORE', 1, Buffer.alloc(336)), elfNote('QEMU', 0, Buffer.alloc(440))];
  const core = elfCore({ runs: [low, rest, firmware, high], notes });
  const { captured, memory } = await opener.opened(core);
  expect(captured.memoryMap.blocks).toEqual([
    { name: 'ram', pages: whole.length / PAGE_BYTES },
    { name: '/devices', pages: 64 },
  ]);
  expect(memory.equals(Buffer.concat([whole, firmware.bytes]))).toBe(true);
  expect(captured.memoryMap.ranges[2]).toEqual({
    address: firmware.address,
    block: '/devices',
    offset: 0,
    length: 64 * PAGE_BYTES,
  });
});

test('a segment that lies in another one is the same memory', async () => {
  const text = {
    address: rest.address + 4 * PAGE_BYTES,
    bytes: rest.bytes.subarray(0, PAGE_BYTES),
  };
  const { memory } = await opener.opened(elfCore({ runs: [text, low, rest, high] }));
  expect(memory.equals(whole)).toBe(true);
});

test('a page of which parts are there is those, and zeros', async () => {
  const part = { address: 0x9e800, bytes: low.bytes.slice(0, 0x1400) };
  const other = { address: 0x9fd00, bytes: low.bytes.slice(0, 0x40) };
  const { memory } = await opener.opened(limeDump([part, other, runAt(MIB_PAGES, 4100)]));
  expect(memory.subarray(0, MIB_PAGES * PAGE_BYTES).equals(flat(MIB_PAGES, [part, other]))).toBe(
    true,
  );
});

test('what avml leaves out is zeros', async () => {
  const [a, b] = [runAt(1, 30, 3), runAt(5000, 7, 5)];
  const { captured, memory } = await opener.opened(limeDump([a, b]));
  expect(memory.equals(flat(5007, [a, b]))).toBe(true);
  expect(captured.memoryMap.ranges).toHaveLength(1);
});

describe('is refused:', () => {
  const program = elfCore({ runs: [low] });
  program.writeUInt16LE(3, 16);
  const big = elfCore({ runs: [low] });
  big[5] = 2;
  big.writeUInt16BE(4, 16);
  const cut = elfCore({ runs: [low] });
  cut.writeBigUInt64LE(2n ** 30n, cut.length - low.bytes.length - 16);
  const noTable = elfCore({ runs: [low] });
  noTable.writeUInt16LE(0, 56);
  const manyEntries = elfCore({ runs: [low], isCountElsewhere: true });
  manyEntries.writeUInt32LE(0xffff_ffff, 64 + 44);
  const outside = elfCore({ runs: [low] });
  outside.writeBigUInt64LE(2n ** 63n, outside.length - low.bytes.length - 48);
  const ofXen = (at: number, value: bigint): Buffer => {
    const core = xenCore([low]);
    core.writeBigUInt64LE(value, at);
    return core;
  };
  /** Where the offset and the length of Xen's sections lie: names, pages, notes, numbers. */
  const [xenPages, xenNumbers] = [2, 4].map((section) => 64 + section * 64 + 24);
  const halfOfXen = ofXen(xenPages! + 8, 6144n);
  halfOfXen.writeBigUInt64LE(12n, xenNumbers! + 8);
  const empty = { address: 0, bytes: new Uint8Array(1) };
  test.each([
    [
      'a core of a process',
      elfCore({ runs: [low], notes: [elfNote('CORE', 6, Buffer.alloc(16))] }),
      /a core of a process/u,
    ],
    ['a big-endian core', big, /big-endian/u],
    ['a core that has a page for each 1,600 that it tells of', cut, /has 160 of the 262144 pages/u],
    ['a core without a table', noTable, /no table of segments/u],
    ['a core that claims 4 billion segments', manyEntries, /4294967295 segments/u],
    ['a core whose memory lies behind its end', outside, /^SOURCE_SIZE/u],
    [
      'a core with two segments at an address',
      elfCore({ runs: [low, runAt(0x9f, 2)] }),
      /two segments/u,
    ],
    ["a core of Xen's with a page twice", xenCore([low, runAt(0x9f, 2)]), /two segments/u],
    ['one whose pages lie behind its end', ofXen(xenPages!, 2n ** 40n), /^SOURCE_SIZE/u],
    ['one whose numbers lie behind its end', ofXen(xenNumbers!, 2n ** 40n), /^SOURCE_SIZE/u],
    ['one that claims 2^60 numbers', ofXen(xenNumbers! + 8, 2n ** 63n), /and numbers of/u],
    ['one that claims 2^60 pages', ofXen(xenPages! + 8, 2n ** 63n), /bytes of memory, and/u],
    ['one that ends inside of a number', halfOfXen, /and numbers of 1\.5 pages/u],
    ['one whose sections lie behind its end', ofXen(40, 2n ** 40n), /^SOURCE_SIZE/u],
    ['a dump of LiME with ranges that overlap', limeDump([low, low]), /two segments/u],
    ['one of another version', rangeHeader('EMiL', 2, low), /no header of a range/u],
    [
      'one whose range ends before it begins',
      rangeHeader('EMiL', 1, { address: 9, bytes: new Uint8Array(0) }),
      /no header of a range/u,
    ],
    [
      'one with memory where none can be',
      limeDump([{ ...low, address: 2 ** 52 }]),
      /where none can be/u,
    ],
    [
      'one of more memory than is recorded',
      limeDump([{ ...low, address: 2 ** 50 }]),
      /^SOURCE_SIZE: .* at most 67108864/u,
    ],
    [
      'one of ranges of a byte each',
      limeDump(Array.from({ length: 1100 }, (_, i) => ({ ...empty, address: i * 8192 }))),
      /no whole pages/u,
    ],
    [
      'one that ends in a header',
      Buffer.concat([limeDump([low]), Buffer.from('EMiL')]),
      /^SOURCE_SIZE/u,
    ],
  ])('%s', async (_, bytes, expected) => {
    expect(await opener.refused(bytes)).toMatch(expected);
  });

  test('a core in more runs of addresses than an event takes', async () => {
    const runs = Array.from({ length: 1100 }, (_, i) => runAt(1000 + 2 * i, 1));
    expect(await opener.refused(elfCore({ runs }))).toMatch(/in 1100 runs of addresses/u);
  });
});

describe("VMware's pair", () => {
  const { memory, state } = vmwarePair([low, rest, high]);
  let number = 0;
  /** The paths of a pair in a folder. */
  const pair = (of: { memory: Buffer; state: Buffer }, end = 'vmss') => {
    number += 1;
    const memoryPath = opener.file(of.memory, `guest-${number}.vmem`);
    return { memoryPath, statePath: opener.file(of.state, `guest-${number}.${end}`) };
  };

  test.each(['vmss', 'vmsn'])('is found by either of its files: %s', async (end) => {
    const { memoryPath, statePath } = pair({ memory, state }, end);
    for (const path of [memoryPath, statePath]) {
      const opened = await opener.opened(path);
      expect(opened.memory.equals(whole)).toBe(true);
      expect(opened.captured.memoryMap.ranges).toEqual(ranges);
      expect(opened.captured.file?.name).toBe(path.split('/').at(-1));
    }
  });

  test('is known by the state, whatever its memory begins with', async () => {
    const odd = vmwarePair([
      { ...low, bytes: Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), low.bytes.subarray(4)]) },
    ]);
    expect((await opener.opened(pair(odd).memoryPath)).memory.subarray(0, 3).toString()).toBe(
      'QFI',
    );
  });

  test('of old has short sizes', async () => {
    const old = vmwarePair([low, rest, high], { isShort: true });
    expect((await opener.opened(pair(old).statePath)).memory.equals(whole)).toBe(true);
  });

  test('of a small guest lies in one piece', async () => {
    const small = vmwarePair([runAt(0, 300)], { regions: 0 });
    const opened = await opener.opened(pair(small).memoryPath);
    expect(opened.memory.equals(small.memory)).toBe(true);
  });

  test.each([
    ['memory that is not whole', { memory: memory.subarray(4096), state }, /^SOURCE_SIZE/u],
    ['a state cut short', { memory, state: state.subarray(0, 200) }, /^SOURCE_SIZE/u],
    ['very many regions', vmwarePair([low], { regions: 1000 }), /claims 1000 regions/u],
    ['regions that it does not tell of', vmwarePair([], { regions: 2 }), /no segment of memory/u],
  ])('is refused with %s', async (_, of, expected) => {
    expect(await opener.refused(pair(of).statePath)).toMatch(expected);
  });

  test('in a folder is one file', async () => {
    const together = await makeTemporaryFolder();
    const inside = new DumpOpener(together);
    inside.file(memory, 'web.vmem');
    inside.file(state, 'web.vmss');
    inside.file(state, 'alone.vmss');
    const found = await findImages([together.path]);
    const names = found.map(({ path }) => path.split('/').at(-1));
    expect(new Set(names)).toEqual(new Set(['alone.vmss', 'web.vmem']));
    await together.remove();
  });

  test('is refused without its memory', async () => {
    expect(await opener.refused(opener.file(state, 'alone.vmss'))).toMatch(
      /without the .vmem file/u,
    );
  });
});
