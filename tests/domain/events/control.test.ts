import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import { LAYOUT_MAP_BYTES_MAX, LAYOUT_PACKS_MAX } from '../../../domain/events/layout-map.ts';
import {
  CONTROL_CODECS,
  decodeControl,
  encodeControl,
  formatOf,
  formatOfAll,
  isBatchType,
  isControlType,
  schemaOf,
  schemaOfControl,
  type CaptureCommitted,
  type ControlEvent,
} from '../../../domain/events/control.ts';
import { flatMap } from '../../../domain/values/memory-map.ts';
import { VM_PAGES_MAX } from '../../../domain/values/page.ts';
import { controlEvent, damaged } from '../../support/arbitraries.ts';
import { triesOf } from '../../support/long-run.ts';

const encoder = new TextEncoder();

function encoded(event: ControlEvent): Uint8Array {
  const bytes = encodeControl(event);
  if (either.isLeft(bytes)) throw bytes.left;
  return bytes.right;
}

const decode = (type: string, data: Uint8Array | string, schema = schemaOf(type)) =>
  decodeControl({
    type,
    schema,
    position: 77n,
    data: typeof data === 'string' ? encoder.encode(data) : data,
  });

function codeOf(outcome: either.Either<{ code: string; message: string }, unknown>): string {
  if (either.isRight(outcome)) return 'it was read';
  expect(outcome.left.message).toContain('position 77');
  return outcome.left.code;
}

const COMMITTED: CaptureCommitted = {
  vm: 'web',
  capture: 1,
  timeMs: 1_790_000_000_000,
  batches: 1,
  firstRevision: 0,
  hash: 'ab'.repeat(32),
  written: 4,
  stored: 2,
  merged: 1,
  pattern: 1,
  unknown: 0,
  unchanged: 0,
  pauseMs: null,
  mode: 'image',
  source: 'guest.img',
  note: null,
  attachments: [],
  image: null,
};

