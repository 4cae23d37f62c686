// Where bytes stood, by `find` over a ledger of two VMs, held against looking through every image that
// was recorded: in pages that are stored whole, as patches and as patterns, and across pages.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findBytes } from '../../../adapters/wiring/time-travel/find.ts';
import { compact, forgetPoints, openLedger, recordImages, type Ledger } from '../../../index.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { seededRandom } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 120_000;
const PAGE_BYTES = 4096;
const PAGES = 40;
const CAPTURES = 5;
const VMS = ['a', 'b'];

/** Memory at a capture: what is random stays, but for some pages and for the words in it. */
function memoryOf(vm: number, capture: number): Buffer {
  const memory = Buffer.alloc(PAGES * PAGE_BYTES);
  const random = seededRandom(vm + 1);
  for (let at = 0; at < 24 * PAGE_BYTES; at += 1) memory[at] = 1 + random(255);
  // The same page in both VMs; one that is a little different at each capture; patterns.
  memory.copy(memory, 30 * PAGE_BYTES, 0, PAGE_BYTES);
  memory.writeUInt32LE(capture, 5 * PAGE_BYTES + 100);
  memory.fill(0xff, 32 * PAGE_BYTES, 33 * PAGE_BYTES);
  memory.fill('needle!', (33 + (capture % 2)) * PAGE_BYTES, (34 + (capture % 2)) * PAGE_BYTES);
  // A word inside a page, one across two, and one that comes and goes.
  memory.write('a stone in a shoe', 5 * PAGE_BYTES + 2000);
  if (capture > 1) memory.write('across the border', 8 * PAGE_BYTES - 7);
  if (capture === 2 || capture === 4) memory.write('now and then', 9 * PAGE_BYTES + 17 * vm);
  if (capture === 3) memory.write('only once', (12 + vm) * PAGE_BYTES - 4);
  memory.write('at the very end', PAGES * PAGE_BYTES - 15);
  return memory;
}

interface Place {
  readonly vm: string;
  readonly gfn: number;
  readonly offset: number;
  readonly from: number;
  readonly to: number | null;
}

/** By looking through all images. */
function lookedUp(needle: Buffer): Place[] {
  const places: Place[] = [];
  for (const [i, vm] of VMS.entries()) {
    const open = new Map<number, Place>();
    for (let capture = 1; capture <= CAPTURES; capture += 1) {
      const memory = memoryOf(i, capture);
      const found = new Set<number>();
      for (let at = memory.indexOf(needle); at >= 0; at = memory.indexOf(needle, at + 1))
        found.add(at);
      for (const [at, place] of open)
        if (!found.has(at)) {
          places.push({ ...place, to: capture });
          open.delete(at);
        }
      for (const at of found) {
        const [gfn, offset] = [Math.floor(at / PAGE_BYTES), at % PAGE_BYTES];
        if (!open.has(at)) open.set(at, { vm, gfn, offset, from: capture, to: null });
      }
    }
    places.push(...open.values());
  }
  return places;
}

const keyOf = ({ vm, gfn, offset, from }: Place): string =>
  [vm, ...[gfn, offset, from].map((number) => String(number).padStart(6, '0'))].join(' ');
const ordered = (places: readonly Place[]): Place[] =>
  places
    .map(({ vm, gfn, offset, from, to }) => ({ vm, gfn, offset, from, to }))
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

