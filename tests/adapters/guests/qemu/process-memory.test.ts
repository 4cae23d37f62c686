import { describe, expect, test } from '@jest/globals';
import {
  blockAt,
  fileAt,
  MAPPED_PAGE,
  mappingsIn,
  OWN_PAGE,
  statesIn,
} from '../../../../adapters/guests/qemu/process-memory.ts';
import { blocksOfText } from '../../../../adapters/guests/qemu/own-pages.ts';

const MAPS = `7f2180000000-7f2180021000 rw-p 00000000 00:00 0
7f2180021000-7f2184000000 ---p 00000000 00:00 0
7f21cd000000-7f21cd001000 rw-p 00000000 00:00 0
7f21cd001000-7f21cd002000 ---p 00000000 00:00 0
7f21cd200000-7f21cd220000 rw-p 00000000 00:00 0
7f21cd220000-7f21cd222000 ---p 00000000 00:00 0
7f21cd3f0000-7f21cd400000 rw-p 00000000 00:00 0
7f21cd400000-7f21cd401000 ---p 00000000 00:00 0
7f21cda00000-7f21cda40000 rw-p 00000000 00:00 0
7f21cda40000-7f21cda41000 ---p 00000000 00:00 0
7f21cdc00000-7f21cdc40000 rw-s 00000000 00:00 0
7f21cdc40000-7f21cdc41000 ---p 00000000 00:00 0
7f21d0000000-7f21d8000000 rw-p 00001000 00:2f 2                          /m/a b/memory
`;

test('what is mapped is told with its rights, its file and where it begins there', () => {
  const mappings = mappingsIn(MAPS);
  expect(mappings).toHaveLength(13);
  expect(mappings.at(-1)).toEqual({
    start: 0x7f21_d000_0000,
    end: 0x7f21_d800_0000,
    rights: 'rw-p',
    offset: 0x1000,
    path: '/m/a b/memory',
  });
});

describe('a block of RAM', () => {
  const mappings = mappingsIn(MAPS);
  test('lies where memory is laid out as QEMU lays it out, once', () => {
    expect(blockAt(mappings, 0x1000)).toBe(0x7f21_cd00_0000);
    expect(blockAt(mappings, 0x40000)).toBe(0x7f21_cda0_0000);
  });
  test('is not found where the guard is larger, the place odd, or nothing of its length is there', () => {
    for (const bytes of [0x20000, 0x10000, 0x21000, 0x2000])
      expect(blockAt(mappings, bytes)).toBeNull();
  });
  test('is not found where several could be it', () => {
    const twice = [...mappings, ...mappingsIn(MAPS.replaceAll('7f21cda', '7f21cea'))];
    expect(blockAt(twice, 0x40000)).toBeNull();
  });
});

test('a file lies where all of it is mapped privately, once', () => {
  const line = (start: string, more = 'rw-p 00000000'): string =>
    `${start}00000-${start}40000 ${more} 00:2f 2 /m/memory\n`;
  const at = (maps: string): number | null => fileAt(mappingsIn(maps), '/m/memory', 0x40000);
  expect(at(MAPS + line('7f22'))).toBe(0x7_f220_0000);
  expect(at(MAPS)).toBeNull();
  expect(at(line('7f22') + line('7f23'))).toBeNull();
  for (const more of ['rw-s 00000000', 'r--p 00000000', 'rw-p 00001000'])
    expect(at(line('7f22', more))).toBeNull();
  expect(fileAt(mappingsIn(line('7f22')), '/m/memory', 0x41000)).toBeNull();
});

test("a page is the process's own where it is there without a file, or swapped out; else its file's", () => {
  const entry = (bits: bigint): number[] => [
    ...new Uint8Array(BigUint64Array.of(bits).buffer, 0, 8),
  ];
  const [present, swapped, ofFile] = [1n << 63n, 1n << 62n, 1n << 61n];
  const entries = [0n, present | 5n, present | ofFile, swapped | 3n, ofFile].flatMap(entry);
  expect([...statesIn(Uint8Array.from(entries))]).toEqual([0, OWN_PAGE, MAPPED_PAGE, OWN_PAGE, 0]);
});

test("QEMU's blocks are read with what is used of them, whatever else it tells", () => {
  const told = `              Block Name    PSize              Offset               Used              Total                HVA  RO
                  pc.ram    4 KiB  0x0000000000000000 0x0000000004000000 0x0000000004000000 0x00007f217be00000  rw
    /rom@etc/acpi/tables    4 KiB  0x0000000004080000 0x0000000000020000 0x0000000000200000
`;
  expect([...blocksOfText(told.replaceAll('\n', '\r\n'))]).toEqual([
    ['pc.ram', { used: 0x400_0000, total: 0x400_0000 }],
    ['/rom@etc/acpi/tables', { used: 0x20000, total: 0x200000 }],
  ]);
});
