// Where each device's state lies in the bytes that a stream keeps for its devices. Sections have no
// length; the JSON at the stream's end lists, in the same order, every field's size. The walk checks
// each name, version and footer on its way, so a description of other bytes is found out.

import * as t from 'io-ts';
import { isRight } from 'fp-ts/lib/Either.js';
import { assert } from '../../../domain/values/assert.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { latin1 } from './byte-window.ts';
import * as layout from './stream-layout.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';

/** A field of a device's state, which may be an array: where its first value lies in all sections. */
export interface DeviceField {
  readonly name: string;
  readonly offset: number;
  /** Bytes of one value. */
  readonly size: number;
  readonly count: number;
  /** What the description says of the members of a value; undefined: it has none. */
  readonly struct: unknown;
}

/** One device's state: `length` bytes at `offset` of `DeviceState.sections`, subsections included. */
export interface DeviceSection {
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  /** The section's number in the stream. */
  readonly section: number;
  readonly offset: number;
  readonly length: number;
  /** Its fields in their order, without those of subsections. */
  readonly fields: readonly DeviceField[];
}

const Field = t.intersection([
  t.type({ name: t.string, size: t.number }),
  t.partial({ array_len: t.number, struct: t.unknown }),
]);
const Described = t.intersection([
  t.type({ fields: t.array(Field) }),
  t.partial({ subsections: t.array(t.unknown) }),
]);
const Device = t.intersection([
  t.type({ name: t.string, instance_id: t.number }),
  // Devices that QEMU saves by a function of their own (the user network) have none here.
  t.partial({ version: t.number }),
  Described,
]);
const Subsection = t.intersection([t.type({ vmsd_name: t.string, version: t.number }), Described]);
const Description = t.intersection([
  t.type({ devices: t.array(t.unknown) }),
  t.partial({ page_size: t.number }),
]);

type Described = t.TypeOf<typeof Described>;

/** Where in the bytes a walk is. */
class Walk {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #label: string;
  at = 0;

  constructor(bytes: Uint8Array, label: string) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#label = label;
  }

  mismatch(found: string): LedgerError {
    return new LedgerError(
      'STREAM_INVALID',
      `${this.#label}: the device state does not match its own description: ${found}, at byte ` +
        `${this.at} of ${this.bytes.length}; capture or copy it again`,
      { label: this.#label, offset: this.at },
    );
  }

  skip(length: number, what: string): void {
    const isLength = Number.isSafeInteger(length) && length >= 0;
    if (!isLength || length > this.bytes.length - this.at) {
      throw this.mismatch(`${what} of ${length} bytes does not fit`);
    }
    this.at += length;
  }

  u8(what: string): number {
    this.skip(1, what);
    return this.bytes[this.at - 1]!;
  }

  u32(what: string): number {
    this.skip(4, what);
    return this.#view.getUint32(this.at - 4);
  }

  name(what: string): string {
    const length = this.u8(what);
    this.skip(length, what);
    return latin1(this.bytes.subarray(this.at - length, this.at));
  }

  expect<A extends string | number>(what: string, values: { found: A; expected: A }): void {
    if (values.found !== values.expected) {
      throw this.mismatch(`${what} is ${values.found}, expected ${values.expected}`);
    }
  }

  /** Fields have no bytes of their own but the values: their sizes add up. */
  fields(described: Described, what: string): readonly DeviceField[] {
    return described.fields.map(({ name, size, array_len: count = 1, struct }) => {
      const offset = this.at;
      this.skip(size * count, `field ${name} of ${what}`);
      return { name, offset, size, count, struct };
    });
  }
}

/** Devices, and what is said of them. */
type Devices = Pick<DeviceState, 'sections' | 'description'>;

/** Sections of devices that were walked: several ask for those of one guest. */
const WALKED = new WeakMap<Devices, readonly DeviceSection[]>();

/** The sections of a guest's devices; throws STREAM_INVALID where bytes and description differ. */
export function deviceSectionsOf(device: Devices, label: string): readonly DeviceSection[] {
  const known = WALKED.get(device);
  if (known !== undefined) return known;
  const walked = walkedSections(device, label);
  WALKED.set(device, walked);
  return walked;
}

