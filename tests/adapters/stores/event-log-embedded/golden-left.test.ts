// What is left of a segment stays readable, and stays what is written (tests/golden/event-log-left-1):
// a stream whose first append went, one that stayed, and the next segment, which goes on with the first.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { LOG_FILE, NO_HASH } from '../../../../adapters/stores/event-log-embedded/layout.ts';
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

const GOLDEN = join(GOLDEN_FOLDER, 'event-log-left-1');
const golden = (name: string): Uint8Array => Uint8Array.from(readFileSync(join(GOLDEN, name)));

const event = (number: number): NewEvent => ({
  id: Uint8Array.from({ length: 16 }, (_, i) => number * 16 + i),
  type: 'PagesWritten',
  schema: 2,
  timeMs: 1_790_000_000_000 + number,
  data: Uint8Array.from({ length: 20 * number }, (_, i) => i),
});

/** The two segments before anything went. */
function whole(): {
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  readonly start: number;
} {
  const [marker, next] = [200, 100].map((from) =>
    Uint8Array.from({ length: 16 }, (_, i) => from + i),
  );
  const at = (previous: Uint8Array, seen: number) => ({ marker: marker!, previous, seen });
  let end = SEGMENT_HEADER_BYTES;
  const a = encodeRecord(
    { stream: 'vm-a', expectedRevision: -1, events: [event(1), event(2)] },
    at(NO_HASH, end),
  );
  end += a.bytes.length;
  const b = encodeRecord(
    { stream: 'vm-b', expectedRevision: -1, events: [event(3)] },
    at(NO_HASH, end),
  );
  end += b.bytes.length;
  const seal = encodeSeal({ marker: marker!, seen: end });
  const first = Buffer.concat([encodeSegmentHeader(0, marker!), a.bytes, b.bytes, seal]);
  const start = first.length;
  const later = encodeRecord(
    { stream: 'vm-a', expectedRevision: 1, events: [event(4)] },
    { marker: next!, previous: a.lastHash, seen: start + SEGMENT_HEADER_BYTES },
  );
  const second = Buffer.concat([encodeSegmentHeader(start, next!), later.bytes]);
  return { first: Uint8Array.from(first), second: Uint8Array.from(second), start };
}

async function folderWith(first: Uint8Array): Promise<EmbeddedLogFolder> {
  const { second, start } = whole();
  const folder = await EmbeddedLogFolder.inMemory();
  await folder.with(() => Promise.resolve());
  await folder.write(first);
  await folder.write(second, join(folder.folder, segmentName(start)));
  return folder;
}

describe('what is left of a segment', () => {
  test('is read as it was written', async () => {
    const folder = await folderWith(golden(LOG_FILE));
    await folder.with(async (log) => {
      const expected = new TextDecoder().decode(golden('items.txt')).trim().split('\n');
      expect((await itemsOf(log)).map(lineOfItem)).toEqual(expected);
      expect(await valueOf(log.streamRevision('vm-a'))).toBe(2);
      const findings = await gather(log.check());
      expect(findings.filter(({ kind }) => kind !== 'witness-damaged')).toEqual([]);
    });
  });

  test('is written as it was, byte for byte', async () => {
    const folder = await folderWith(whole().first);
    await folder.with(async (log) => {
      await valueOf(log.cut(new Map([['vm-a', 2]])));
    });
    expect(await folder.bytes()).toEqual(golden(LOG_FILE));
  });
});
