// What a VM may share: nothing but patterns, its own pages, or its group's. Every
// test of what is not shared is paired with one of what is: "nothing was shared" alone would hold of a
// ledger whose sharing is broken.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  openLedger,
  sharingOf,
  verify,
  type CaptureRow,
  type Ledger,
  type SharePolicy,
} from '../../../index.ts';
import { decodePackWritten } from '../../../domain/events/pack-written.ts';
import { valueOf } from '../../../domain/ports/run.ts';
import type { BlockTable } from '../../../domain/values/pack.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { makeImage, pageAt } from '../../support/images.ts';
import { eventsOf as storedEvents } from '../../support/logs/log-events.ts';
import {
  contentsOf,
  distinctPages,
  eventsOf,
  isPatternContent,
  recordImage,
  restored,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
let url: string;
let ledger: Ledger;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  ledger = await openLedger({ url, mode: 'create', threads: 0 });
});
afterEach(async () => {
  await ledger.close();
  await folder.remove();
});

interface Scope {
  readonly group?: string;
  readonly share?: SharePolicy;
}

const record = (vm: string, image: Uint8Array, scope: Scope = {}): Promise<CaptureRow> =>
  recordImage(ledger, { vm, image, folder: folder.path, ...scope });

/** Forty pages, all different, each of them twice. */
const twice = (): Buffer => {
  const once = distinctPages({ pages: 40, seed: 5 });
  return Buffer.concat([once, once]);
};

/** Identifiers of everything that a VM holds at its last capture. */
async function identifiersOf(vm: string): Promise<Set<string>> {
  const rows = await eventsOf(ledger, { vm, isExpanded: true });
  const identifiers = rows.map(({ facts }) => facts['identifier']);
  return new Set(identifiers.filter((identifier) => typeof identifier === 'string'));
}

/** The tables of a ledger's packs, in log order. */
async function tablesIn({ log }: Ledger): Promise<BlockTable[]> {
  const written = (await storedEvents(log)).filter(({ type }) => type === 'PackWritten');
  return written.map((event) => valueOf(decodePackWritten(event)).blocks);
}

describe('a VM that shares with its group', () => {
  test('merges with one of the same group, and not with one of another', async () => {
    const image = twice();
    expect(await record('a', image, { group: 'red' })).toMatchObject({ stored: 40, merged: 40 });
    expect(await record('b', image, { group: 'red' })).toMatchObject({ stored: 0, merged: 80 });
    expect(await record('c', image, { group: 'blue' })).toMatchObject({ stored: 40, merged: 40 });
  });

  test('has identifiers that equal those of its group, and tell nothing in another', async () => {
    const image = twice();
    for (const [vm, group] of [
      ['a', 'red'],
      ['b', 'red'],
      ['c', 'blue'],
    ] as const)
      await record(vm, image, { group });
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(identifiersOf));
    expect(a!.size).toBe(40);
    expect([...b!].toSorted()).toEqual([...a!].toSorted());
    expect([...c!].filter((identifier) => a!.has(identifier))).toEqual([]);
    // Not by a part of them either: 40 x 40 pairs agree in two bytes with a chance of 1 in 40.
    const heads = new Set([...a!].map((identifier) => identifier.slice(0, 8)));
    expect([...c!].filter((identifier) => heads.has(identifier.slice(0, 8)))).toEqual([]);
  });

  test('is counted the same whatever another group holds', async () => {
    await record('a', twice(), { group: 'red' });
    const asked = async () => {
      const {
        storedBytes: _stored,
        logBytes: _log,
        ...counts
      } = await sharingOf(ledger, {
        position: ledger.state.next,
        vm: 'a',
      });
      return counts;
    };
    const before = await asked();
    await record('spy', twice(), { group: 'blue' });
    await record('other', distinctPages({ pages: 9, seed: 6 }), { share: 'vm' });
    expect(await asked()).toEqual(before);
  });
});

describe('events of equal contents in two groups', () => {
  test('tell by no checksum of a block that they are equal', async () => {
    const image = Buffer.concat([twice(), makeImage({ seed: 7, pages: 60 })]);
    await record('a', image, { group: 'red' });
    await record('b', image, { group: 'blue' });
    const [a, b] = await tablesIn(ledger);
    expect([...a!.lengths]).toEqual([...b!.lengths]);
    const known = new Set(a!.checksums);
    expect(known.size).toBe(a!.lengths.length);
    expect([...b!.checksums].filter((checksum) => known.has(checksum))).toEqual([]);
  });
});

