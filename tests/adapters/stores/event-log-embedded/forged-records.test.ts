// Nothing inside an event is ever an event. Who is recorded chooses page numbers, names and command
// lines, and so bytes of the log: whole records among them, with the right checksums, and copies of
// records that are in the log. Whatever happens to the event around them, no reader takes them for one.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeAppend } from '../../../../adapters/stores/event-log-embedded/layout.ts';
import {
  encodeRecord,
  encodeSeal,
} from '../../../../adapters/stores/event-log-embedded/record-layout.ts';
import {
  encodeEnd,
  encodeSegmentHeader,
} from '../../../../adapters/stores/event-log-embedded/segment-header.ts';
import { EmbeddedLogFolder, LOG_FORMATS } from '../../../support/logs/embedded-logs.ts';
import {
  eventsOf,
  itemsOf,
  lineOf,
  makeEvent,
  makeEvents,
} from '../../../support/logs/log-events.ts';
import { valueOf } from '../../../support/outcomes.ts';
import { triesOf } from '../../../support/long-run.ts';

const NO_PREVIOUS = new Uint8Array(32);

/** Bytes that would be records if they stood by themselves. `marker` is the log's own, where known. */
function forgeries(marker: Uint8Array, copied: Uint8Array): readonly Uint8Array[] {
  const victim = (revision: number, count = 1) => ({
    stream: 'victim',
    expectedRevision: revision - 1,
    events: makeEvents(count),
  });
  const first = encodeAppend(victim(0), { previous: NO_PREVIOUS, seen: 0 });
  const second = encodeAppend(victim(1), { previous: first.lastHash, seen: 0 });
  const later = Uint8Array.from(encodeEnd());
  return [
    first.bytes,
    Buffer.concat([first.bytes, second.bytes]),
    encodeAppend(victim(7), { previous: NO_PREVIOUS, seen: 2 ** 40 }).bytes,
    encodeAppend(victim(0, 3), { previous: NO_PREVIOUS, seen: 0 }).bytes.subarray(0, 300),
    encodeRecord(victim(0), { marker, previous: NO_PREVIOUS, seen: 0 }).bytes,
    encodeRecord(victim(5, 2), { marker, previous: NO_PREVIOUS, seen: 2 ** 40 }).bytes,
    encodeSeal({ marker, seen: 0 }),
    encodeSegmentHeader(0, marker),
    later,
    copied,
  ];
}

/** A log of a known stream and of one whose events hold `inner`, and its bytes. */
async function logWith(
  folder: EmbeddedLogFolder,
  inner: Uint8Array,
): Promise<{ readonly lines: readonly string[]; readonly from: number; readonly to: number }> {
  return folder.with(async (log) => {
    await valueOf(log.append({ stream: 'known', expectedRevision: -1, events: makeEvents(2) }));
    const data = new Uint8Array(inner.length + 200).fill(1);
    data.set(inner, 100);
    await valueOf(log.append({ stream: 'evil', expectedRevision: -1, events: [makeEvent(data)] }));
    await valueOf(log.append({ stream: 'known', expectedRevision: 1, events: makeEvents(1) }));
    await valueOf(log.append({ stream: 'evil', expectedRevision: 0, events: makeEvents(1) }));
    await valueOf(log.append({ stream: 'other', expectedRevision: -1, events: makeEvents(1) }));
    const events = await eventsOf(log);
    const evil = events.findIndex(({ stream }) => stream === 'evil');
    return {
      lines: events.map(lineOf),
      from: Number(events[evil]!.position),
      to: Number(events[evil + 1]!.position),
    };
  });
}

const linesOf = async (folder: EmbeddedLogFolder): Promise<string[]> =>
  folder.with(async (log) =>
    (await itemsOf(log)).filter((item) => item._tag === 'event').map(({ event }) => lineOf(event)),
  );

