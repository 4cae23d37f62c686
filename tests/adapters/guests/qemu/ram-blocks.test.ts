import { describe, expect, test } from '@jest/globals';
import {
  inLedgerOrder,
  rangesOfFlatView,
  rangesOfMachine,
} from '../../../../adapters/guests/qemu/ram-blocks.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';

const GIB = 2 ** 30;
const ram = (bytes: number) => ({ name: 'pc.ram', pages: bytes / PAGE_BYTES });

describe('main RAM', () => {
  test('is the block named so, even beside a larger one', () => {
    const blocks = [
      { name: 'vga.vram', pages: 4096 },
      { name: 'pc.bios', pages: 64 },
      { name: 'pc.ram', pages: 1024 },
    ];
    expect(inLedgerOrder(blocks).map((block) => block.name)).toEqual([
      'pc.ram',
      'vga.vram',
      'pc.bios',
    ]);
  });

  test('and what a VM has already come first, what was plugged in behind them', () => {
    const main = { name: 'pc.ram', pages: 1024 };
    const bios = { name: 'pc.bios', pages: 64 };
    const dimm = { name: 'dimm0', pages: 512 };
    expect(inLedgerOrder([main, dimm, bios], [main, bios])).toEqual([main, bios, dimm]);
    expect(inLedgerOrder([dimm, main, bios])).toEqual([main, dimm, bios]);
    // Nothing of a VM whose memory is another one: it is refused as it is.
    expect(inLedgerOrder([dimm, main], [main, bios])).toEqual([main, dimm]);
  });

  test('is the largest block where none is named so', () => {
    const blocks = [
      { name: 'pc.bios', pages: 64 },
      { name: 'memory', pages: 1024 },
      { name: 'other', pages: 1024 },
    ];
    expect(inLedgerOrder(blocks)[0]!.name).toBe('memory');
  });
});

describe('guest-physical addresses', () => {
  test.each([
    ['pc-i440fx-7.2', 3.25 * GIB, [[0, 0, 3.25 * GIB]]],
    [
      'pc-i440fx-7.2',
      3.5 * GIB,
      [
        [0, 0, 3 * GIB],
        [4 * GIB, 3 * GIB, 0.5 * GIB],
      ],
    ],
    ['pc-q35-7.2', 2.5 * GIB, [[0, 0, 2.5 * GIB]]],
    [
      'pc-q35-7.2',
      4 * GIB,
      [
        [0, 0, 2 * GIB],
        [4 * GIB, 2 * GIB, 2 * GIB],
      ],
    ],
    [
      'microvm',
      4 * GIB,
      [
        [0, 0, 3 * GIB],
        [4 * GIB, 3 * GIB, 1 * GIB],
      ],
    ],
    ['virt-7.2', GIB, []],
  ])('of %s with %d bytes follow the machine type', (machine, bytes, expected) => {
    const ranges = rangesOfMachine(machine, ram(bytes));
    expect(ranges.map((r) => [r.address, r.offset, r.length])).toEqual(expected);
    expect(ranges.every((range) => range.block === 'pc.ram')).toBe(true);
  });

  test('are taken from the flat view of memory, neighbours joined', () => {
    const text = [
      'FlatView #0',
      ' AS "I/O", root: io',
      ' Root memory region: io',
      '  0000000000000000-0000000000000fff (prio 0, ram): pc.ram',
      '',
      'FlatView #1',
      ' AS "memory", root: system',
      ' AS "cpu-memory-0", root: system',
      ' Root memory region: system',
      '  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM',
      '  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem',
      '  00000000000c0000-00000000000cafff (prio 0, rom): pc.ram @00000000000c0000',
      '  00000000000cb000-00000000000cdfff (prio 0, ram): pc.ram @00000000000cb000 KVM',
      '  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios',
      '  0000000100000000-00000001000007ff (prio 0, ram): pc.ram @0000000000100000',
      '  0000000200000000-0000000200000fff (prio 0, ram): unknown',
      '',
      'FlatView #2',
      ' AS "device", root: bus',
    ].join('\r\n');
    const blocks = [ram(2 ** 20), { name: 'pc.bios', pages: 64 }];
    expect(rangesOfFlatView(text, blocks)).toEqual([
      { address: 0, block: 'pc.ram', offset: 0, length: 0xa0000 },
      { address: 0xc0000, block: 'pc.ram', offset: 0xc0000, length: 0xe000 },
      { address: 0xfffc0000, block: 'pc.bios', offset: 0, length: 0x40000 },
    ]);
    expect(rangesOfFlatView('unknown command', blocks)).toBeNull();
  });

  const rangesOf = (...lines: readonly string[]) =>
    rangesOfFlatView(['FlatView #1', ' AS "memory", root: system', ...lines].join('\n'), [
      ram(2 ** 24),
    ]);

  test.each([
    ['a last address before its first', '00000000000a0000-000000000009ffff'],
    ['addresses that no number holds', 'fffffffffff00000-ffffffffffffffff'],
    ['a first address beyond its last', '0000000100000000-000000000000ffff'],
  ])('are not taken from a line with %s', (_, addresses) => {
    expect(rangesOf(`  ${addresses} (prio 0, ram): pc.ram`)).toBeNull();
  });

  test('are not taken from an offset that no number holds', () => {
    const line = '  0000000000000000-0000000000000fff (prio 0, ram): pc.ram @fffffffffffff000';
    expect(rangesOf(line)).toBeNull();
  });

  test('keep a name as it is, whatever stands in it', () => {
    const blocks = [{ name: 'a @b (c): d', pages: 1 }];
    const line = '  0000000000000000-0000000000000fff (prio 0, ram): a @b (c): d @0000000000000000';
    const text = `FlatView #1\n AS "memory", root: system\n${line}`;
    expect(rangesOfFlatView(text, blocks)).toEqual([
      { address: 0, block: 'a @b (c): d', offset: 0, length: PAGE_BYTES },
    ]);
  });

  test('are found beside 16 MiB of blanks', () => {
    const line = '  0000000000000000-0000000000000fff (prio 0, ram): pc.ram';
    expect(rangesOf(`${line}${' '.repeat(2 ** 24)}x`, line)).toEqual([
      { address: 0, block: 'pc.ram', offset: 0, length: PAGE_BYTES },
    ]);
  });
});
