// Format 1 of every event stays readable, and stays what is written (tests/golden/events-1).

import { hash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import {
  BATCH_TYPES,
  CONTROL_CODECS,
  decodeControl,
  encodeControl,
  formatOf,
  schemaOfControl,
  STORE_TYPES,
} from '../../../domain/events/control.ts';
import { UNTOLD } from '../../../domain/values/holding.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { blockStarts, PACK_HEADER_BYTES, packHeader } from '../../../domain/values/pack.ts';
import {
  decodePackWritten,
  encodePackWritten,
  packWrittenSchema,
} from '../../../domain/events/pack-written.ts';
import {
  decodePageColumns,
  encodePageColumns,
  KIND_BROKE,
  KIND_STORED,
  KIND_UNTOLD,
  pageColumnsSchema,
  type PageColumns,
} from '../../../domain/events/pages-written.ts';
import {
  decodePackRewritten,
  encodePackRewritten,
  packRewrittenSchema,
} from '../../../domain/events/pack-rewritten.ts';
import { batchesHash } from '../../../domain/evidence.ts';
import {
  GOLDEN_ATTACHMENT_COLUMNS,
  GOLDEN_COPIED_REWRITTEN,
  GOLDEN_DEVICE_COLUMNS,
  GOLDEN_FOLDER,
  GOLDEN_PACK,
  GOLDEN_PACKED_PACK,
  GOLDEN_PACKED_REWRITTEN,
  GOLDEN_PAGE_COLUMNS,
  GOLDEN_PATCHED_PACK,
  GOLDEN_PATTERN_COLUMNS,
  GOLDEN_REWRITTEN_PACK,
  GOLDEN_SALTED_PACK,
  GOLDEN_SALTED_REWRITTEN,
  GOLDEN_LARGE_PACK,
  GOLDEN_SHORT_PACK,
  GOLDEN_SHORT_REWRITTEN,
  goldenBytes,
} from '../../support/golden/golden-capture.ts';
import {
  GOLDEN_BESIDE_EVENTS,
  GOLDEN_CONTROL_EVENTS,
  GOLDEN_UNKNOWN,
} from '../../support/golden/golden-control-events.ts';
import { GOLDEN_LAID_OUT } from '../../support/golden/golden-layout.ts';
import { GOLDEN_RELEASED } from '../../support/golden/golden-released.ts';

const golden = (type: string): Uint8Array => goldenBytes(`events-1/${type}.bin`);
const golden2 = (type: string): Uint8Array => goldenBytes(`events-2/${type}.bin`);
const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

describe('events of format 1', () => {
  test('have one golden file each', () => {
    const files = readdirSync(join(GOLDEN_FOLDER, 'events-1')).toSorted();
    const types = [...Object.keys(CONTROL_CODECS), ...BATCH_TYPES, ...STORE_TYPES];
    expect(files).toEqual(types.map((type) => `${type}.bin`).toSorted());
    const valued = GOLDEN_CONTROL_EVENTS.map(({ type }) => type);
    expect(valued.toSorted()).toEqual(Object.keys(CONTROL_CODECS).toSorted());
  });

  test.each(GOLDEN_CONTROL_EVENTS.map((event) => [event.type, event] as const))(
    '%s',
    (type, event) => {
      const envelope = { type, schema: 1, position: 0n, data: golden(type) };
      expect(decodeControl(envelope)).toEqual(either.right(event));
    },
  );

  test.each(
    GOLDEN_CONTROL_EVENTS.filter(({ type }) => type !== 'PointsForgotten').map(
      (event) => [event.type, event] as const,
    ),
  )('%s is written as it was', (type, event) => {
    expect(encodeControl(event)).toEqual(either.right(golden(type)));
  });

  test.each([
    ['PagesWritten', GOLDEN_PAGE_COLUMNS],
    ['DeviceStateWritten', GOLDEN_DEVICE_COLUMNS],
    ['AttachmentsWritten', GOLDEN_ATTACHMENT_COLUMNS],
  ])('%s', (type, columns) => {
    expect(decodePageColumns({ schema: 2, data: golden(type) })).toEqual(either.right(columns));
    expect(encodePageColumns(columns, 2)).toEqual(golden(type));
  });

  test('PackWritten', () => {
    const read = decodePackWritten({ schema: 4, data: golden('PackWritten') });
    expect(read).toMatchObject(either.right(GOLDEN_PACK));
    if (either.isLeft(read)) return;
    expect(read.right.identifiers.length).toBe(5 * 32);
    expect(encodePackWritten(read.right, 4)).toEqual(golden('PackWritten'));
  });

  test('PackRewritten', () => {
    const data = golden('PackRewritten');
    expect(decodePackRewritten({ schema: 1, data })).toEqual(either.right(GOLDEN_REWRITTEN_PACK));
    expect(encodePackRewritten(GOLDEN_REWRITTEN_PACK, 1)).toEqual(data);
  });

  test('the hash of a commit is that of its batches', () => {
    const batches = ['PackWritten', 'PagesWritten', 'DeviceStateWritten'];
    const digests = batches.map((type) => sha256(golden(type)));
    const commit = GOLDEN_CONTROL_EVENTS.find(({ type }) => type === 'CaptureCommitted');
    expect(commit?.data).toMatchObject({ hash: batchesHash(sha256, digests) });
  });
});

describe('events of schema 2', () => {
  test('PagesWritten has patterns', () => {
    const data = golden2('PagesWritten');
    expect(decodePageColumns({ schema: 2, data })).toEqual(either.right(GOLDEN_PATTERN_COLUMNS));
    expect(encodePageColumns(GOLDEN_PATTERN_COLUMNS, 2)).toEqual(data);
  });

  test('PointsForgotten names captures', () => {
    const type = 'PointsForgotten' as const;
    const captures = [
      [1, 3],
      [5, 5],
      [7, 4_000_000_000],
    ] as const;
    const event = { type, data: { vm: 'web-1', captures } };
    const data = golden2(type);
    expect(decodeControl({ type, schema: 2, position: 0n, data })).toEqual(either.right(event));
    expect(encodeControl(event)).toEqual(either.right(data));
  });

  const laterEvents = [...GOLDEN_BESIDE_EVENTS, GOLDEN_RELEASED];
  test.each(laterEvents.map((event) => [event.type, event] as const))(
    '%s of schema 2',
    (type, event) => {
      const data = golden2(type);
      expect(decodeControl({ type, schema: 2, position: 0n, data })).toEqual(either.right(event));
      expect(encodeControl(event)).toEqual(either.right(data));
    },
  );

  test('PackWritten has patches, and patterns after contents', () => {
    const data = golden2('PackWritten');
    expect(decodePackWritten({ schema: 4, data })).toEqual(either.right(GOLDEN_PATCHED_PACK));
    expect(encodePackWritten(GOLDEN_PATCHED_PACK, 4)).toEqual(data);
  });
});

describe('a checkpoint that was laid out', () => {
  test('CheckpointTaken of schema 3', () => {
    const data = goldenBytes('events-3/CheckpointTaken.bin');
    const envelope = { type: 'CheckpointTaken', schema: 3, position: 0n, data };
    expect(decodeControl(envelope)).toEqual(either.right(GOLDEN_LAID_OUT));
    expect(encodeControl(GOLDEN_LAID_OUT)).toEqual(either.right(data));
    expect(schemaOfControl(GOLDEN_LAID_OUT)).toBe(3);
  });
});

describe('a capture with pages that are unknown', () => {
  test('CaptureCommitted of schema 3', () => {
    const data = goldenBytes('events-3/CaptureCommitted.bin');
    const envelope = { type: 'CaptureCommitted', schema: 3, position: 0n, data };
    expect(decodeControl(envelope)).toEqual(either.right(GOLDEN_UNKNOWN));
    expect(encodeControl(GOLDEN_UNKNOWN)).toEqual(either.right(data));
    expect([schemaOfControl(GOLDEN_UNKNOWN), formatOf(GOLDEN_UNKNOWN)]).toEqual([3, 6]);
  });

  test('PagesWritten refers to the number that no public pattern has', () => {
    const columns: PageColumns = {
      capture: 3,
      batch: 0,
      firstRow: 0,
      parts: [],
      packs: ['ab'.repeat(32)],
      kinds: Uint8Array.of(KIND_STORED, KIND_UNTOLD, KIND_UNTOLD | KIND_BROKE, KIND_UNTOLD),
      gfns: Uint32Array.of(0, 1, 2, 70_000),
      packIndexes: Uint16Array.of(0, 1, 1, 1),
      slots: Uint16Array.of(5, UNTOLD, UNTOLD, UNTOLD),
    };
    const data = goldenBytes('events-3/PagesWritten-unknown.bin');
    expect(decodePageColumns({ schema: 3, data })).toEqual(either.right(columns));
    expect(encodePageColumns(columns, 3)).toEqual(data);
  });
});

describe('events of salted blocks', () => {
  test('PackWritten of schema 3', () => {
    const data = goldenBytes('events-3/PackWritten.bin');
    const read = decodePackWritten({ schema: 4, data });
    expect(read).toMatchObject(either.right(GOLDEN_SALTED_PACK));
    if (either.isLeft(read)) return;
    expect(encodePackWritten(read.right, 4)).toEqual(data);
    const schemas = [GOLDEN_SALTED_PACK, GOLDEN_PATCHED_PACK].map((pack) =>
      packWrittenSchema(pack, false),
    );
    expect(schemas).toEqual([3, 2]);
  });

  test('PackRewritten of schema 2', () => {
    const data = golden2('PackRewritten');
    expect(decodePackRewritten({ schema: 2, data })).toEqual(either.right(GOLDEN_SALTED_REWRITTEN));
    expect(encodePackRewritten(GOLDEN_SALTED_REWRITTEN, 2)).toEqual(data);
    const schemas = [GOLDEN_SALTED_REWRITTEN, GOLDEN_REWRITTEN_PACK].map(({ blocks }) =>
      packRewrittenSchema(blocks, false),
    );
    expect(schemas).toEqual([2, 1]);
  });
});

describe('events of packed blocks', () => {
  test('PackWritten of schema 4', () => {
    const data = goldenBytes('events-4/PackWritten.bin');
    const read = decodePackWritten({ schema: 4, data });
    expect(read).toMatchObject(either.right(GOLDEN_PACKED_PACK));
    if (either.isLeft(read)) return;
    expect(encodePackWritten(read.right, 4)).toEqual(data);
    expect(packWrittenSchema(GOLDEN_PACKED_PACK, false)).toBe(4);
  });

  test('PackRewritten of schema 3', () => {
    const data = goldenBytes('events-3/PackRewritten.bin');
    expect(decodePackRewritten({ schema: 3, data })).toEqual(either.right(GOLDEN_PACKED_REWRITTEN));
    expect(encodePackRewritten(GOLDEN_PACKED_REWRITTEN, 3)).toEqual(data);
    expect(packRewrittenSchema(GOLDEN_PACKED_REWRITTEN.blocks, false)).toBe(3);
  });
});

describe('events with short columns', () => {
  test('PackWritten of schema 5', () => {
    const data = goldenBytes('events-5/PackWritten.bin');
    expect(decodePackWritten({ schema: 5, data })).toEqual(either.right(GOLDEN_SHORT_PACK));
    expect(encodePackWritten(GOLDEN_SHORT_PACK, 5)).toEqual(data);
    expect(packWrittenSchema(GOLDEN_SHORT_PACK, true)).toBe(5);
  });

  test('PackWritten of schema 6', () => {
    const data = goldenBytes('events-6/PackWritten.bin');
    expect(decodePackWritten({ schema: 6, data })).toEqual(either.right(GOLDEN_LARGE_PACK));
    expect(encodePackWritten(GOLDEN_LARGE_PACK, 6)).toEqual(data);
    expect(packWrittenSchema(GOLDEN_LARGE_PACK, true)).toBe(6);
  });

  test.each([
    ['PagesWritten', GOLDEN_PATTERN_COLUMNS],
    ['DeviceStateWritten', GOLDEN_DEVICE_COLUMNS],
    ['AttachmentsWritten', GOLDEN_ATTACHMENT_COLUMNS],
  ] as const)('%s of schema 3', (type, columns) => {
    const data = goldenBytes(`events-3/${type}.bin`);
    expect(decodePageColumns({ schema: 3, data })).toEqual(either.right(columns));
    expect(encodePageColumns(columns, 3)).toEqual(data);
    expect(pageColumnsSchema(type, columns, true)).toBe(3);
    expect(pageColumnsSchema(type, columns, false)).toBe(type === 'PagesWritten' ? 2 : 1);
  });

  test.each([
    ['PackRewritten', GOLDEN_SHORT_REWRITTEN],
    ['PackRewritten-copied', GOLDEN_COPIED_REWRITTEN],
  ])('%s of schema 4', (file, pack) => {
    const data = goldenBytes(`events-4/${file}.bin`);
    expect(decodePackRewritten({ schema: 4, data })).toEqual(either.right(pack));
    expect(encodePackRewritten(pack, 4)).toEqual(data);
    expect(packRewrittenSchema(pack.blocks, true)).toBe(4);
  });
});

describe('a pack of format 1', () => {
  const pack = goldenBytes(`pack-1/${GOLDEN_PACK.name}`);

  test('is named by the SHA-256 of its bytes', () => {
    expect(toHex(sha256(pack))).toBe(GOLDEN_PACK.name);
  });

  test('begins with its header and ends with its last block', () => {
    const random = Uint8Array.from({ length: 16 }, (_, i) => 0xf0 + i);
    const header = packHeader({ group: GOLDEN_PACK.group, random });
    expect(pack.slice(0, PACK_HEADER_BYTES)).toEqual(header);
    expect(pack.length).toBe(GOLDEN_PACK.sizeBytes);
    expect(blockStarts(GOLDEN_PACK.blocks).offsets.at(-1)).toBe(pack.length);
  });
});