describe.each(LOG_FORMATS)('a whole record inside an event (format %d)', (format) => {
  const choice = fc.record({
    forgery: fc.nat(9),
    knowsMarker: fc.boolean(),
    copies: fc.integer({ min: 1, max: 3 }),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    hurt: fc.constantFrom('flip' as const, 'cut' as const, 'half' as const),
  });

  test('is never an event, whether the event is flipped, cut off or half written', async () => {
    await fc.assert(
      fc.asyncProperty(choice, async ({ forgery, knowsMarker, copies, at, hurt }) => {
        const folder = await EmbeddedLogFolder.inMemory(format);
        await folder.with(() => Promise.resolve());
        const header = await folder.bytes();
        const isMarked = knowsMarker && format === 2;
        const marker = isMarked ? header.slice(24, 40) : new Uint8Array(16).fill(7);
        const filled = await EmbeddedLogFolder.inMemory(format);
        await logWith(filled, new Uint8Array(0));
        const copied = (await filled.bytes()).slice(format === 2 ? 216 : 0);
        const inner = forgeries(marker, copied)[forgery]!;
        const whole = await logWith(folder, Buffer.concat(Array(copies).fill(inner)));
        const bytes = await folder.bytes();
        const place = whole.from + Math.floor(at * (whole.to - whole.from));
        if (hurt === 'flip') {
          const flipped = bytes.slice();
          flipped[place]! ^= 1 << (place % 8);
          await folder.write(flipped);
        } else await folder.write(bytes.subarray(0, place));
        const found = await linesOf(folder);
        expect(found.filter((line) => !whole.lines.includes(line))).toEqual([]);
        // One event is hurt where a bit flipped, and none once what was half written is whole.
        if (hurt === 'half') await folder.write(bytes);
        const least = { flip: whole.lines.length - 1, cut: 0, half: whole.lines.length }[hurt];
        expect((await linesOf(folder)).length).toBeGreaterThanOrEqual(least);
      }),
      { numRuns: triesOf(150) },
    );
  }, 60_000);

  test('is not handed to a reader that follows while the event around it is being written', async () => {
    const folder = await EmbeddedLogFolder.inMemory(format);
    const { bytes } = encodeAppend(
      { stream: 'victim', expectedRevision: -1, events: makeEvents(1) },
      { previous: NO_PREVIOUS, seen: 0 },
    );
    const { lines, from, to } = await logWith(folder, bytes);
    const whole = await folder.bytes();
    for (let length = from; length < to; length += 7) {
      await folder.write(whole.subarray(0, length));
      const log = await folder.open({ readOnly: true });
      const seen: string[] = [];
      let next = 0n;
      const look = async (): Promise<void> => {
        for await (const chunk of log.read({ from: next })) {
          next = chunk.next;
          for (const item of chunk.items) if (item._tag === 'event') seen.push(lineOf(item.event));
        }
      };
      await look();
      await folder.write(whole);
      await look();
      expect(seen).toEqual(lines);
      await folder.closeLogs();
    }
  }, 60_000);
});

describe('a search', () => {
  test('of headers that all announce 256 KiB ends soon, and finds what is behind them', async () => {
    const folder = await EmbeddedLogFolder.inMemory(1);
    const first = { stream: 'known', expectedRevision: -1, events: makeEvents(1) };
    await folder.with((log) => valueOf(log.append(first)));
    const huge = { stream: 's', expectedRevision: -1, events: [makeEvent(262_144)] };
    const header = encodeAppend(huge, { previous: NO_PREVIOUS, seen: 0 }).bytes.subarray(0, 108);
    const noise = Buffer.concat([
      await folder.bytes(),
      ...Array<Uint8Array>(3000).fill(header),
      Buffer.alloc(300_000),
    ]);
    await folder.write(noise);
    await folder.with(async (log) => {
      await valueOf(log.append({ ...first, expectedRevision: 0, events: makeEvents(1) }));
    });
    expect(await linesOf(folder)).toHaveLength(2);
  }, 60_000);
});
