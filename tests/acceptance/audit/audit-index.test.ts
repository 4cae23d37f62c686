// What audit queries are answered from: the page index on disk, and a record whose bytes were given back.

import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openBlockFiles } from '../../../adapters/stores/derived/block-files.ts';
import { openLedger, pageIndexOf, type Ledger } from '../../../index.ts';
import { PageIndex } from '../../../projections/page-index/page-index.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { makeTracedLedger } from '../../support/ledgers/traced-ledger.ts';

describe('audit queries', () => {
  let folder: TemporaryFolder;
  let url: string;
  let commands: LedgerCommands;
  const withLedger = async <A>(work: (ledger: Ledger) => Promise<A>, at = url): Promise<A> => {
    const ledger = await openLedger({ url: at, mode: 'read', threads: 0 });
    try {
      return await work(ledger);
    } finally {
      await ledger.close();
    }
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    commands = new LedgerCommands(url);
    await makeTracedLedger({ url, scratch: folder.path });
  });
  afterAll(() => folder.remove());

  test('what was forgotten and given back keeps its history, and is of no size any more', async () => {
    const copy = join(folder.path, 'forgotten');
    cpSync(url, copy, { recursive: true });
    const forgetting = new LedgerCommands(copy);
    const history = ['history', '--vm', 'a', '--page', '2'];
    const [, third] = await commands.json(...history);
    expect(third).toMatchObject({ capture: 2, outcome: 'stored', sharersNow: 0 });
    expect(third!['storedBytes']).toBeGreaterThan(0);
    await forgetting.bytes('forget', '--vm', 'a', '--before', '@3');
    await forgetting.bytes('compact', '--grace', '0s');
    const versions = await forgetting.json(...history);
    const told = (rows: readonly JsonRow[]) =>
      rows.map(({ capture, outcome, identifier: of, sharers, sharersNow }) => [
        capture,
        outcome,
        of,
        sharers,
        sharersNow,
      ]);
    expect(told(versions)).toEqual(told(await commands.json(...history)));
    expect(versions.map(({ forgotten }) => forgotten)).toEqual([true, true, false]);
    expect(versions[1]!['storedBytes']).toBe(0);
    const identifier = third!['identifier'] as string;
    expect(await forgetting.json('who', '--identifier', identifier)).toEqual(
      await commands.json('who', '--identifier', identifier),
    );
    const differing = ['diff', '--vm', 'a', '@2', '@3'];
    expect(await forgetting.json(...differing)).toEqual(await commands.json(...differing));
    const recorded = async (of: LedgerCommands) => (await of.json('sharing', '--what-if'))[0]!;
    expect((await recorded(forgetting))['pages']).toBeLessThan(
      Number((await recorded(commands))['pages']),
    );
  });

  test('answers are the same from segments on disk, and where one is gone or damaged', async () => {
    const copy = join(folder.path, 'copy');
    cpSync(url, copy, { recursive: true });
    const root = join(copy, 'projections', 'page-index');
    const ask = async (index: PageIndex): Promise<unknown[]> => [
      await index.versions('a', 2),
      await index.versions('b', 3),
      await index.holders([256, 257, 258]),
      await index.contentsBeginning(new Uint8Array(4)),
    ];
    const answers = (at: string) =>
      withLedger(async (ledger) => {
        const { state, replay, files, local, stateFiles } = ledger;
        const blocks = openBlockFiles({ files, folder: local.projections });
        const { column } = ledger;
        const ports = { state, replay, column, blocks, files: stateFiles, ledger: ledger.id };
        return ask(new PageIndex({ ...ports, segmentRows: 40 }));
      }, at);
    const expected = await withLedger((ledger) => ask(pageIndexOf(ledger)));
    expect(await answers(copy)).toEqual(expected);
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .map((name) => join(root, name))
      .filter((path) => statSync(path).isFile());
    expect(files.length).toBeGreaterThan(6);
    expect(await answers(copy)).toEqual(expected);
    for (const path of files) {
      const whole = readFileSync(path);
      for (const damaged of [null, whole.subarray(0, whole.length / 2), flipped(whole)]) {
        if (damaged === null) rmSync(path);
        else writeFileSync(path, damaged);
        expect(await answers(copy)).toEqual(expected);
      }
    }
  });

  /** With a bit changed in what is used of it. */
  function flipped(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    copy[2]! ^= 4;
    return copy;
  }
});
