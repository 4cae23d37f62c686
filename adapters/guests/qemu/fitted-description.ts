// A description for devices that QEMU saved without one (`xen-save-devices-state`), made from that of the
// same machine at another moment. Devices are the same, in the same order; which subsections each has
// changes with what it is doing. What the other description does not tell of is described by its length
// alone. The result is walked as any other, so what does not fit is found out.

import * as t from 'io-ts';
import { isRight } from 'fp-ts/lib/Either.js';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import { isDescribed } from './device-sections.ts';
import * as layout from './stream-layout.ts';

const Fields = t.array(
  t.intersection([t.type({ name: t.string, size: t.number }), t.partial({ array_len: t.number })]),
);
const Subsection = t.intersection([
  t.type({ vmsd_name: t.string, version: t.number, fields: Fields }),
  t.partial({ subsections: t.array(t.unknown) }),
]);
const Device = t.intersection([
  t.type({ name: t.string, instance_id: t.number, fields: Fields }),
  t.partial({ subsections: t.array(t.unknown) }),
]);
const Description = t.type({ devices: t.array(Device) });

type Subsection = t.TypeOf<typeof Subsection>;
type Device = t.TypeOf<typeof Device>;

const HEADER_BYTES = 1 + 4 + 1;
const FOOTER_BYTES = 5;
const UNKNOWN = 'not described';

/** All subsections, those of subsections behind the one that they are of. */
function flattened(subsections: readonly unknown[]): readonly Subsection[] {
  const flat: Subsection[] = [];
  const waiting = [...subsections].toReversed();
  while (waiting.length > 0) {
    const decoded = Subsection.decode(waiting.pop());
    if (!isRight(decoded)) continue;
    const { subsections: nested = [], ...own } = decoded.right;
    flat.push(own);
    waiting.push(...[...nested].toReversed());
  }
  return flat;
}

const sizeOf = (fields: t.TypeOf<typeof Fields>): number =>
  fields.reduce((sum, { size, array_len: count = 1 }) => sum + size * count, 0);

/** Device sections, one after the other. */
class Sections {
  readonly #bytes: Buffer;
  at = 0;

  constructor(sections: Uint8Array) {
    this.#bytes = Buffer.from(sections.buffer, sections.byteOffset, sections.length);
  }

  get isAtEnd(): boolean {
    return this.at === this.#bytes.length;
  }

  /** Whether a section of a device begins somewhere. */
  #begins({ name, instance_id: instance }: Device, at: number): boolean {
    const bytes = this.#bytes;
    const end = at + HEADER_BYTES + name.length;
    return (
      end + 8 <= bytes.length &&
      bytes[at] === layout.RECORD_FULL &&
      bytes[at + 5] === name.length &&
      bytes.toString('latin1', at + HEADER_BYTES, end) === name &&
      bytes.readUInt32BE(end) === instance
    );
  }

  /** Where the section's footer lies, behind which the next device begins, or nothing; -1: nowhere. */
  #footer(section: number, next: Device | undefined): number {
    const footer = Buffer.alloc(FOOTER_BYTES, layout.RECORD_FOOTER);
    footer.writeUInt32BE(section, 1);
    for (let at = this.at; ; at += 1) {
      at = this.#bytes.indexOf(footer, at);
      if (at === -1) return -1;
      const after = at + FOOTER_BYTES;
      if (next === undefined ? after === this.#bytes.length : this.#begins(next, after)) return at;
    }
  }

  /** A subsection that is described and begins here, which is gone over; else null. */
  #subsection(known: readonly Subsection[], end: number): Subsection | null {
    const bytes = this.#bytes;
    if (bytes[this.at] !== layout.RECORD_SUBSECTION) return null;
    const name = this.at + 2;
    const version = name + bytes[this.at + 1]!;
    if (version + 4 > end) return null;
    const found = known.find(
      (each) =>
        each.vmsd_name === bytes.toString('latin1', name, version) &&
        each.version === bytes.readUInt32BE(version),
    );
    const after = version + 4 + (found === undefined ? 0 : sizeOf(found.fields));
    if (found === undefined || after > end) return null;
    this.at = after;
    return found;
  }

  /** The device that begins here as it is described best; null where it does not. */
  device(described: Device, next: Device | undefined): Device | null {
    if (!this.#begins(described, this.at)) return null;
    const section = this.#bytes.readUInt32BE(this.at + 1);
    const start = this.at + HEADER_BYTES + described.name.length + 8;
    this.at = start;
    const end = this.#footer(section, next);
    if (end === -1) return null;
    const fields = start + sizeOf(described.fields);
    const known = flattened(described.subsections ?? []);
    const subsections: Subsection[] = [];
    this.at = fields;
    for (let found; (found = this.#subsection(known, end)) !== null;) subsections.push(found);
    const isTold = this.at === end;
    this.at = end + FOOTER_BYTES;
    if (isTold) return { ...described, subsections };
    // What is not told of is described as one more field, or, where fields are others, as the only one.
    const rest = (from: number) => ({ name: UNKNOWN, size: end - from });
    return fields <= end
      ? { ...described, fields: [...described.fields, rest(fields)], subsections: [] }
      : { ...described, fields: [rest(start)], subsections: [] };
  }
}

/**
 * Devices with a description that fits them, given that of the same machine at another moment; null
 * where they are not those devices.
 */
export function withFittedDescription(device: DeviceState): DeviceState | null {
  if (isDescribed(device)) return device;
  const text = Buffer.from(device.description).toString('utf8');
  const parsed = ((): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  })();
  const decoded = Description.decode(parsed);
  if (!isRight(decoded)) return null;
  const { devices } = decoded.right;
  const sections = new Sections(device.sections);
  const described: Device[] = [];
  for (const [i, each] of devices.entries()) {
    const fitted = sections.device(each, devices[i + 1]);
    if (fitted === null) return null;
    described.push(fitted);
  }
  const description = Buffer.from(JSON.stringify({ ...decoded.right, devices: described }));
  const fitted = { ...device, description: new Uint8Array(description) };
  return sections.isAtEnd && isDescribed(fitted) ? fitted : null;
}
