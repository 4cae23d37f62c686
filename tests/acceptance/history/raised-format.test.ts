// A ledger of an earlier format is read and written as it was until its format is raised, before the
// first event of a kind that releases of that time do not know. Then those refuse it, by an event and,
// where the log is of format 1, by its file, and nothing else has changed.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from '@jest/globals';
import * as frames from '../../../adapters/stores/event-log-embedded/layout.ts';
import { openEventLog } from '../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { sealLines } from '../../../adapters/files/checksummed-text.ts';
import { openLedgerFolder } from '../../../adapters/stores/ledger-folder/ledger-folder.ts';
import { hasFormat } from '../../../domain/ledger.ts';
import { REGION_PAGES } from '../../../domain/values/page.ts';
import {
  compact,
  copyLedger,
  dropCheckpoint,
  fingerprint,
  forgetHistory,
  forgetPoints,
  holdPoint,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../../index.ts';
import { makeFormat1 } from '../../support/logs/embedded-logs.ts';
import { imageSeries } from '../../support/images.ts';
import { eventsOf } from '../../support/logs/log-events.ts';
import { valueOf } from '../../support/outcomes.ts';
import {
  distinctPages,
  recordFiles,
  recordImage,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** A ledger's folder as a release made it of the time of a format. */
async function makeOldLedger(url: string, format: 1 | 2 = 1): Promise<void> {
  const { id, paths } = await valueOf(
    openLedgerFolder({ files: nodeFiles, path: url, ifAbsent: 'create' }),
  );
  writeFileSync(paths.format, sealLines(['pageledger ledger', `format ${format}`, `id ${id}`]));
  if (format === 1) await makeFormat1(paths.log, nodeFiles);
  const log = await valueOf(openEventLog({ folder: paths.log, files: nodeFiles }));
  const data = new TextEncoder().encode(JSON.stringify({ ledger: id, format, pageStore: null }));
  const event = {
    id: new Uint8Array(16).fill(1),
    type: 'LedgerCreated',
    schema: format,
    timeMs: 0,
  };
  const events = [{ ...event, data }];
  await valueOf(log.append({ stream: 'ledger', expectedRevision: -1, events }));
  await log.close();
}

/** The frames of a log's first file: their formats, one after another. */
function formatsIn(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const formats: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const header = frames.readHeader(view, at);
    if (header === null) throw new TypeError(`no frame at ${at}`);
    formats.push(view.getUint16(at + 8, true));
    at += header === 'later' ? frames.HEADER_BYTES : header.lengthBytes;
  }
  return formats;
}

test('an old ledger is written as it was, and its log goes on in the newest format once it is raised', () =>
  withTemporaryFolder(async (path) => {
    const url = join(path, 'ledger');
    const images = imageSeries({ seed: 5, pages: 40, captures: 4, changedPages: 6 });
    const files = writeImages({ folder: path, name: 'image', images });
    await makeOldLedger(url);
    const first = (): Uint8Array =>
      Uint8Array.from(readFileSync(join(url, 'log', frames.LOG_FILE)));
    const write = <A>(work: Parameters<typeof withLedger<A>>[1]): Promise<A> =>
      withLedger<A>({ url, mode: 'write' }, work);
    await write((ledger) => recordFiles(ledger, { vm: 'red', files: files.slice(0, 2) }));
    expect(new Set(formatsIn(first()))).toEqual(new Set([1]));
    const before = await write(async (ledger) => {
      const print = await fingerprint(ledger);
      for (const format of [2, 2, 3, 4, 5, 6]) await ledger.raiseFormat(format);
      expect(await fingerprint(ledger)).toBe(print);
      return (await eventsOf(ledger.log)).map(({ type, schema }) => `${type} ${schema}`);
    });
    expect(before.filter((line) => line.startsWith('LedgerCreated'))).toEqual([
      'LedgerCreated 1',
      'LedgerCreated 2',
      'LedgerCreated 3',
      'LedgerCreated 4',
      'LedgerCreated 5',
      'LedgerCreated 6',
    ]);
    const ended = first();
    expect(formatsIn(ended).at(-1)).toBe(2);
    await write(async (ledger) => {
      await recordFiles(ledger, { vm: 'red', files: files.slice(2) });
      expect(ledger.vm('red').captures).toHaveLength(4);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    });
    expect(first()).toEqual(ended);
  }));

/** Types and schemas of the events that name packs. */
const packSchemas = async (ledger: Ledger): Promise<string[]> => {
  const named = (await eventsOf(ledger.log)).filter(({ type }) => type.startsWith('Pack'));
  return named.map(({ type, schema }) => `${type} ${schema}`);
};

test('an old ledger has unsalted packs until it is raised; with both it is read, copied and compacted', () =>
  withTemporaryFolder(async (path) => {
    const url = join(path, 'ledger');
    const images = [...imageSeries({ seed: 6, pages: 200, captures: 4, changedPages: 150 })];
    const files = writeImages({ folder: path, name: 'image', images });
    await makeOldLedger(url);
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await recordFiles(ledger, { vm: 'red', files: files.slice(0, 2) });
      expect(new Set(await packSchemas(ledger))).toEqual(new Set(['PackWritten 2']));
      await ledger.raiseFormat(2);
      await recordFiles(ledger, { vm: 'red', files: files.slice(2) });
      expect(new Set(await packSchemas(ledger))).toEqual(
        new Set(['PackWritten 2', 'PackWritten 4']),
      );
    });
    const readBack = async (ledger: Ledger): Promise<void> => {
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
      for (const [i, image] of images.entries())
        expect(await restored(ledger, { vm: 'red', at: `@${i + 1}`, folder: path })).toEqual(image);
    };
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await readBack(ledger);
      await withLedger({ url: join(path, 'copy'), mode: 'create' }, async (copy) => {
        await copyLedger({ from: ledger, to: copy });
        expect(await packSchemas(copy)).toEqual(await packSchemas(ledger));
        await readBack(copy);
      });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect(await packSchemas(ledger)).toContain('PackRewritten 2');
      await readBack(ledger);
    });
  }));

