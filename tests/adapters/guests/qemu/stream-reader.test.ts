import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import { readStream } from '../../../support/guest/read-stream.ts';
import type { GuestState } from '../../../../adapters/guests/qemu/stream-layout.ts';
import type { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { bytesOfImage } from '../../../support/guest/images.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';
import { triesOf } from '../../../support/long-run.ts';

const spool = new Spool();
afterAll(() => spool.close());

const PAGES_MAX = 4096;
const read = (bytes: Uint8Array, pieceBytes?: number) =>
  readStream({
    source: stream.sourceOfBytes(bytes, pieceBytes),
    spool,
    label: 'the stream',
    pagesMax: PAGES_MAX,
  });
const reading = (...parts: readonly Uint8Array[]): Promise<GuestState> =>
  valueOf(read(stream.bytesOf(...parts)));
const failing = (...parts: readonly Uint8Array[]): Promise<LedgerError> =>
  failureOf(read(stream.bytesOf(...parts)));

const BLOCKS = [
  { name: 'pc.bios', pages: 2 },
  { name: 'pc.ram', pages: 8 },
];
const pagesOf = (state: GuestState): readonly number[] => {
  const bytes = bytesOfImage(state.image);
  return Array.from({ length: state.image.pageCount }, (_, p) => bytes[p * PAGE_BYTES]!);
};

describe('a stream of a whole migration', () => {
  const whole = [
    stream.head(),
    stream.start(BLOCKS),
    stream.part(
      stream.page(0, stream.pageOf(1), 'pc.ram'),
      stream.page(1, stream.pageOf(2)),
      stream.page(0, stream.pageOf(3), 'pc.bios'),
    ),
    stream.end(stream.page(1, stream.pageOf(4)), stream.zero(5, 'pc.ram')),
    stream.tail(),
  ];

  test('gives main RAM first, then the other blocks, and zero where nothing was sent', async () => {
    const state = await reading(...whole);
    expect(state.memoryMap.blocks).toEqual([
      { name: 'pc.ram', pages: 8 },
      { name: 'pc.bios', pages: 2 },
    ]);
    expect(pagesOf(state)).toEqual([1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
    expect(state.image.zeros).toEqual(Uint8Array.from([0, 0, 1, 1, 1, 1, 1, 1, 0, 0]));
  });

  test('gives head, devices and description back byte for byte', async () => {
    const state = await reading(...whole);
    const { sections, description } = stream.devices();
    expect(Buffer.from(state.device.head)).toEqual(stream.head());
    expect(Buffer.from(state.device.sections)).toEqual(sections);
    expect(Buffer.from(state.device.description)).toEqual(description);
    expect(state.machine).toBe('pc-i440fx-7.2');
    expect(state.runState).toBe('running');
    expect(state.streamBytes).toBe(stream.bytesOf(...whole).length);
  });

  test('reads the same in whatever pieces it arrives', async () => {
    const expected = bytesOfImage((await reading(...whole)).image);
    for (const pieceBytes of [1, 7, 4096, 5000]) {
      const state = await valueOf(read(stream.bytesOf(...whole), pieceBytes));
      expect(bytesOfImage(state.image)).toEqual(expected);
    }
  });

  test('is followed by nothing but the padding of a file', async () => {
    const state = await reading(...whole, Buffer.alloc(1000));
    expect(Buffer.from(state.device.description)).toEqual(stream.devices().description);
    expect((await failing(...whole, Buffer.from('more'))).code).toBe('STREAM_TRUNCATED');
  });

  test('cut anywhere is STREAM_TRUNCATED', async () => {
    const bytes = stream.bytesOf(...whole);
    const cuts = new Set<number>();
    for (let cut = 0; cut < bytes.length; cut += cut % PAGE_BYTES < 300 ? 1 : 97) cuts.add(cut);
    for (const cut of cuts) {
      const error = await failureOf(read(bytes.subarray(0, cut)));
      expect([cut, error.code]).toEqual([cut, 'STREAM_TRUNCATED']);
    }
  });
});

describe('pages', () => {
  test('sent in several passes count as sent last', async () => {
    const state = await reading(
      stream.head(),
      stream.start(BLOCKS),
      stream.part(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.page(1, stream.pageOf(1))),
      stream.part(stream.zero(0), stream.page(1, stream.pageOf(2))),
      stream.end(stream.page(0, stream.pageOf(3)), stream.zero(1)),
      stream.tail(),
    );
    expect(pagesOf(state).slice(0, 2)).toEqual([3, 0]);
  });

  test('of a background snapshot, which has no last section, are all there', async () => {
    const state = await reading(
      stream.head(),
      stream.start(BLOCKS),
      stream.part(stream.page(7, stream.pageOf(7), 'pc.ram')),
      stream.tail(),
    );
    expect(pagesOf(state)[7]).toBe(7);
  });

  test('that are one byte repeated are filled with it', async () => {
    const state = await reading(
      stream.head(),
      stream.start(BLOCKS),
      stream.end(stream.zero(3, 'pc.ram', 0xab)),
      stream.tail(),
    );
    expect(bytesOfImage(state.image).subarray(3 * PAGE_BYTES, 4 * PAGE_BYTES)).toEqual(
      stream.pageOf(0xab),
    );
  });

  test('of the last capture do not show through in the next', async () => {
    const capture = (...records: readonly Uint8Array[]): Promise<GuestState> =>
      reading(stream.head(), stream.start(BLOCKS), stream.end(...records), stream.tail());
    await capture(stream.page(0, stream.pageOf(9), 'pc.ram'), stream.page(2, stream.pageOf(9)));
    const state = await capture(stream.page(2, stream.pageOf(8), 'pc.ram'));
    expect(pagesOf(state)).toEqual([0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('commands', () => {
  test('that ask nothing of memory are passed over', async () => {
    const state = await reading(
      stream.head(),
      stream.command(1),
      stream.command(2, stream.u32(1)),
      stream.start(BLOCKS),
      stream.end(stream.page(0, stream.pageOf(1), 'pc.ram')),
      stream.command(11),
      stream.command(3),
      stream.tail(),
    );
    expect(pagesOf(state)[0]).toBe(1);
  });

  test.each([3, 4, 5, 6, 7, 8, 9, 10, 12])('with number %i are not supported', async (id) => {
    const command = stream.command(id, id === 3 ? Buffer.alloc(16) : stream.u8());
    const error = await failing(stream.head(), command, stream.start(BLOCKS));
    expect(error.code).toBe('STREAM_UNSUPPORTED');
    expect(error.message).toContain('postcopy-ram');
  });
});

describe('a configuration', () => {
  const rest = [stream.start(BLOCKS), stream.end(), stream.tail()];
  const capabilities = (...names: readonly string[]): Buffer =>
    stream.subsection(
      'configuration/capabilities',
      stream.bytesOf(stream.u32(names.length), ...names.map((id) => stream.name(id))),
    );

  test('keeps its subsections in the head', async () => {
    const head = stream.head(
      'pc-q35-7.2',
      capabilities('validate-uuid'),
      stream.subsection('configuration/target-page-bits', stream.u32(12)),
      stream.subsection('configuration/uuid', Buffer.alloc(16, 5)),
    );
    const state = await reading(head, ...rest);
    expect(Buffer.from(state.device.head)).toEqual(head);
    expect(state.machine).toBe('pc-q35-7.2');
  });

  test.each(['x-ignore-shared', 'mapped-ram'])('with %s is refused by name', async (capability) => {
    const error = await failing(stream.head('pc', capabilities(capability)), ...rest);
    expect(error.code).toBe('STREAM_UNSUPPORTED');
    expect(error.message).toContain(capability);
  });

  test('with a subsection nobody knows is refused by name', async () => {
    const odd = stream.subsection('configuration/odd', stream.u8());
    const error = await failing(stream.head('pc', odd), ...rest);
    expect(error.code).toBe('STREAM_UNSUPPORTED');
    expect(error.message).toContain('configuration/odd');
  });
});

describe('a hostile or foreign stream', () => {
  const flagged = (flags: number): readonly Uint8Array[] => [
    stream.head(),
    stream.start(BLOCKS),
    stream.part(stream.u64(flags)),
  ];

  test.each([
    [0x100, 'compress'],
    [0x40, 'xbzrle'],
    [0x200, 'multifd'],
    [0x80, 'RDMA'],
  ])('with RAM flag %i names what to switch off', async (flags, what) => {
    const error = await failing(...flagged(flags));
    expect(error.code).toBe('STREAM_UNSUPPORTED');
    expect(error.message).toContain(what);
    expect(error.facts['offset']).toBe(
      stream.bytesOf(stream.head(), stream.start(BLOCKS)).length + 5,
    );
  });

  test.each([
    ['another magic', [Buffer.from('ELVM'), stream.u32(3)]],
    ['another version', [Buffer.from('QEVM'), stream.u32(2)]],
    [
      'an endless machine name',
      [Buffer.from('QEVM'), stream.u32(3), stream.u8(7), stream.u32(2 ** 31)],
    ],
    ['an unknown record', [stream.head(), stream.u8(99)]],
    ['no memory', [stream.head(), stream.u8(0)]],
    ['RAM of another version', [stream.head(), stream.start(BLOCKS, 3)]],
    ['a part before the start', [stream.head(), stream.part()]],
    ['RAM flags nobody knows', flagged(0x800)],
    [
      'a page of an unlisted block',
      [stream.head(), stream.start(BLOCKS), stream.part(stream.page(0, stream.pageOf(1), 'odd'))],
    ],
    [
      'a page of no block',
      [stream.head(), stream.start(BLOCKS), stream.part(stream.page(0, stream.pageOf(1)))],
    ],
    [
      'a page behind its block',
      [
        stream.head(),
        stream.start(BLOCKS),
        stream.part(stream.page(2, stream.pageOf(1), 'pc.bios')),
      ],
    ],
    ['a second list', [stream.head(), stream.start(BLOCKS), stream.part(stream.blockList(BLOCKS))]],
    ['a block twice', [stream.head(), stream.start([...BLOCKS, ...BLOCKS])]],
    ['an empty list', [stream.head(), stream.start([])]],
    [
      'more pages than allowed',
      [stream.head(), stream.start([{ name: 'pc.ram', pages: PAGES_MAX + 1 }])],
    ],
    [
      '65 blocks',
      [
        stream.head(),
        stream.start(Array.from({ length: 65 }, (_, i) => ({ name: `b${i}`, pages: 1 }))),
      ],
    ],
    [
      'another footer',
      [
        stream.head(),
        stream.start(BLOCKS),
        stream.u8(2),
        stream.u32(2),
        stream.eos(),
        stream.footer(3),
      ],
    ],
  ])('with %s is STREAM_INVALID', async (_, parts) => {
    expect((await failing(...parts)).code).toBe('STREAM_INVALID');
  });

  test('that claims 16 TiB is refused before anything is reserved for it', async () => {
    const error = await failing(stream.head(), stream.start([{ name: 'pc.ram', pages: 2 ** 32 }]));
    expect(error.code).toBe('STREAM_INVALID');
  });

  test('with an iterated section of a device is refused by name', async () => {
    const odd = stream.bytesOf(
      stream.u8(1),
      stream.u32(3),
      stream.name('vfio'),
      stream.u32(0),
      stream.u32(1),
    );
    const error = await failing(stream.head(), odd);
    expect(error.code).toBe('STREAM_UNSUPPORTED');
    expect(error.message).toContain('vfio');
  });

  test('with a device before memory is refused by name', async () => {
    const error = await failing(stream.head(), stream.devices().sections);
    expect(error.code).toBe('STREAM_UNSUPPORTED');
    expect(error.message).toContain('timer');
  });

  test('with any bit flipped reads as it says or fails with a ledger error', async () => {
    const bytes = stream.bytesOf(
      stream.head(),
      stream.start(BLOCKS),
      stream.part(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.zero(1)),
      stream.end(stream.page(0, stream.pageOf(3), 'pc.bios')),
      stream.tail(),
    );
    expect(bytes.length).toBeGreaterThan(2 * PAGE_BYTES);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
        const flipped = Buffer.from(bytes);
        flipped[at]! ^= 1 << bit;
        const result = await read(flipped)();
        if (result._tag === 'Left') return result.left.code.startsWith('STREAM_');
        // Content bears no checksum: what was read is a guest of the same size, or of a listed one.
        const { image, memoryMap, device } = result.right;
        const { sections, description } = stream.devices();
        return (
          memoryMap.blocks.reduce((sum, block) => sum + block.pages, 0) === image.pageCount &&
          image.pageCount <= PAGES_MAX &&
          device.sections.length === sections.length &&
          device.description.length === description.length
        );
      }),
      { numRuns: triesOf(600) },
    );
  });

  test('of random bytes behind a good head fails with a ledger error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (junk, inRam) => {
        const start = inRam ? [stream.head(), stream.start(BLOCKS)] : [stream.head()];
        expect((await failing(...start, junk)).code).toMatch(/^STREAM_/u);
      }),
      { numRuns: triesOf(300) },
    );
  });
});

describe('device state', () => {
  const withDescription = (description: unknown, sections = stream.devices().sections): Buffer =>
    stream.bytesOf(
      stream.head(),
      stream.start(BLOCKS),
      stream.end(),
      stream.tail({ sections, description: Buffer.from(JSON.stringify(description)) }),
    );
  const described = (): { devices: Record<string, unknown>[] } =>
    JSON.parse(stream.devices().description.toString());

  test('without its description is refused, with what to do', async () => {
    const error = await failing(
      stream.head(),
      stream.start(BLOCKS),
      stream.end(),
      stream.devices().sections,
      stream.u8(0),
    );
    expect(error.code).toBe('STREAM_TRUNCATED');
    expect(error.message).toContain('suppress-vmdesc');
  });

  test('that has bytes like a description of its own is read to its end', async () => {
    const device = stream.misleadingDevices();
    const parts = [stream.head(), stream.start(BLOCKS), stream.end(), stream.tail(device)];
    for (const behind of [0, 1000]) {
      const state = await reading(...parts, Buffer.alloc(behind));
      expect(Buffer.from(state.device.sections)).toEqual(device.sections);
      expect(Buffer.from(state.device.description)).toEqual(device.description);
    }
  });

  test.each([
    ['a device less', { devices: described().devices.slice(1) }],
    ['a device more', { devices: [...described().devices, described().devices[0]] }],
    ['another version', { devices: [{ ...described().devices[0], version: 2 }] }],
    ['sizes of another device', { devices: [{ ...described().devices[0], fields: [] }] }],
    [
      'a negative size',
      { devices: [{ ...described().devices[0], fields: [{ name: 'x', size: -1 }] }] },
    ],
    ['no devices', {}],
    ['pages of another size', { ...described(), page_size: 65_536 }],
  ])('that its description gives %s is STREAM_INVALID', async (_, description) => {
    expect((await failing(withDescription(description))).code).toBe('STREAM_INVALID');
  });

  test('described by subsections nested without end is walked without a stack of calls', async () => {
    const depth = 5000;
    const open = '{"vmsd_name":"deep","version":1,"fields":[],"subsections":[';
    const json =
      '{"devices":[{"name":"d","instance_id":0,"version":1,"fields":[],"subsections":[' +
      open.repeat(depth) +
      ']}'.repeat(depth) +
      ']}]}';
    const deep = stream.bytesOf(stream.u8(5), stream.name('deep'), stream.u32(1));
    const sections = stream.bytesOf(
      stream.u8(4),
      stream.u32(1),
      stream.name('d'),
      stream.u32(0),
      stream.u32(1),
      ...Array.from({ length: depth }, () => deep),
      stream.footer(1),
    );
    const state = await reading(
      stream.head(),
      stream.start(BLOCKS),
      stream.end(),
      stream.tail({ sections, description: Buffer.from(json) }),
    );
    expect(state.device.sections).toHaveLength(sections.length);
    expect(state.runState).toBeNull();
  });
});