describe('bytes in a ledger', () => {
  let folder: TemporaryFolder;
  let ledger: Ledger;
  let url: string;

  const found = async (bytes: Buffer, of: { vm?: string; from?: string; to?: string } = {}) => {
    const { vm, from = null, to = null } = of;
    const entry = vm === undefined ? null : ledger.vm(vm);
    const { places } = await findBytes(ledger, { bytes, vm: entry, from, to });
    return ordered(
      places.map((place) => ({ ...place, to: place.to === Infinity ? null : place.to })),
    );
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    ledger = await openLedger({ url, mode: 'create', threads: 0 });
    for (let capture = 1; capture <= CAPTURES; capture += 1)
      for (const [i, vm] of VMS.entries()) {
        const path = join(folder.path, `image-${capture}`);
        writeFileSync(path, memoryOf(i, capture));
        await recordImages(
          ledger,
          { vm, group: null },
          { files: [path], format: 'raw', timeMs: null },
          () => undefined,
        );
      }
  }, LONG_MS);
  afterAll(async () => {
    await ledger.close();
    await folder.remove();
  });

  test(
    'are found where they stood and as long as they did',
    async () => {
      const random = seededRandom(77);
      const cuts = Array.from({ length: 12 }, () => {
        const length = 2 + random(40);
        const memory = memoryOf(random(2), 1 + random(CAPTURES));
        const at = (1 + random(20)) * PAGE_BYTES - random(length + 4);
        return memory.subarray(at, at + length);
      });
      const words = [
        'a stone in a shoe',
        'across the border',
        'now and then',
        'only once',
        'at the very end',
        'needle!needle!',
        'dle!ne',
        'nowhere',
      ].map((word) => Buffer.from(word));
      const hex = ['ff'.repeat(4090), 'ffff00', '02000000', '00ff'].map((each) =>
        Buffer.from(each, 'hex'),
      );
      const page = memoryOf(0, 1).subarray(100, 100 + PAGE_BYTES);
      for (const bytes of [...cuts, ...words, ...hex, page])
        expect(await found(bytes)).toEqual(ordered(lookedUp(bytes)));
    },
    LONG_MS,
  );

  test('are found in one VM, and between two points', async () => {
    const bytes = Buffer.from('now and then');
    const all = ordered(lookedUp(bytes));
    const ofA = all.filter(({ vm }) => vm === 'a');
    expect(ofA.map(({ from, to }) => [from, to])).toEqual([
      [2, 3],
      [4, 5],
    ]);
    expect(await found(bytes, { vm: 'a' })).toEqual(ofA);
    expect(await found(bytes, { vm: 'a', to: '@3' })).toEqual(ofA.slice(0, 1));
    expect(await found(bytes, { vm: 'a', from: '@3' })).toEqual(ofA.slice(1));
    expect(await found(bytes, { vm: 'a', from: '@3', to: '@3' })).toEqual([]);
    expect(await found(bytes, { from: 'latest' })).toEqual([]);
    const position = ledger.vm('b').capture(4)!.position;
    expect(await found(bytes, { from: `pos:${position}` })).toEqual(
      all.filter(({ from }) => from === 4),
    );
  });

  test(
    'that only forgotten captures had are not found once these are given back, which is said',
    async () => {
      const once = Buffer.from('only once');
      await forgetPoints(ledger, { vm: 'a', at: ['@3'] });
      expect(await found(once)).toEqual(ordered(lookedUp(once)));
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect((await found(once)).map(({ vm }) => vm)).toEqual(['b']);
      const stone = Buffer.from('a stone in a shoe');
      const { gone, lost } = await findBytes(ledger, {
        bytes: stone,
        vm: null,
        from: null,
        to: null,
      });
      expect([gone > 0, lost]).toEqual([true, 0]);

      const commands = new LedgerCommands(url);
      const said = await commands.run([
        '--json',
        'find',
        '--text',
        'across the border',
        '--vm',
        'a',
      ]);
      expect(said.stderr).toContain(`${gone} distinct pages of forgotten captures are no longer`);
      const [row, ...others] = said.stdout.toString('utf8').trimEnd().split('\n');
      expect(others).toEqual([]);
      const times = await commands.json('captures', '--vm', 'a');
      expect(JSON.parse(row!) as JsonRow).toEqual({
        vm: 'a',
        gfn: 7,
        offset: 4089,
        from: 2,
        to: null,
        fromTime: times.find(({ capture }) => capture === 2)!['time'],
        toTime: null,
      });
      const stones = await commands.json('find', '--text', 'now and then');
      expect(stones.length).toBeGreaterThan(2);
      const newest = stones.toReversed().slice(0, 2);
      expect(
        await commands.json('find', '--text', 'now and then', '--last', '2', '--reverse'),
      ).toEqual(newest);
      const late = await commands.run(['find', '--text', 'now and then', '--since', '9999-01-01']);
      expect(late.stderr).toContain('these bytes came nowhere since then');
      const table = await commands.run(['find', '--hex', '666f6f']);
      expect(table.stderr).toContain('these bytes are nowhere');
      for (const [words, why] of [
        [['--hex', '00000000'], /zeros are everywhere/u],
        [['--file', folder.path], /cannot be read/u],
        [['--file', join(folder.path, 'image-1')], /4097 bytes, more than a page/u],
        [['--text', 'x', '--from', '@2'], /no VM is meant here/u],
      ] as const) {
        const outcome = await commands.run(['find', ...words]);
        expect(outcome.exitCode).toBeGreaterThan(0);
        expect(outcome.stderr).toMatch(why);
      }
    },
    LONG_MS,
  );
});