test('an old ledger that is not raised is compacted as its releases can read', () =>
  withTemporaryFolder(async (path) => {
    const url = join(path, 'ledger');
    const images = imageSeries({ seed: 8, pages: 200, captures: 3, changedPages: 150 });
    const files = writeImages({ folder: path, name: 'image', images });
    await makeOldLedger(url);
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await recordFiles(ledger, { vm: 'red', files });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect(new Set(await packSchemas(ledger))).toEqual(
        new Set(['PackWritten 2', 'PackRewritten 1']),
      );
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    });
  }));

/** Schemas of the events of a type. */
const schemasOf = async (ledger: Ledger, type: string): Promise<number[]> =>
  (await eventsOf(ledger.log)).flatMap((event) => (event.type === type ? [event.schema] : []));

test('a ledger of format 2 has all that its releases know, and is not raised by it', () =>
  withTemporaryFolder(async (path) => {
    const url = join(path, 'ledger');
    const images = imageSeries({ seed: 9, pages: 40, captures: 3, changedPages: 6 });
    const files = writeImages({ folder: path, name: 'image', images });
    await makeOldLedger(url, 2);
    const segments = (): string[] =>
      readdirSync(join(url, 'log')).filter((name) => name.endsWith('.log'));
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await recordFiles(ledger, { vm: 'red', files });
      expect(ledger.vm('red').captures.map(({ image }) => image?.name)).toEqual(
        files.map((file) => basename(file)),
      );
      await takeCheckpoint(ledger, { vm: 'red', name: 'first', capture: 1, note: 'as it was' });
      await dropCheckpoint(ledger, { vm: 'red', name: 'first' });
      await forgetPoints(ledger, { vm: 'red', at: ['@1', '@2'] });
      await forgetHistory(ledger, { vm: 'red', isDryRun: false });
      expect(await schemasOf(ledger, 'LedgerCreated')).toEqual([2]);
      expect(await schemasOf(ledger, 'HistoryForgotten')).toEqual([1]);
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect(await schemasOf(ledger, 'ContentReleased')).toEqual([1]);
      const before = segments().length;
      await ledger.raiseFormat(3);
      expect(await schemasOf(ledger, 'LedgerCreated')).toEqual([2, 3]);
      expect(segments()).toHaveLength(before);
    });
  }));

test('where history begins says of which format a ledger is, as who begins there meets nothing before', () =>
  withTemporaryFolder(async (path) => {
    const url = join(path, 'ledger');
    const images = imageSeries({ seed: 10, pages: 40, captures: 3, changedPages: 6 });
    const files = writeImages({ folder: path, name: 'image', images });
    await makeOldLedger(url, 2);
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await ledger.raiseFormat(3);
      await recordFiles(ledger, { vm: 'red', files });
      await forgetPoints(ledger, { vm: 'red', before: '@3' });
      await forgetHistory(ledger, { vm: 'red', isDryRun: false });
      expect(await schemasOf(ledger, 'HistoryForgotten')).toEqual([2]);
    });
    rmSync(join(url, 'projections'), { recursive: true });
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      expect(hasFormat(ledger.state.catalogue.facts, 3)).toBe(true);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    });
  }));

test('a lease raises a ledger, so that no earlier release forgets what is held, and a reading does not', () =>
  withTemporaryFolder(async (path) => {
    const url = join(path, 'ledger');
    const images = imageSeries({ seed: 11, pages: 40, captures: 2, changedPages: 6 });
    const files = writeImages({ folder: path, name: 'image', images });
    await makeOldLedger(url, 2);
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await recordFiles(ledger, { vm: 'red', files });
      await restored(ledger, { vm: 'red', at: '@1', folder: path });
      expect(await schemasOf(ledger, 'LedgerCreated')).toEqual([2]);
      expect(await schemasOf(ledger, 'CheckpointRestored')).toEqual([]);
      const entry = ledger.vm('red');
      await holdPoint(ledger, { entry, row: ledger.resolve(entry, '@1') }, { kind: 'clone' });
      expect(await schemasOf(ledger, 'LedgerCreated')).toEqual([2, 3]);
      await restored(ledger, { vm: 'red', at: '@1', folder: path });
      expect(await schemasOf(ledger, 'CheckpointRestored')).toEqual([1]);
    });
  }));

test('a ledger is raised before a region of it is held large, and not where none is', () =>
  withTemporaryFolder(async (folder) => {
    const url = join(folder, 'ledger');
    await makeOldLedger(url, 2);
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      const record = (vm: string, pages: number) =>
        recordImage(ledger, { vm, image: distinctPages({ pages, seed: 1 }), folder, large: 'all' });
      const format = () => ledger.state.catalogue.facts.ledger?.format;
      await record('small', REGION_PAGES - 1);
      expect(format()).toBe(2);
      await record('large', REGION_PAGES);
      expect(format()).toBe(6);
    });
  }));