describe('a VM that shares inside itself', () => {
  test('merges its own pages, and nothing with another VM, before or after it', async () => {
    const image = twice();
    await record('first', image);
    expect(await record('alone', image, { share: 'vm' })).toMatchObject({ stored: 40, merged: 40 });
    expect(await record('last', image)).toMatchObject({ stored: 0, merged: 80 });
    expect(ledger.vm('alone').state.registered).toMatchObject({ share: 'vm', group: 'vm.alone' });
    const counts = await sharingOf(ledger, { position: ledger.state.next, vm: 'alone' });
    expect(counts).toMatchObject({ unique: 40, mergedIntra: 40, mergedInter: 0 });
  });

  test('has a group that no other VM can ask for, however long its name', async () => {
    const long = `v${'x'.repeat(127)}`;
    const image = distinctPages({ pages: 3, seed: 1 });
    await record('alone', image, { share: 'vm' });
    await record(long, image, { share: 'vm' });
    const groups = [...ledger.state.catalogue.facts.groups.keys()];
    expect(new Set(groups).size).toBe(2);
    for (const group of groups)
      await expect(record('intruder', image, { group })).rejects.toThrow(/no other can be in it/u);
  });
});

describe('a VM that shares nothing but patterns', () => {
  test('links no page to another, its own neither, and counts each as unique', async () => {
    const image = Buffer.concat([twice(), makeImage({ seed: 7, pages: 60 })]);
    const contents = contentsOf(image);
    const patterns = contents.filter(isPatternContent).length;
    const pages = contents.length;
    const row = await record('vm', image, { share: 'pattern' });
    expect(row).toMatchObject({ stored: pages - patterns, merged: 0, pattern: patterns });
    const counts = await sharingOf(ledger, { position: ledger.state.next, vm: 'vm' });
    expect(counts).toMatchObject({ unique: pages - patterns, mergedIntra: 0, mergedInter: 0 });
    const back = await restored(ledger, { vm: 'vm', at: 'latest', folder: folder.path });
    expect(back.equals(image)).toBe(true);
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
  });

  test('breaks no sharing, and writes nothing where nothing changed, with no fingerprints too', async () => {
    const image = Buffer.from(twice());
    await record('vm', image, { share: 'pattern' });
    await ledger.close();
    rmSync(join(url, 'keys', 'fingerprints'), { recursive: true });
    ledger = await openLedger({ url, mode: 'create', threads: 0 });
    expect(await record('vm', image)).toMatchObject({ written: 0, unchanged: 80 });
    pageAt(image, 3).fill(1);
    pageAt(image, 4).set(pageAt(image, 5));
    const row = await record('vm', image);
    expect(row).toMatchObject({ written: 2, stored: 1, pattern: 1, merged: 0, broken: 0 });
  });

  test('folds anew from the log to the same', async () => {
    await record('vm', twice(), { share: 'pattern' });
    await record('vm', distinctPages({ pages: 80, seed: 8 }), { share: 'pattern' });
    const asked = () => sharingOf(ledger, { position: ledger.state.next, vm: null });
    const before = await asked();
    await ledger.state.rebuild();
    expect(await asked()).toEqual(before);
    expect(ledger.state.sharing.index.count).toBe(0);
    expect(ledger.state.sharing.holders(0)).toBeLessThanOrEqual(1);
  });
});

describe('what a VM may share', () => {
  test('is fixed at its first capture', async () => {
    const image = distinctPages({ pages: 4, seed: 2 });
    await record('vm', image, { share: 'vm' });
    await expect(record('vm', image, { share: 'pattern' })).rejects.toThrow(
      /registered with --share vm, not pattern/u,
    );
    await expect(record('vm', image, { group: 'default' })).rejects.toThrow(/in group vm\.vm/u);
    expect(await record('vm', image)).toMatchObject({ written: 0 });
  });

  test('is asked for on the command line, and not together with a group', async () => {
    const [file] = writeImages({ folder: folder.path, name: 'x', images: [twice()] });
    await ledger.close();
    const commands = new LedgerCommands(url);
    const image = ['record', 'image', '--vm', 'vm'];
    const both = await commands.run([...image, '--share', 'vm', '--group', 'g', file!]);
    expect([both.exitCode, both.stderr]).toEqual([2, expect.stringContaining('group of its own')]);
    const unknown = await commands.run([...image, '--share', 'all', file!]);
    expect([unknown.exitCode, unknown.stderr]).toEqual([2, expect.stringContaining('pattern, vm')]);
    expect((await commands.run([...image, '--share', 'pattern', file!])).exitCode).toBe(0);
    ledger = await openLedger({ url, mode: 'read', threads: 0 });
    expect(ledger.vm('vm').state.registered?.share).toBe('pattern');
  });

  test('leaves no key in the log, the packs, or what is derived', async () => {
    await record('a', twice(), { group: 'red' });
    await record('b', twice(), { share: 'vm' });
    await ledger.close();
    const keys = ['red', 'vm.b'].map((group) => {
      const text = readFileSync(join(url, 'keys', `${group}.key`), 'utf8');
      return /[0-9a-f]{64}/u.exec(text)![0];
    });
    const files = readdirSync(url, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes(join(url, 'keys')))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
    expect(files.length).toBeGreaterThan(4);
    for (const key of keys)
      for (const bytes of files)
        for (const form of [
          Buffer.from(key, 'hex'),
          Buffer.from(key),
          Buffer.from(key, 'hex').toString('base64'),
        ])
          expect(bytes.includes(form)).toBe(false);
    ledger = await openLedger({ url, mode: 'read', threads: 0 });
  });
});
