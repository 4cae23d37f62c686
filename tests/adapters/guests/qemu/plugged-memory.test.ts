import { describe, expect, test } from '@jest/globals';
import { pluggedOptions } from '../../../../adapters/guests/qemu/plugged-memory.ts';

const dimm = {
  memdev: '/objects/m1',
  size: 134217728,
  addr: 4294967296,
  slot: 0,
  node: 0,
  id: 'd1',
  hotpluggable: true,
  hotplugged: true,
};
const listed = (data: unknown, type = 'dimm') => [{ type, data }];

describe('options for memory that was plugged in', () => {
  test('put each DIMM where it is', () => {
    const { id: _, ...nameless } = { ...dimm, memdev: '/objects/m2', slot: 1, addr: 4429185024 };
    expect(pluggedOptions([...listed(dimm), ...listed(nameless)])).toEqual([
      '-object',
      'memory-backend-ram,id=m1,size=134217728',
      '-device',
      'pc-dimm,id=d1,memdev=m1,slot=0,addr=4294967296',
      '-object',
      'memory-backend-ram,id=m2,size=134217728',
      '-device',
      'pc-dimm,memdev=m2,slot=1,addr=4429185024',
    ]);
  });

  test.each<[string, unknown]>([
    ['was there from the start', listed({ ...dimm, hotplugged: false })],
    ['is no object of the user', listed({ ...dimm, memdev: '/machine/m1' })],
    ['is of another kind', listed(dimm, 'virtio-mem')],
    ['is listed in another form', listed({ ...dimm, size: '128M' })],
    ['is not listed', null],
  ])('are none where it %s', (_, devices) => {
    expect(pluggedOptions(devices)).toEqual([]);
  });
});
