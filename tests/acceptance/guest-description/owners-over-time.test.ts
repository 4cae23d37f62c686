// Who owns the pages that a Linux guest changed, at the command line: of a kernel that was put together,
// and of a real guest in which a program writes to a known number of pages.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  differenceByOwner,
  ownersOf,
  ownersOfVersions,
  processesOf,
  processesSince,
  readStretches,
} from '../../../index.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { madeKernel } from '../../support/guest/made-kernel.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import {
  roundsOf,
  startWriterGuest,
  toldTouched,
  WRITTEN_PAGES,
} from '../../support/guest/writer-guest.ts';
import { makeImage } from '../../support/images.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';

const LONG_MS = 300_000;
const nobody = { pid: null, command: null };

let folder: TemporaryFolder;
let commands: LedgerCommands;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
});
afterAll(() => folder.remove());

describe('a kernel that was put together', () => {
  beforeAll(async () => {
    const made = madeKernel();
    await commands.recordRaw('made', made.bytes);
    // A page of process 7's is written to, and a free one becomes its, mapped behind its others.
    made.text(18, 0x10, 'changed by process 7');
    made.text(22, 0, 'first use');
    made.u64(20, 22 * 64 + 48, 0xffff_ffffn);
    made.u64(20, 22 * 64 + 24, 0xffff_8880_0000_1001n);
    made.entry(16, 6, { frame: 22 });
    await commands.recordRaw('made', made.bytes);
    await commands.recordRaw('boots', makeImage({ seed: 5, pages: 24 }));
    await commands.recordRaw('boots', made.bytes);
  }, LONG_MS);

  test(
    'has owners of the pages that differ, and tells whose they were',
    async () => {
      const rows = await commands.json('diff', '--vm', 'made', '@1', '@2', '--by', 'owner');
      expect(rows).toEqual([
        {
          vm: 'made',
          owner: 'anonymous',
          pid: 7,
          command: 'worker',
          pages: 2,
          before: [{ owner: 'free', ...nobody, pages: 1 }],
        },
        { vm: 'made', owner: 'pageTables', ...nobody, pages: 1, before: [] },
        { vm: 'made', owner: 'kernel', ...nobody, pages: 1, before: [] },
      ]);
      const { stdout } = await commands.run(['diff', '--vm', 'made', '@1', '@2', '--by', 'owner']);
      expect(stdout.toString().split('\n')).toEqual([
        'owner       pid  pages    bytes  command  of another before',
        'anonymous     7      2  8.0 KiB  worker   1 free',
        'pageTables    -      1  4.0 KiB  -        -',
        'kernel        -      1  4.0 KiB  -        -',
        expect.stringMatching(/^4 of 24 pages differ between made@1 .* and made@2 /u),
        '',
      ]);
    },
    LONG_MS,
  );

  test(
    'has processes with as many pages that changed as they have mapped of what differs',
    async () => {
      const since = (point: string) => commands.json('ps', '--vm', 'made', '--since', point);
      const [thread, worker] = await since('@1');
      expect(thread).toMatchObject({ pid: 2, changed: 0 });
      expect(worker).toMatchObject({ pid: 7, changed: 2 });
      expect((await since('@2'))[1]).toMatchObject({ pid: 7, changed: 0 });
      const { stdout } = await commands.run(['ps', '--vm', 'made', '--since', '@1']);
      expect(stdout.toString().split('\n')[2]).toBe('  7  S          5        2  worker');
      const [row] = await commands.json('ps', '--vm', 'made');
      expect(row).not.toHaveProperty('changed');
      // Where there was no kernel yet, everything differs.
      const boots = await commands.json('ps', '--vm', 'boots', '--since', '@1');
      expect(boots[1]).toMatchObject({ pid: 7, changed: 3 });
    },
    LONG_MS,
  );

  test(
    'is asked from a program with the same answers',
    () =>
      withLedger({ url: commands.ledger, mode: 'read' }, async (ledger) => {
        const entry = ledger.vm('made');
        const [a, b] = entry.captures.map((row) => ({ entry, row, kernel: null }));
        const own = { owner: 'anonymous', pid: 7, command: 'worker' };
        expect(await ownersOf(ledger, b!)).toContainEqual({ ...own, pages: 3 });
        const tasks = await processesOf(ledger, b!);
        expect(tasks.map(({ pid }) => pid)).toEqual([2, 7]);
        const since = await processesSince(ledger, { point: b!, since: a! });
        expect(since.map(({ changed }) => changed)).toEqual([0, 2]);
        const { rows, pages } = await differenceByOwner(ledger, { a: a!, b: b! });
        expect([rows[0], pages]).toMatchObject([{ ...own, pages: 2 }, 4]);
        const places = [{ vm: 'made', capture: 1, gfn: 22 }];
        const { owners } = await ownersOfVersions(ledger, { places, kernel: null });
        expect(owners).toMatchObject([{ owner: 'free' }]);
        const place = { virtual: { address: 0x40_5010n, pid: 7 } };
        const read: string[] = [];
        for await (const { bytes } of readStretches(ledger, b!, { place, length: 7 }))
          read.push(Buffer.from(bytes).toString());
        expect(read).toEqual(['changed']);
      }),
    LONG_MS,
  );

  const ownersIn = async (...words: string[]) =>
    (await commands.json(...words)).map(({ owner, pid, command }) => [owner, pid, command]);
  const worker = ['anonymous', 7, 'worker'];

  test(
    'tells of each version of a page, and of who held a content, whose the page was',
    async () => {
      const history = (gfn: string) => ['history', '--vm', 'made', '--page', gfn];
      expect(await ownersIn(...history('22'), '--owners')).toEqual([['free', null, null], worker]);
      expect(await ownersIn(...history('18'), '--owners')).toEqual([worker, worker]);
      const [, second] = await commands.json(...history('18'));
      expect(second).not.toHaveProperty('owner');
      const [table] = await commands.json(...history('7'));
      const who = ['who', '--identifier', String(table!['identifier'])];
      const slab = ['slab', null, null];
      expect(await ownersIn(...who, '--owners')).toEqual([slab, slab]);
      // Before a kernel ran its memory said nothing.
      expect(await ownersIn('history', '--vm', 'boots', '--page', '18', '--owners')).toEqual([
        [null, null, null],
        worker,
      ]);
      const { stdout } = await commands.run([...history('22'), '--owners']);
      expect(stdout.toString()).toMatch(/now {2}owner {6}pid {2}command {2}identifier\n/u);
    },
    LONG_MS,
  );

  test(
    'is told of though there was none before, and not the other way round',
    async () => {
      const words = ['diff', '--vm', 'boots', '@1', '@2', '--by', 'owner'];
      const { stderr, exitCode } = await commands.run(words);
      expect([exitCode, stderr]).toEqual([0, expect.stringContaining('is not known')]);
      const rows = await commands.json(...words);
      const [first] = rows;
      expect(first).toMatchObject({ before: null });
      const differing = await commands.json('diff', '--vm', 'boots', '@1', '@2');
      expect(rows.reduce((sum, { pages }) => sum + Number(pages), 0)).toBe(differing.length);
      const back = ['diff', '--vm', 'boots', '@2', '@1', '--by', 'owner'];
      expect(await commands.errorOf(...back)).toEqual([5, 'GUEST_UNDESCRIBED']);
      expect(await commands.errorOf(...words, '--bytes')).toEqual([2, 'BAD_USAGE']);
    },
    LONG_MS,
  );
});

