// Format 2 of the embedded event log stays readable, and stays what is written (tests/golden/
// event-log-2). The folder there is a log's as it was: a sealed segment, and one with a torn tail.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  LOG_FILE,
  HEADS_FOLDER,
  NO_HASH,
} from '../../../../adapters/stores/event-log-embedded/layout.ts';
import {
  encodeRecord,
  encodeSeal,
} from '../../../../adapters/stores/event-log-embedded/record-layout.ts';
import {
  SEGMENT_HEADER_BYTES,
  encodeSegmentHeader,
  segmentName,
} from '../../../../adapters/stores/event-log-embedded/segment-header.ts';
import type { NewEvent } from '../../../../domain/ports/event-log.ts';
import { EmbeddedLogFolder } from '../../../support/logs/embedded-logs.ts';
import { GOLDEN_FOLDER } from '../../../support/golden/golden-capture.ts';
import { itemsOf, lineOfItem } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';

const GOLDEN = join(GOLDEN_FOLDER, 'event-log-2');
const golden = (name: string): Uint8Array => Uint8Array.from(readFileSync(join(GOLDEN, name)));
/** Where the second segment begins. */
const SECOND = 859;
const TORN_BYTES = 77;
const MARKERS = [200, 100].map((first) => Uint8Array.from({ length: 16 }, (_, i) => first + i));

const event = (number: number, data: Uint8Array): NewEvent => ({
  id: Uint8Array.from({ length: 16 }, (_, i) => number * 16 + i),
  type: number === 2 ? 'CaptureCommitted' : 'PagesWritten',
  schema: number * 100,
  timeMs: 1_790_000_000_000 + Math.floor(number / 2),
  data,
});

const EVENTS = [
  event(1, Uint8Array.of(0, 1, 254, 255)),
  event(2, new Uint8Array(0)),
  event(
    3,
    Uint8Array.from({ length: 300 }, (_, i) => i % 251),
  ),
  event(4, Uint8Array.of(42)),
];

describe('the event log of format 2', () => {
  test('is read as it was written', async () => {
    const folder = await EmbeddedLogFolder.inMemory();
    await folder.with(() => Promise.resolve());
    await folder.write(golden(LOG_FILE));
    await folder.write(golden(segmentName(SECOND)), join(folder.folder, segmentName(SECOND)));
    await folder.write(golden(join(HEADS_FOLDER, 'vm-a')), folder.witnessPath('vm-a'));
    await folder.with(async (log) => {
      const expected = new TextDecoder().decode(golden('items.txt')).trim().split('\n');
      expect((await itemsOf(log)).map(lineOfItem)).toEqual(expected);
      expect(await gather(log.check())).toEqual([]);
      expect(await valueOf(log.streamRevision('vm-a'))).toBe(3);
    });
  });

  test('is written as it was, byte for byte', () => {
    const [marker, second] = MARKERS as [Uint8Array, Uint8Array];
    const stream = 'vm-a';
    const first = encodeRecord(
      { stream, expectedRevision: -1, events: EVENTS.slice(0, 3) },
      { marker, previous: NO_HASH, seen: SEGMENT_HEADER_BYTES },
    );
    const seen = SEGMENT_HEADER_BYTES + first.bytes.length;
    const sealed = [encodeSegmentHeader(0, marker), first.bytes, encodeSeal({ marker, seen })];
    expect(Uint8Array.from(Buffer.concat(sealed))).toEqual(golden(LOG_FILE));
    const place = { previous: first.lastHash, seen: SECOND + SEGMENT_HEADER_BYTES };
    const { bytes } = encodeRecord(
      { stream, expectedRevision: 2, events: EVENTS.slice(3) },
      { marker: second, ...place },
    );
    const live = [encodeSegmentHeader(SECOND, second), bytes, bytes.subarray(0, TORN_BYTES)];
    expect(Uint8Array.from(Buffer.concat(live))).toEqual(golden(segmentName(SECOND)));
  });
});
