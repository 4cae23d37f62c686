import { describe, expect, test } from '@jest/globals';
import { pluggedOf } from '../../../../adapters/guests/qemu/plugged-memory.ts';

const MIB = 2 ** 20;
const dimm = {
  memdev: '/objects/m1',
  size: 128 * MIB,
  addr: 4294967296,
  slot: 0,
  node: 0,
  id: 'd1',
  hotpluggable: true,
  hotplugged: true,
};
const virtio = {
  memdev: '/objects/m1',
  memaddr: 4294967296,
  'block-size': 2 * MIB,
  'requested-size': 32 * MIB,
  'max-size': 128 * MIB,
  size: 0,
  node: 0,
  id: 'd1',
};
const listed = (data: unknown, type = 'dimm') => [{ type, data }];

/** Properties of QEMU's objects as it tells them. */
const TOLD: Readonly<Record<string, unknown>> = {
  '/objects/m1 size': 128 * MIB,
  '/objects/m2 size': 128 * MIB,
  '/machine/peripheral/d1 hotplugged': true,
  '/machine/peripheral/d1 label-size': 131_072,
  '/machine/peripheral/d1 type': 'virtio-mem-pci',
  '/machine/peripheral/d1 parent_bus': '/machine/i440fx/pci.0',
  '/machine/peripheral/d1 addr': 0x21,
};
const plugged = (devices: unknown, told = TOLD) =>
  pluggedOf(devices, (path, property) => Promise.resolve(told[`${path} ${property}`] ?? null));

const BACKEND = ['-object', 'memory-backend-ram,id=m1,size=134217728', '-device'];

describe('options for memory that was plugged in', () => {
  test('put each DIMM where it is', async () => {
    const { id: _, ...nameless } = { ...dimm, memdev: '/objects/m2', slot: 1, addr: 4429185024 };
    expect(await plugged([...listed(dimm), ...listed(nameless)])).toEqual({
      options: [
        ...BACKEND,
        'pc-dimm,id=d1,memdev=m1,slot=0,addr=4294967296',
        '-object',
        'memory-backend-ram,id=m2,size=134217728',
        '-device',
        'pc-dimm,memdev=m2,slot=1,addr=4429185024',
      ],
      without: [],
    });
  });

  test('have the label of an NVDIMM, whose memory is larger than it says', async () => {
    expect((await plugged(listed({ ...dimm, size: 126 * MIB }, 'nvdimm'))).options).toEqual([
      ...BACKEND,
      'nvdimm,id=d1,memdev=m1,slot=0,addr=4294967296,label-size=131072',
    ]);
  });

  test('put a device of virtio at its place on its bus', async () => {
    expect((await plugged(listed(virtio, 'virtio-mem'))).options).toEqual([
      ...BACKEND,
      'virtio-mem-pci,id=d1,memdev=m1,bus=pci.0,addr=4.1,memaddr=4294967296,requested-size=33554432,' +
        'block-size=2097152',
    ]);
  });

  test.each<[string, unknown, typeof TOLD]>([
    ['of a DIMM', listed({ ...dimm, hotplugged: false }), TOLD],
    ['of virtio', listed(virtio, 'virtio-mem'), { '/machine/peripheral/d1 hotplugged': false }],
    ['of virtio without a name', listed({ ...virtio, id: undefined }, 'virtio-mem'), TOLD],
    ['that is not listed', null, TOLD],
  ])('are none for memory %s that was there from the start', async (_, devices, told) => {
    expect(await plugged(devices, told)).toEqual({ options: [], without: [] });
  });

  test.each<[string, unknown, string]>([
    ['is no object of the user', { ...dimm, memdev: '/machine/m1' }, 'dimm'],
    ['is listed in another form', { ...dimm, memdev: 7 }, 'dimm'],
    ['is of a kind that is not known', dimm, 'sgx-epc'],
    ['has a label and no name to ask by', { ...dimm, id: undefined }, 'nvdimm'],
  ])('cannot be had where it %s, and that is told', async (_, data, type) => {
    expect(await plugged(listed(data, type))).toEqual({ options: [], without: [type] });
  });
});
