// Format 1 of the embedded event log stays readable, and stays what is written (tests/golden/
// event-log-1). The folder there is a log's as it was: two streams, three appends, a torn tail.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import {
  HEADS_FOLDER,
  LOG_FILE,
  NO_HASH,
  encodeAppend,
} from '../../../../adapters/stores/event-log-embedded/layout.ts';
import type { NewEvent } from '../../../../domain/ports/event-log.ts';
import { EmbeddedLogFolder } from '../../../support/logs/embedded-logs.ts';
import { itemsOf, lineOfItem } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';

/** The checkout's root: the nearest folder above with a package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

const GOLDEN = join(findRoot(), 'tests/golden/event-log-1');
const golden = (name: string): Uint8Array => Uint8Array.from(readFileSync(join(GOLDEN, name)));
const WITNESSES = ['vm-a', 'points-a'];

const event = (number: number, data: Uint8Array): NewEvent => ({
  id: Uint8Array.from({ length: 16 }, (_, i) => number * 16 + i),
  type: number === 2 ? 'CaptureCommitted' : 'PagesWritten',
  schema: number,
  timeMs: 1_790_000_000_000 + number,
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

async function goldenFolder(): Promise<EmbeddedLogFolder> {
  const folder = await EmbeddedLogFolder.inMemory(1);
  await folder.with(() => Promise.resolve());
  await folder.write(golden(LOG_FILE));
  for (const stream of WITNESSES)
    await folder.write(golden(join(HEADS_FOLDER, stream)), folder.witnessPath(stream));
  return folder;
}

describe('the event log of format 1', () => {
  test('is read as it was written', async () => {
    const folder = await goldenFolder();
    await folder.with(async (log) => {
      const expected = new TextDecoder().decode(golden('items.txt')).trim().split('\n');
      expect((await itemsOf(log)).map(lineOfItem)).toEqual(expected);
      expect(await gather(log.check())).toEqual([]);
      expect(await valueOf(log.streamRevision('vm-a'))).toBe(2);
    });
  });

  test('says with its witnesses what is missing when it is cut off', async () => {
    const folder = await goldenFolder();
    const bytes = await folder.bytes();
    await folder.write(bytes.subarray(0, 200));
    await folder.with(async (log) => {
      expect((await itemsOf(log)).map(lineOfItem)).toEqual([
        'damage points-a 0-0',
        'damage vm-a 0-2',
      ]);
    });
  });

  test('is written as it was, byte for byte', () => {
    const log = golden(LOG_FILE);
    const start = { previous: NO_HASH, seen: 0 };
    const first = encodeAppend(
      { stream: 'vm-a', expectedRevision: -1, events: EVENTS.slice(0, 2) },
      start,
    );
    const second = encodeAppend(
      { stream: 'points-a', expectedRevision: -1, events: EVENTS.slice(2, 3) },
      { previous: NO_HASH, seen: first.bytes.length },
    );
    const seen = first.bytes.length + second.bytes.length;
    const third = encodeAppend(
      { stream: 'vm-a', expectedRevision: 1, events: EVENTS.slice(3) },
      { previous: first.lastHash, seen },
    );
    const written = Buffer.concat([first.bytes, second.bytes, third.bytes]);
    expect(Buffer.compare(written, log.subarray(0, written.length))).toBe(0);
    expect(log.length).toBe(written.length + 77);
  });
});