test(
  'pages of memory that is no Linux, or was forgotten, have no owner that is known, said once',
  async () => {
    for (let capture = 1; capture <= 3; capture += 1)
      await commands.recordRaw('none', makeImage({ seed: capture, pages: 8 }));
    const words = ['history', '--vm', 'none', '--page', '2', '--owners'];
    const { stdout, stderr, exitCode } = await commands.run(['--json', ...words]);
    const rows = stdout.toString().trim().split('\n');
    expect([exitCode, rows.length]).toEqual([0, 3]);
    expect(JSON.parse(rows[2]!)).toMatchObject({ capture: 3, owner: null, ...nobody });
    expect(stderr.match(/not every owner is known/gu)).toHaveLength(1);
    const made = madeKernel();
    await commands.recordRaw('forgetful', made.bytes);
    made.text(18, 0x10, 'changed by process 7');
    await commands.recordRaw('forgetful', made.bytes);
    await commands.json('forget', '--vm', 'forgetful', '--at', '@1');
    const kept = await commands.json('history', '--vm', 'forgetful', '--page', '18', '--owners');
    expect(kept.map(({ owner }) => owner)).toEqual([null, 'anonymous']);
  },
  LONG_MS,
);

test(
  'what is kept of a guest goes with its VM, and nothing of others',
  async () => {
    for (const vm of ['ended', 'ended-2']) {
      await commands.recordRaw(vm, madeKernel().bytes);
      await commands.json('symbols', '--vm', vm, '_stext');
    }
    const kept = (vm: string) => join(folder.path, 'ledger', 'projections', 'guests', vm);
    expect(readdirSync(kept('ended'))).toHaveLength(2);
    await commands.json('drop', '--vm', 'ended');
    expect(readdirSync(kept('ended'))).toEqual([]);
    expect(readdirSync(kept('ended-2'))).toHaveLength(2);
  },
  LONG_MS,
);