describe('a control event', () => {
  test('that says nothing which its first schema did not have is written as that', () => {
    const taken = (note: string | null): ControlEvent => ({
      type: 'CheckpointTaken',
      data: { vm: 'a', name: 'b', capture: 1, note, layout: null },
    });
    expect([taken(null), taken('why')].map(schemaOfControl)).toEqual([1, 2]);
    const textOf = (event: ControlEvent): string => new TextDecoder().decode(encoded(event));
    expect(textOf(taken(null))).toBe('{"vm":"a","name":"b","capture":1}');
    expect(textOf(taken('why'))).toBe('{"vm":"a","name":"b","capture":1,"note":"why"}');
    expect(decode('CheckpointTaken', '{"vm":"a","name":"b","capture":1,"note":"x"}', 1)).toEqual(
      either.right(taken(null)),
    );
    const layout = '"layout":{"bytes":0,"map":null,"packs":[]}';
    const laidOut = `{"vm":"a","name":"b","capture":1,"note":"why",${layout}}`;
    expect(decode('CheckpointTaken', laidOut, 2)).toEqual(either.right(taken('why')));
    const read = decode('CheckpointTaken', laidOut, 3);
    expect(either.isRight(read) && [schemaOfControl(read.right), textOf(read.right)]).toEqual([
      3,
      laidOut,
    ]);
  });

  test.each([
    ['a map without packs', { bytes: 1, map: { name: 'ab'.repeat(32), bytes: 1 }, packs: [] }],
    ['packs without a map', { bytes: 1, map: null, packs: ['ab'.repeat(32)] }],
    ['bytes without a map', { bytes: 1, map: null, packs: [] }],
    [
      'more packs than there may be',
      {
        bytes: 1,
        map: { name: 'ab'.repeat(32), bytes: 1 },
        packs: Array.from({ length: LAYOUT_PACKS_MAX + 1 }, () => 'ab'.repeat(32)),
      },
    ],
    [
      'a map that is too long',
      {
        bytes: 1,
        map: { name: 'ab'.repeat(32), bytes: LAYOUT_MAP_BYTES_MAX + 1 },
        packs: ['ab'.repeat(32)],
      },
    ],
  ])('of a layout with %s is none', (_what, layout) => {
    const text = JSON.stringify({ vm: 'a', name: 'b', capture: 1, note: null, layout });
    expect(decode('CheckpointTaken', text, 3)).toMatchObject({ left: { code: 'EVENT_INVALID' } });
  });

  test('that makes a ledger has the schema of its format, so that earlier releases stop there', () => {
    const created = (format: number): ControlEvent => ({
      type: 'LedgerCreated',
      data: { ledger: 'a', format, pageStore: null },
    });
    expect([1, 2, 3, 4, 5, 6].map((format) => schemaOfControl(created(format)))).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
    expect([1, 2, 3, 4, 5, 6].map((format) => formatOf(created(format)))).toEqual([
      1, 1, 1, 1, 1, 1,
    ]);
  });

  test('needs the format of the releases that came with it', () => {
    const taken = (note: string | null): ControlEvent => ({
      type: 'CheckpointTaken',
      data: { vm: 'a', name: 'b', capture: 1, note, layout: null },
    });
    const forgotten = { type: 'PointsForgotten', data: { vm: 'a', captures: [[1, 1]] } } as const;
    expect([taken(null), taken('why'), forgotten].map(formatOf)).toEqual([1, 2, 2]);
    expect(formatOfAll([])).toBe(1);
    expect(formatOfAll([taken(null), forgotten, taken(null)])).toBe(2);
  });

  test('of any type reads back as it was written', () => {
    fc.assert(
      fc.property(controlEvent, (event) => {
        expect(decode(event.type, encoded(event), schemaOfControl(event))).toEqual(
          either.right(event),
        );
      }),
      { numRuns: triesOf(300) },
    );
  });

  test('of every type is among those that are tried', () => {
    const seen = new Set(
      fc.sample(controlEvent, { numRuns: 300, seed: 1 }).map(({ type }) => type),
    );
    expect([...seen].toSorted()).toEqual(Object.keys(CONTROL_CODECS).toSorted());
  });

  describe('bears who brought it about', () => {
    const retired = { type: 'VmRetired', data: { vm: 'web' } } as const;
    const by = { user: 'ann', host: 'one', version: '1.2.3' };

    test('beside what it says, of any type', () => {
      fc.assert(
        fc.property(controlEvent, (event) => {
          const data = encodeControl(event, by);
          if (either.isLeft(data)) throw data.left;
          const read = decode(event.type, data.right, schemaOfControl(event));
          expect(read).toEqual(either.right({ ...event, by }));
        }),
        { numRuns: triesOf(100) },
      );
    });

    test('in texts that are cut where they are long', () => {
      const long = { ...by, user: 'u'.repeat(1000) };
      const data = encodeControl(retired, long);
      if (either.isLeft(data)) throw data.left;
      const told = { ...by, user: 'u'.repeat(64) };
      expect(decode('VmRetired', data.right)).toEqual(either.right({ ...retired, by: told }));
    });

    test.each([
      'null',
      '7',
      '{}',
      '{"user":"ann","host":"one"}',
      '{"user":"ann","host":null,"version":"1"}',
      `{"user":"${'u'.repeat(65)}","host":"one","version":"1"}`,
    ])('and means the same where that cannot be: %.40s', (unfit) => {
      expect(decode('VmRetired', `{"vm":"web","by":${unfit}}`)).toEqual(either.right(retired));
    });
  });

  test('loses fields that its schema does not have', () => {
    const data = '{"vm":"web","more":1,"__proto__":{"x":1}}';
    expect(decode('VmRetired', data)).toEqual(
      either.right({ type: 'VmRetired', data: { vm: 'web' } }),
    );
  });

  test('of a newer schema, or of a type we do not know, asks for a newer version', () => {
    const data = encoded({ type: 'VmRetired', data: { vm: 'web' } });
    expect(codeOf(decode('VmRetired', data, schemaOf('VmRetired') + 1))).toBe('EVENT_NEWER');
    expect(codeOf(decode('VmTeleported', data))).toBe('EVENT_NEWER');
    expect(codeOf(decode('toString', data))).toBe('EVENT_NEWER');
  });

  test.each(['', 'elf', 'Stream', '__proto__', 'a mode of another time'])(
    'of a capture taken in a mode that we do not know reads as taken in another: %j',
    (mode) => {
      const data = JSON.stringify({ ...COMMITTED, mode });
      const read = decode('CaptureCommitted', data);
      expect(read).toEqual(
        either.right({ type: 'CaptureCommitted', data: { ...COMMITTED, mode: 'other' } }),
      );
    },
  );

  test('names the field that does not fit', () => {
    const read = decode('VmRegistered', '{"vm":"web","group":"g","share":"all"}');
    expect(either.isLeft(read) && read.left.message).toContain('share');
  });
});

