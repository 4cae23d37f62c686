import { describe, expect, test } from '@jest/globals';
import type { EventLog, StoredEvent, StreamRange } from '../../../domain/ports/event-log.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PageTables } from '../../../projections/models/page-tables.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';
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

describe('the events of several captures', () => {
  const idsOf = (events: readonly StoredEvent[]) => events.map(({ id }) => toHex(id));

  async function eachOf(tables: PageTables, rows: readonly CaptureRow[]) {
    const each: string[][] = [];
    for await (const events of tables.eventsOfEach('a', rows)) each.push(idsOf(events));
    return each;
  }

  async function singlyOf(tables: PageTables, rows: readonly CaptureRow[]) {
    const each: string[][] = [];
    for (const row of rows) each.push(idsOf(await tables.events('a', row)));
    return each;
  }

  test('are those of each, read together', async () => {
    const { ledger } = await makeHistory();
    const { captures } = entryOf(ledger);
    const { log, ranges } = watched(ledger.log);
    const tables = new PageTables({ log, files: noFiles() });
    for (const isMeant of [
      () => true,
      ({ capture }: CaptureRow) => capture % 3 !== 1,
      ({ capture }: CaptureRow) => capture >= UNCHANGED,
      ({ capture }: CaptureRow) => capture <= UNCHANGED,
      ({ capture }: CaptureRow) => capture === UNCHANGED,
    ]) {
      const rows = captures.filter(isMeant);
      const expected = await singlyOf(ledger.state.tables, rows);
      expect(expected.some((ids) => ids.length > 0)).toBe(rows.length > 1);
      ranges.length = 0;
      expect(await eachOf(tables, rows)).toEqual(expected);
      expect(ranges).toHaveLength(rows.length > 1 ? 1 : 0);
    }
  });

  test('are read singly where what lies between captures is damaged', async () => {
    const { ledger } = await makeHistory();
    const { captures } = entryOf(ledger);
    const commit = captures[8]!.revision;
    const damaged = (range: StreamRange): ReturnType<EventLog['readStream']> => {
      const { fromRevision, count } = range;
      const isHit = fromRevision <= commit && commit < fromRevision + count;
      return isHit ? untilDamage(ledger.log, range, commit) : ledger.log.readStream(range);
    };
    const log: EventLog = Object.create(ledger.log, { readStream: { value: damaged } });
    const tables = new PageTables({ log, files: noFiles() });
    expect(await eachOf(tables, captures)).toEqual(await singlyOf(ledger.state.tables, captures));
    // Its commit is asked for too.
    const lost = { ...captures[8]!, range: { ...captures[8]!.range, count: 3 } };
    const isRefused = eachOf(tables, [...captures.slice(0, 8), lost]);
    await expect(isRefused).rejects.toMatchObject({ code: 'LOG_DAMAGED' });
  });
});

/** Events up to one that is damaged. */
async function* untilDamage(log: EventLog, range: StreamRange, revision: number) {
  for await (const events of log.readStream(range)) {
    const before = events.filter((event) => event.revision < revision);
    if (before.length > 0) yield before;
    if (before.length < events.length) throw new LedgerError('LOG_DAMAGED', 'it is damaged');
  }
}

/** State files that keep nothing. */
function noFiles(): MapStateFiles {
  const files = new MapStateFiles();
  files.save = () => Promise.resolve();
  return files;
}
