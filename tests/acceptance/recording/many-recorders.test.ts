// Many recorders: any number of processes record different VMs into one ledger
// while others read. The log arbitrates and the fold decides: every point is right and every count.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  fingerprint,
  openLedger,
  PAGE_BYTES,
  takeCheckpoint,
  type Ledger,
} from '../../../index.ts';
import { jsonRows, LedgerCommands, type Outcome } from '../../support/command-line.ts';
import {
  distinctPages,
  eventsOf,
  recordFiles,
  recordImage,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { expectRight, inLogOrder, seriesOf } from '../../support/ledgers/recorded-series.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
let folder: TemporaryFolder;
let url: string;
let commands: LedgerCommands;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  commands = new LedgerCommands(url);
});
afterEach(() => folder.remove());

/** Exit code and beginning of what a command said. */
const failure = ({ exitCode, stderr }: Outcome): string => `exit ${exitCode}: ${stderr}`;

/** Reads a VM's newest point as a person or a program would; what was wrong with it, or null. */
async function readLatest(vm: string, series: readonly Uint8Array[]): Promise<string | null> {
  const captured = await commands.run(['--json', 'captures', '--vm', vm]);
  if (captured.exitCode !== 0)
    return captured.stderr.includes('no VM') ? null : `captures: ${failure(captured)}`;
  const capture = jsonRows(captured.stdout).length;
  const words = ['restore', '--vm', vm, '--at', `@${capture}`, '--to', '-'];
  const back = await commands.run(words);
  if (back.exitCode !== 0) return `restore: ${failure(back)}`;
  return back.stdout.equals(series[capture - 1]!) ? null : `${vm}@${capture} is not as recorded`;
}

/** Reads all the time until it is told to stop; gives everything that was wrong. */
async function readUntil(isDone: () => boolean, images: ReadonlyMap<string, Uint8Array[]>) {
  const wrong: string[] = [];
  let isThere = false;
  while (!isDone()) {
    const listed = await commands.run(['--json', 'vms']);
    const isAbsent = /NOT_FOUND|NOT_A_LEDGER/u.test(listed.stderr) && !isThere;
    // Until one of the recorders has created it, there is no ledger.
    if (isAbsent) continue;
    isThere = true;
    if (listed.exitCode !== 0) wrong.push(`vms: ${failure(listed)}`);
    for (const [vm, series] of images) {
      const found = await readLatest(vm, series);
      if (found !== null) wrong.push(found);
    }
    const rows = await commands.json('log');
    const positions = rows.map(({ position }) => Number(position));
    const isOrdered = positions.every((position, i) => i === 0 || position >= positions[i - 1]!);
    if (!isOrdered) wrong.push('the log is out of order');
  }
  return { wrong, isThere };
}

