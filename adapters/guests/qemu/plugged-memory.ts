// Memory that was plugged in while the guest ran. QEMU's command line does not have it, and a QEMU that
// is to take the guest over needs it: as options, each device where it is.

import * as t from 'io-ts';
import { isRight } from 'fp-ts/lib/Either.js';
import type { Qmp } from './qmp.ts';

const Memory = t.intersection([
  t.type({ memdev: t.string }),
  t.partial({
    id: t.string,
    // Of DIMMs.
    addr: t.number,
    slot: t.number,
    hotplugged: t.boolean,
    // Of virtio.
    memaddr: t.number,
    'requested-size': t.number,
    'block-size': t.number,
  }),
]);
type Memory = t.TypeOf<typeof Memory>;
const Devices = t.array(t.type({ type: t.string, data: t.unknown }));

/** A property of one of QEMU's objects; null where it has none. */
export type PropertyOf = (path: string, property: string) => Promise<unknown>;

/** Objects, and devices, of the user's have paths below these. */
const OBJECTS = '/objects/';
const DEVICES = '/machine/peripheral/';

export interface PluggedMemory {
  /** Options for what was plugged in, in QEMU's order. */
  readonly options: readonly string[];
  /** What was plugged in that there are none for, by its type. */
  readonly without: readonly string[];
}

type Words = readonly (readonly [name: string, value: string | number | undefined])[];

const textOf = (driver: string, words: Words): string =>
  [
    driver,
    ...words.filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`),
  ].join(',');

/** One memory device that QEMU lists. */
class PluggedDevice {
  readonly #type: string;
  readonly #memory: Memory;
  readonly #object: PropertyOf;

  constructor(type: string, memory: Memory, object: PropertyOf) {
    this.#type = type;
    this.#memory = memory;
    this.#object = object;
  }

  /** Its options; none where it was there from the start, null where they cannot be told. */
  async options(): Promise<readonly string[] | null> {
    const { memdev, hotplugged } = this.#memory;
    // One of virtio without a name cannot be asked: it is of the command line, where names are rare.
    if ((hotplugged ?? (await this.#property('hotplugged'))) !== true) return [];
    const size = await this.#object(memdev, 'size');
    const device = await this.#device();
    if (!memdev.startsWith(OBJECTS) || typeof size !== 'number' || device === null) return null;
    const backend: Words = [
      ['id', this.#backend],
      ['size', size],
    ];
    return ['-object', textOf('memory-backend-ram', backend), '-device', device];
  }

  get #backend(): string {
    return this.#memory.memdev.slice(OBJECTS.length);
  }

  /** Of the device; null for one without a name. */
  async #property(name: string): Promise<unknown> {
    const { id } = this.#memory;
    return id === undefined ? null : this.#object(`${DEVICES}${id}`, name);
  }

  async #device(): Promise<string | null> {
    const { id, slot, addr } = this.#memory;
    const named: Words = [
      ['id', id],
      ['memdev', this.#backend],
    ];
    const dimm: Words = [
      ['slot', slot],
      ['addr', addr],
    ];
    switch (this.#type) {
      case 'dimm':
        return textOf('pc-dimm', [...named, ...dimm]);
      case 'nvdimm': {
        const label = await this.#property('label-size');
        if (typeof label !== 'number') return null;
        return textOf('nvdimm', [...named, ...dimm, ['label-size', label]]);
      }
      case 'virtio-mem':
      case 'virtio-pmem':
        return this.#virtio(named);
      default:
        return null;
    }
  }

  /** On its bus, at its place. */
  async #virtio(named: Words): Promise<string | null> {
    const driver = await this.#property('type');
    const bus = await this.#property('parent_bus');
    const at = await this.#property('addr');
    if (typeof driver !== 'string' || typeof bus !== 'string' || typeof at !== 'number')
      return null;
    const { memaddr, 'requested-size': requested, 'block-size': block } = this.#memory;
    return textOf(driver, [
      ...named,
      ['bus', bus.slice(bus.lastIndexOf('/') + 1)],
      ['addr', `${at >> 3}.${at & 7}`],
      ['memaddr', memaddr],
      ['requested-size', requested],
      ['block-size', block],
    ]);
  }
}

/** What was plugged in of the memory devices that QEMU lists. */
export async function pluggedOf(devices: unknown, object: PropertyOf): Promise<PluggedMemory> {
  const decoded = Devices.decode(devices);
  const options: string[] = [];
  const without: string[] = [];
  for (const { type, data } of isRight(decoded) ? decoded.right : []) {
    const memory = Memory.decode(data);
    const found = isRight(memory)
      ? await new PluggedDevice(type, memory.right, object).options()
      : null;
    if (found === null) without.push(type);
    else options.push(...found);
  }
  return { options, without };
}

/** Memory that was plugged in; none where QEMU does not say. */
export const pluggedMemory = async (qmp: Qmp): Promise<PluggedMemory> =>
  pluggedOf(await qmp.execute('query-memory-devices').catch(() => null), (path, property) =>
    qmp.execute('qom-get', { path, property }).catch(() => null),
  );
