import { describe, expect, test } from '@jest/globals';
import { deviceSectionsOf } from '../../../../adapters/guests/qemu/device-sections.ts';
import { withFittedDescription } from '../../../../adapters/guests/qemu/fitted-description.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';

const { bytesOf, u8 } = stream;
const SECTION = { serial: 7, clock: 8 };

const deviceSection = (name: string, section: number, body: Uint8Array): Buffer =>
  stream.deviceSection({ section, name, instance: 0 }, [body]);
const sub = (name: string, ...bytes: readonly number[]) =>
  bytesOf(u8(5), stream.name(name), stream.u32(1), u8(...bytes));
const devices = (serial: Uint8Array, clock: Uint8Array = u8(9, 9)): Uint8Array =>
  bytesOf(
    deviceSection('serial', SECTION.serial, serial),
    deviceSection('clock', SECTION.clock, clock),
  );

/** The same devices at another moment: the serial port has one subsection, which has another. */
const DESCRIPTION = Buffer.from(
  JSON.stringify({
    page_size: 4096,
    devices: [
      {
        name: 'serial',
        instance_id: 0,
        vmsd_name: 'serial',
        version: 1,
        fields: [{ name: 'divider', size: 2 }],
        subsections: [
          {
            vmsd_name: 'serial/fifo',
            version: 1,
            fields: [{ name: 'data', size: 1, array_len: 2 }],
            subsections: [
              { vmsd_name: 'serial/deep', version: 1, fields: [{ name: 'x', size: 1 }] },
            ],
          },
        ],
      },
      {
        name: 'clock',
        instance_id: 0,
        vmsd_name: 'clock',
        version: 1,
        fields: [{ name: 'time', size: 2 }],
      },
    ],
  }),
);

/** The fields of the devices, as the fitted description tells them; null: it fits none. */
function fieldsOf(sections: Uint8Array): readonly (readonly string[])[] | null {
  const fitted = withFittedDescription({ head: stream.head(), sections, description: DESCRIPTION });
  if (fitted === null) return null;
  expect(fitted.sections).toEqual(sections);
  return deviceSectionsOf(fitted, 'it').map(({ fields }) => fields.map(({ name }) => name));
}

describe('a description of another moment', () => {
  test('stays as it is where it fits', () => {
    const sections = devices(bytesOf(u8(1, 2), sub('serial/fifo', 3, 4), sub('serial/deep', 5)));
    const given = { head: stream.head(), sections, description: DESCRIPTION };
    expect(withFittedDescription(given)).toBe(given);
  });

  test('leaves out subsections that are not there now, and keeps those that are', () => {
    for (const parts of [[], [sub('serial/fifo', 3, 4)], [sub('serial/deep', 5)]])
      expect(fieldsOf(devices(bytesOf(u8(1, 2), ...parts)))).toEqual([['divider'], ['time']]);
  });

  test('tells of what it does not know by its length, and of all else as before', () => {
    const other = [['divider', 'not described'], ['time']];
    expect(fieldsOf(devices(bytesOf(u8(1, 2), sub('serial/new', 1, 2, 3))))).toEqual(other);
    const behind = [sub('serial/fifo', 3, 4), sub('serial/new', 1)];
    expect(fieldsOf(devices(bytesOf(u8(1, 2), ...behind)))).toEqual(other);
    expect(fieldsOf(devices(u8(1)))).toEqual([['not described'], ['time']]);
    // Bytes that look like a footer, with no device behind them.
    const footer = stream.footer(SECTION.serial);
    expect(fieldsOf(devices(bytesOf(u8(1, 2), sub('serial/new', ...footer))))).toEqual(other);
  });

  test('fits no other devices', () => {
    const clock = deviceSection('clock', SECTION.clock, u8(9, 9));
    const serial = deviceSection('serial', SECTION.serial, u8(1, 2));
    for (const sections of [
      bytesOf(clock, serial),
      serial,
      bytesOf(serial, clock, deviceSection('more', 9, u8(1))),
      bytesOf(serial, clock).subarray(0, -1),
      bytesOf(serial, clock, u8(0)),
    ])
      expect(fieldsOf(sections)).toBeNull();
    const given = { head: stream.head(), sections: bytesOf(serial, clock) };
    for (const description of ['', '{', '{"devices":[{}]}', 'null'])
      expect(withFittedDescription({ ...given, description: Buffer.from(description) })).toBeNull();
  });
});
