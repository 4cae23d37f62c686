import { describe, expect, test } from '@jest/globals';
import type { EventLog, StreamRange } from '../../../domain/ports/event-log.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { PageTables } from '../../../projections/models/page-tables.ts';
import { HandMadeLedger, planCapture } from '../../support/hand-made-captures.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';

const PAGES = 150;
const CAPTURES = 14;
const INTERRUPTED = 5;
const UNCHANGED = 7;

interface History {
  readonly ledger: HandMadeLedger;
  /** What the VM held at each capture; the first is capture 1. */
  readonly memories: readonly (readonly number[])[];
}

/** A VM of which each capture changes a few pages, with an interrupted one in the middle. */
async function makeHistory(): Promise<History> {
  const ledger = new HandMadeLedger();
  const memories: number[][] = [];
  const pages = Array.from({ length: PAGES }, (_, gfn) => gfn);
  for (let capture = 1; capture <= CAPTURES; capture += 1) {
    if (capture !== UNCHANGED) {
      pages[capture * 3] = 1000 + capture;
      pages[0] = 2000 + capture;
    }
    if (capture === INTERRUPTED) {
      const lost = await planCapture(ledger.state, { vm: 'a', pages: pages.map(() => 7) });
      await ledger.append(vmStream('a'), lost.batches);
    }
    await ledger.record({ vm: 'a', pages: [...pages] });
    memories.push([...pages]);
  }
  await ledger.state.catchUp({ heavy: true });
  return { ledger, memories };
}

/** A log that notes how many events of streams were asked for. */
function watched(log: EventLog): { log: EventLog; ranges: StreamRange[] } {
  const ranges: StreamRange[] = [];
  const readStream = (range: StreamRange): ReturnType<EventLog['readStream']> => {
    ranges.push(range);
    return log.readStream(range);
  };
  return { log: Object.create(log, { readStream: { value: readStream } }), ranges };
}

const entryOf = ({ state }: HandMadeLedger) => state.catalogue.vms.get('a')!;

describe('memory at a point', () => {
  test('is the same with images and without', async () => {
    const { ledger, memories } = await makeHistory();
    const { contents } = ledger.state;
    const entry = entryOf(ledger);
    expect(entry.images.length).toBeGreaterThan(2);
    const without = new PageTables({ log: ledger.log, files: noFiles() });
    for (const row of entry.captures) {
      const table = await ledger.state.tables.at(entry, contents, row);
      expect([...(await without.at(entry, contents, row))]).toEqual([...table]);
      const expected = memories[row.capture - 1]!;
      const equalPages = expected.map((content) => expected.indexOf(content));
      expect([...table].map((holding) => [...table].indexOf(holding))).toEqual(equalPages);
    }
  });

  test('is read from the nearest image at or before it', async () => {
    const { ledger } = await makeHistory();
    const entry = entryOf(ledger);
    const { log, ranges } = watched(ledger.log);
    const tables = new PageTables({ log, files: ledger.files });
    const image = entry.images.at(-1)!;
    await tables.at(entry, ledger.state.contents, entry.capture(image)!);
    expect(ranges).toEqual([]);
    const next = entry.capture(image + 1);
    expect(next).toBeDefined();
    await tables.at(entry, ledger.state.contents, next!);
    expect(ranges).toMatchObject([
      { fromRevision: next!.range.firstRevision, count: next!.range.count },
    ]);
  });

  test('makes lost images again on its way', async () => {
    const { ledger } = await makeHistory();
    const entry = entryOf(ledger);
    const kept = new Map(ledger.files.kept);
    for (const name of await ledger.files.list('tables/')) await ledger.files.drop(name);
    await ledger.state.tables.at(entry, ledger.state.contents, entry.captures.at(-1)!);
    const names = await ledger.files.list('tables/');
    expect(names).toEqual(entry.images.map((n) => `tables/a/${n}`).toSorted());
    for (const name of names) {
      const again = ledger.files.kept.get(name)!;
      expect([...again.subarray(0, PAGES * 4)]).toEqual([
        ...kept.get(name)!.subarray(0, PAGES * 4),
      ]);
    }
  });

  test('does not believe an image of another size or of other numbers', async () => {
    const { ledger } = await makeHistory();
    const entry = entryOf(ledger);
    const row = entry.captures.at(-1)!;
    const expected = [...(await ledger.state.tables.at(entry, ledger.state.contents, row))];
    for (const spoil of [
      (bytes: Uint8Array) => bytes.subarray(4),
      () => new Uint8Array(0),
      (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)),
    ]) {
      const files = new MapStateFiles();
      for (const [name, bytes] of ledger.files.kept)
        files.kept.set(name, name.startsWith('tables/') ? spoil(bytes) : bytes);
      const tables = new PageTables({ log: ledger.log, files });
      expect([...(await tables.at(entry, ledger.state.contents, row))]).toEqual(expected);
    }
  });
});

/** State files that keep nothing. */
function noFiles(): MapStateFiles {
  const files = new MapStateFiles();
  files.save = () => Promise.resolve();
  return files;
}
