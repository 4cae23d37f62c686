// Memory that was plugged in while the guest ran. QEMU's command line does not have it, and a QEMU that
// is to take the guest over needs it: as options, each DIMM where it is.

import * as t from 'io-ts';
import { isRight } from 'fp-ts/lib/Either.js';
import type { Qmp } from './qmp.ts';

const Dimm = t.intersection([
  t.type({
    memdev: t.string,
    size: t.number,
    addr: t.number,
    slot: t.number,
    hotplugged: t.boolean,
  }),
  t.partial({ id: t.string }),
]);
const Devices = t.array(t.type({ type: t.string, data: t.unknown }));
/** Objects of the user's have paths below this. */
const OBJECTS = '/objects/';

/** The options for one DIMM; none where it was there from the start, or cannot be had so. */
function optionsOf(data: unknown): readonly string[] {
  const decoded = Dimm.decode(data);
  if (!isRight(decoded)) return [];
  const { memdev, size, addr, slot, hotplugged, id } = decoded.right;
  if (!hotplugged || !memdev.startsWith(OBJECTS)) return [];
  const backend = memdev.slice(OBJECTS.length);
  const device = `pc-dimm${id === undefined ? '' : `,id=${id}`},memdev=${backend}`;
  return [
    '-object',
    `memory-backend-ram,id=${backend},size=${size}`,
    '-device',
    `${device},slot=${slot},addr=${addr}`,
  ];
}

/** Options for the DIMMs that QEMU lists as plugged in, in their order. */
export function pluggedOptions(devices: unknown): readonly string[] {
  const decoded = Devices.decode(devices);
  if (!isRight(decoded)) return [];
  return decoded.right.flatMap(({ type, data }) => (type === 'dimm' ? optionsOf(data) : []));
}

/** Options for the memory that was plugged in; none where QEMU does not say. */
export const pluggedMemory = async (qmp: Qmp): Promise<readonly string[]> =>
  pluggedOptions(await qmp.execute('query-memory-devices').catch(() => null));