describe('data that is no such event is refused', () => {
  const withField = (field: string, json: string): string =>
    JSON.stringify(COMMITTED).replace(
      new RegExp(`"${field}":("[^"]*"|[^,}]*)`, 'u'),
      `"${field}":${json}`,
    );

  test('unchanged it would be read', () => {
    expect(either.isRight(decode('CaptureCommitted', withField('written', '5')))).toBe(true);
  });

  test.each([
    ['capture', '0'],
    ['capture', '-1'],
    ['capture', '1.5'],
    ['capture', '4294967296'],
    ['capture', '"1"'],
    ['capture', 'null'],
    ['timeMs', 'null'],
    ['timeMs', '"NaN"'],
    ['timeMs', '1e999'],
    ['timeMs', '-1e999'],
    ['timeMs', '8.65e15'],
    ['pauseMs', '-1'],
    ['pauseMs', '1e999'],
    ['written', '-4'],
    ['written', '9007199254740992'],
    ['written', '[]'],
    ['batches', '1e300'],
    ['vm', '"../../etc"'],
    ['vm', '""'],
    ['hash', '7'],
    ['mode', '7'],
    ['mode', 'null'],
  ])('%s: %s', (field, json) => {
    expect(codeOf(decode('CaptureCommitted', withField(field, json)))).toBe('EVENT_INVALID');
  });

  test.each(['', 'null', '[]', '7', '{', '{"vm":"web"', '{"vm":"\ud800"}x', '['.repeat(100_000)])(
    '%.20j',
    (data) => {
      expect(codeOf(decode('VmRetired', data))).toBe('EVENT_INVALID');
    },
  );

  test('more regions than a VM can have', () => {
    const sampled = (last: number): string =>
      JSON.stringify({ vm: 'web', capture: 1, source: 'writes', regions: [[0, last]] });
    expect(either.isRight(decode('LargePageSampled', sampled(2 ** 23 - 1)))).toBe(true);
    expect(codeOf(decode('LargePageSampled', sampled(2 ** 23)))).toBe('EVENT_INVALID');
  });

  test('bytes that are no UTF-8', () => {
    expect(codeOf(decode('VmRetired', Uint8Array.of(0x7b, 0xff, 0x7d)))).toBe('EVENT_INVALID');
  });

  test.each([
    [[VM_PAGES_MAX + 1]],
    [[VM_PAGES_MAX, 1]],
    [Array.from({ length: 1000 }, () => VM_PAGES_MAX)],
  ])('a memory of more pages than a VM can have', (sizes) => {
    const blocks = sizes.map((pages, i) => ({ name: `ram${i}`, pages }));
    const data = {
      vm: 'web',
      group: 'g',
      share: 'group',
      memoryMap: { blocks, ranges: [] },
      parent: null,
    };
    expect(codeOf(decode('VmRegistered', JSON.stringify(data)))).toBe('EVENT_INVALID');
  });

  test('damaged bytes are read or refused, never more than that', () => {
    const cases = controlEvent.chain((event) =>
      damaged(encoded(event)).map((bytes) => ({
        type: event.type,
        schema: schemaOfControl(event),
        bytes,
      })),
    );
    fc.assert(
      fc.property(cases, ({ type, schema, bytes }) => {
        const read = decode(type, bytes, schema);
        const again = either.isLeft(read)
          ? codeOf(read)
          : decode(type, encoded(read.right), schemaOfControl(read.right));
        expect(again).toEqual(either.isLeft(read) ? 'EVENT_INVALID' : read);
      }),
      { numRuns: triesOf(300) },
    );
  });
});

describe('what could not be read back is never written', () => {
  const refused = (event: ControlEvent): string => {
    const bytes = encodeControl(event);
    return either.isLeft(bytes) ? bytes.left.code : 'it was written';
  };

  test.each([NaN, Infinity, -Infinity])('a time of %d', (timeMs) => {
    expect(refused({ type: 'CaptureCommitted', data: { ...COMMITTED, timeMs } })).toBe(
      'EVENT_INVALID',
    );
  });

  test('a memory map without end', () => {
    const memoryMap = flatMap(VM_PAGES_MAX + 1);
    const data = { vm: 'web', group: 'g', share: 'group', memoryMap, parent: null } as const;
    expect(refused({ type: 'VmRegistered', data })).toBe('EVENT_INVALID');
  });

  test('an event larger than an event may be', () => {
    const argv = Array.from({ length: 100 }, () => 'x'.repeat(3000));
    expect(refused({ type: 'CommandLineObserved', data: { vm: 'web', argv } })).toBe(
      'EVENT_TOO_LARGE',
    );
  });
});

describe('types of events', () => {
  test('are of a batch, of a control event, or unknown', () => {
    expect(['PackWritten', 'PagesWritten', 'DeviceStateWritten'].every(isBatchType)).toBe(true);
    expect(isBatchType('CaptureCommitted')).toBe(false);
    expect(isControlType('CaptureCommitted')).toBe(true);
    expect(isControlType('PagesWritten')).toBe(false);
    expect(isControlType('hasOwnProperty')).toBe(false);
  });
});