const found = await findTools();

describeWithQemu('a guest in which a program writes to a known number of pages', found, (tools) => {
  let told: ReturnType<typeof toldTouched> = null;

  beforeAll(async () => {
    const guest = await startWriterGuest({ tools, folder: folder.path, name: 'writer' });
    const words = ['record', 'qemu', '--vm', 'writer', '--qmp', guest.qmpPath, '--count', '1'];
    try {
      await guest.waitForLine(/^TOUCHED/u, { timeoutMs: GUEST_TIMEOUT_MS });
      for (let capture = 1; capture <= 2; capture += 1) {
        // One round may be under way: the next one is whole.
        const rounds = roundsOf(guest.lines());
        while (roundsOf(guest.lines()) < rounds + 2)
          await new Promise((resolve) => {
            setTimeout(resolve, 100);
          });
        await commands.json(...words);
      }
      told = toldTouched(guest.lines());
    } finally {
      await guest.kill();
    }
  }, GUEST_TIMEOUT_MS);

  const ofWriter = (rows: readonly JsonRow[]): JsonRow =>
    rows.find(({ pid }) => pid === told?.pid) ?? {};

  test(
    'has that program as the owner of the pages that it wrote, at each of their versions',
    async () => {
      const differing = await commands.json('diff', '--vm', 'writer', '@1', '@2');
      const { gfn } = differing.at(-1)!;
      const words = ['history', '--vm', 'writer', '--page', String(gfn), '--owners'];
      const versions = await commands.json(...words);
      const own = { owner: 'anonymous', pid: told?.pid, command: 'writer' };
      expect(versions).toMatchObject([own, own]);
    },
    LONG_MS,
  );

  testLong(
    'is not looked through anew for a kernel that still runs',
    async () => {
      const kept = join(folder.path, 'ledger', 'projections', 'guests');
      rmSync(kept, { recursive: true });
      const processes = async (capture: number, ...words: string[]) =>
        commands.json('ps', '--vm', 'writer', '--at', `@${capture}`, ...words);
      await processes(1);
      const shown = await processes(2);
      const notes = () => readFileSync(join(kept, 'writer', 'notes'), 'latin1');
      expect(notes()).not.toContain('"capture":2,');
      // Chosen by its number all kernels are looked for.
      expect(await processes(2, '--kernel', '1')).toEqual(shown);
      expect(notes()).toContain('"capture":2,');
    },
    LONG_MS,
  );

  test(
    'has that program in its list with as many pages that changed',
    async () => {
      const rows = await commands.json('ps', '--vm', 'writer', '--since', '@1');
      expect(ofWriter(rows)).toMatchObject({ command: 'writer', changed: WRITTEN_PAGES });
    },
    LONG_MS,
  );

  test(
    'has that program named with as many pages that differ as its kernel says it touched',
    async () => {
      expect(told?.pages).toBe(WRITTEN_PAGES);
      const rows = await commands.json('diff', '--vm', 'writer', '@1', '@2', '--by', 'owner');
      expect(ofWriter(rows)).toEqual({
        vm: 'writer',
        owner: 'anonymous',
        pid: told?.pid,
        command: 'writer',
        pages: WRITTEN_PAGES,
        before: [],
      });
    },
    LONG_MS,
  );
});