describe('two processes that record two VMs with common content', () => {
  const images = new Map([
    ['red', seriesOf(1, 5)],
    ['green', seriesOf(2, 5)],
  ]);

  test(
    'into a ledger that both create, while a third reads: every point and count right',
    async () => {
      const recorders = [...images].map(([vm, series]) => {
        const files = writeImages({ folder: folder.path, name: vm, images: series });
        return commands.start(['--json', 'record', 'image', '--vm', vm, ...files]);
      });
      let isDone = false;
      const reading = readUntil(() => isDone, images);
      const outcomes = await Promise.all(recorders.map(({ ended }) => ended));
      isDone = true;
      expect(outcomes.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual([
        [0, ''],
        [0, ''],
      ]);
      expect(await reading).toEqual({ wrong: [], isThere: true });
      const [left] = readdirSync(folder.path).filter((name) => name.startsWith('.'));
      expect(left).toBeUndefined();
      const seen = await withLedger({ url, mode: 'read' }, async (ledger) => {
        await expectRight(ledger, { images, folder: folder.path });
        return fingerprint(ledger);
      });
      rmSync(join(url, 'projections'), { recursive: true });
      await withLedger({ url, mode: 'read' }, async (ledger) => {
        expect(await fingerprint(ledger)).toBe(seen);
        await expectRight(ledger, { images, folder: folder.path });
      });
      const alone = join(folder.path, 'alone');
      await withLedger({ url: alone, mode: 'create' }, async (ledger) => {
        for (const vm of ['green', 'red']) {
          const files = images.get(vm)!.map((_, i) => join(folder.path, `${vm}-${i + 1}.raw`));
          await recordFiles(ledger, { vm, files });
        }
        expect(await fingerprint(ledger)).toBe(seen);
      });
    },
    LONG_MS,
  );
});

describe('two recorders that do not see each other', () => {
  const image = distinctPages({ pages: 50, seed: 1 });
  const changed = Buffer.from(image).fill('changed', 0, 2 * PAGE_BYTES);
  const other = Buffer.from(image).fill('otherwise', 0, 2 * PAGE_BYTES);

  /** Records both at once: each decides before the other has committed. */
  async function together(
    ledgers: readonly [Ledger, Ledger],
    contents: readonly [Uint8Array, Uint8Array],
  ): Promise<void> {
    await Promise.all(
      ['red', 'green'].map((vm, i) =>
        recordImage(ledgers[i]!, { vm, image: contents[i]!, folder: folder.path }),
      ),
    );
  }

  test(
    'store the same content, and the fold makes the later one a merge',
    async () => {
      const red = await openLedger({ url, mode: 'create', threads: 0 });
      const green = await openLedger({ url, mode: 'create', threads: 0 });
      try {
        // One after the other: the group is in the ledger before the race that is meant here.
        await red.openGroup('default');
        await green.state.catchUp({ heavy: true });
        await together([red, green], [image, image]);
        await together([red, green], [changed, other]);
      } finally {
        await red.close();
        await green.close();
      }
      const images = new Map([
        ['red', [image, changed]],
        ['green', [image, other]],
      ]);
      await withLedger({ url, mode: 'read' }, async (ledger) => {
        const committed = await eventsOf(ledger, { type: 'CaptureCommitted' });
        // Or the race did not happen, and this test would show nothing.
        expect(committed.slice(0, 2).map(({ facts }) => facts['stored'])).toEqual([50, 50]);
        await expectRight(ledger, { images, folder: folder.path });
        const [first, second] = inLogOrder(ledger).map(({ vm }) => vm);
        expect(ledger.vm(second!).capture(1)).toMatchObject({ stored: 0, merged: 50 });
        const vmsOf = async (type: string, isExpanded: boolean, capture: number) => {
          const rows = await eventsOf(ledger, { type, isExpanded });
          return new Set(rows.filter((row) => row.capture === capture).map(({ vm }) => vm));
        };
        for (const isExpanded of [false, true]) {
          expect(await vmsOf('PageStored', isExpanded, 1)).toEqual(new Set([first]));
          expect(await vmsOf('PageMerged', isExpanded, 1)).toEqual(new Set([second]));
          // Both believed that the other held the content still: only the first was right.
          const [breaking] = inLogOrder(ledger).filter(({ capture }) => capture === 2);
          expect(await vmsOf('SharingBroken', isExpanded, 2)).toEqual(new Set([breaking!.vm]));
        }
        const merges = await eventsOf(ledger, { isExpanded: true, type: 'PageMerged' });
        for (const { facts } of merges)
          expect(facts).toMatchObject({ scope: 'inter', holder: { vm: first, capture: 1 } });
      });
      rmSync(join(url, 'projections'), { recursive: true });
      await withLedger({ url, mode: 'read' }, (ledger) =>
        expectRight(ledger, { images, folder: folder.path }),
      );
    },
    LONG_MS,
  );
});

describe('a second recorder of a VM', () => {
  const [first, second, third] = [1, 2, 3].map((seed) => distinctPages({ pages: 30, seed }));

  test(
    'is refused with the process that records it, which goes on unharmed',
    async () => {
      const [path] = writeImages({ folder: folder.path, name: 'image', images: [first!] });
      const recorder = commands.start(['--json', 'record', 'image', '--vm', 'vm', path!, '-'], {
        stdin: 'open',
      });
      await recorder.until(({ stdout }) => stdout.includes('\n'));
      const refused = await commands.run(['record', 'image', '--vm', 'vm', path!]);
      expect(refused.exitCode).toBe(4);
      expect(refused.stderr).toContain('VM_BUSY');
      expect(refused.stderr).toContain(`process ${recorder.pid}`);
      const elsewhere = await commands.run(['record', 'image', '--vm', 'another', path!]);
      expect([elsewhere.exitCode, elsewhere.stderr]).toEqual([0, '']);
      recorder.endInput(second!);
      expect((await recorder.ended).exitCode).toBe(0);
      const later = await commands.run(['record', 'image', '--vm', 'vm', '-'], { stdin: third! });
      expect(later.exitCode).toBe(0);
      await withLedger({ url, mode: 'read' }, (ledger) =>
        expectRight(ledger, {
          images: new Map([
            ['vm', [first!, second!, third!]],
            ['another', [first!]],
          ]),
          folder: folder.path,
        }),
      );
    },
    LONG_MS,
  );

  test(
    'is let in once the first was killed, and finds only what was committed',
    async () => {
      const [path] = writeImages({ folder: folder.path, name: 'image', images: [first!] });
      const recorder = commands.start(['--json', 'record', 'image', '--vm', 'vm', path!, '-'], {
        stdin: 'open',
      });
      await recorder.until(({ stdout }) => stdout.includes('\n'));
      recorder.signal('SIGKILL');
      expect((await recorder.ended).signal).toBe('SIGKILL');
      const [row] = await commands.json('record', 'image', '--vm', 'vm', path!);
      expect(row).toMatchObject({ capture: 2, written: 0 });
    },
    LONG_MS,
  );
});

test(
  'points are named, and VMs retired, while others record',
  async () => {
    const [first, second] = [1, 2].map((seed) => distinctPages({ pages: 30, seed }));
    const [path] = writeImages({ folder: folder.path, name: 'image', images: [first!] });
    await commands.json('record', 'image', '--vm', 'old', path!);
    const recorder = commands.start(['--json', 'record', 'image', '--vm', 'vm', path!, '-'], {
      stdin: 'open',
    });
    await recorder.until(({ stdout }) => stdout.includes('\n'));
    await commands.json('checkpoint', '--vm', 'vm', '--name', 'middle', '--at', '@1');
    await commands.json('retire', '--vm', 'old');
    await withLedger({ url, mode: 'write' }, (ledger) =>
      takeCheckpoint(ledger, { vm: 'vm', name: 'again', capture: 1 }),
    );
    recorder.endInput(second!);
    expect((await recorder.ended).exitCode).toBe(0);
    const names = (await commands.json('checkpoints', '--vm', 'vm')).map(({ name }) => name);
    expect(names).toEqual(['middle', 'again']);
    const back = await commands.bytes('restore', '--vm', 'vm', '--at', 'cp:middle', '--to', '-');
    expect(back.equals(first!)).toBe(true);
    const latest = await commands.bytes('restore', '--vm', 'vm', '--to', '-');
    expect(latest.equals(second!)).toBe(true);
  },
  LONG_MS,
);