function walkedSections(device: Devices, label: string): readonly DeviceSection[] {
  const walk = new Walk(device.sections, label);
  const description = parse(Description, jsonOf(device.description, walk), walk);
  if (description.page_size !== undefined && description.page_size !== PAGE_BYTES) {
    throw walk.mismatch(`pages have ${description.page_size} bytes, expected ${PAGE_BYTES}`);
  }
  const sections: DeviceSection[] = [];
  for (const described of description.devices) {
    sections.push(sectionOf(walk, parse(Device, described, walk)));
  }
  walk.expect('the number of described bytes', {
    found: walk.at,
    expected: device.sections.length,
  });
  return sections;
}

/** Whether a description is that of the devices. */
export function isDescribed(device: Devices): boolean {
  try {
    deviceSectionsOf(device, 'devices');
    return true;
  } catch (thrown) {
    if (isLedgerError(thrown)) return false;
    throw thrown;
  }
}

function sectionOf(walk: Walk, device: t.TypeOf<typeof Device>): DeviceSection {
  const what = `device ${device.name}`;
  walk.expect(`the record of ${what}`, { found: walk.u8(what), expected: layout.RECORD_FULL });
  const section = walk.u32(what);
  walk.expect('its name', { found: walk.name(what), expected: device.name });
  walk.expect(`the instance of ${what}`, { found: walk.u32(what), expected: device.instance_id });
  const version = walk.u32(what);
  walk.expect(`the version of ${what}`, { found: version, expected: device.version ?? version });
  const offset = walk.at;
  const fields = walk.fields(device, what);
  // A stack of our own: how deep subsections nest is the input's choice.
  const waiting = [...(device.subsections ?? [])].toReversed();
  while (waiting.length > 0) {
    const subsection = parse(Subsection, waiting.pop(), walk);
    const part = `subsection ${subsection.vmsd_name} of ${what}`;
    walk.expect(part, { found: walk.u8(part), expected: layout.RECORD_SUBSECTION });
    walk.expect('its name', { found: walk.name(part), expected: subsection.vmsd_name });
    walk.expect(`the version of ${part}`, { found: walk.u32(part), expected: subsection.version });
    walk.fields(subsection, part);
    for (const nested of (subsection.subsections ?? []).toReversed()) waiting.push(nested);
  }
  const { name, instance_id: instance } = device;
  const length = walk.at - offset;
  const found = { name, instance, version, section, offset, length, fields };
  walk.expect(`the footer of ${what}`, { found: walk.u8(what), expected: layout.RECORD_FOOTER });
  walk.expect(`the footer of ${what}`, { found: walk.u32(what), expected: section });
  return found;
}

function jsonOf(bytes: Uint8Array, walk: Walk): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    throw walk.mismatch('the description is no JSON');
  }
}

function parse<A>(codec: t.Type<A, unknown>, value: unknown, walk: Walk): A {
  const decoded = codec.decode(value);
  if (isRight(decoded)) return decoded.right;
  throw walk.mismatch('the description lacks names, versions or sizes');
}

/** QEMU's word for what the guest was doing, from its section `globalstate`. */
export function runStateOf(device: DeviceState, sections: readonly DeviceSection[]): string | null {
  const section = sections.find((candidate) => candidate.name === 'globalstate');
  if (section === undefined || section.length < 4) return null;
  // A length, then the word, NUL padded.
  const word = device.sections.subarray(section.offset + 4, section.offset + section.length);
  const end = word.indexOf(0);
  return latin1(end === -1 ? word : word.subarray(0, end));
}

/** Bytes of the word, NULs included, that every QEMU keeps for what the guest was doing. */
const RUN_STATE_BYTES = 32;

/** The same devices, with another word for what the guest was doing; as they are where none is said. */
export function withRunState(
  device: DeviceState,
  { runState, label }: { readonly runState: string; readonly label: string },
): DeviceState {
  const section = deviceSectionsOf(device, label).find(({ name }) => name === 'globalstate');
  if (section === undefined || section.length < 4 + RUN_STATE_BYTES) return device;
  assert(runState.length < RUN_STATE_BYTES, "the word for a guest's doing is short");
  const sections = Buffer.from(device.sections);
  sections.writeUInt32BE(runState.length + 1, section.offset);
  const word = section.offset + 4;
  sections.fill(0, word, word + RUN_STATE_BYTES).write(runState, word, 'latin1');
  return { ...device, sections };
}
