// Dumps that makedumpfile leaves pages out of, of a real guest: what they have is as it was, and what they
// have not is unknown.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import { UNTOLD } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../index.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { DumpOpener } from '../../support/guest/opened-dump.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { tickingGuest } from '../../support/guest/watched-guest.ts';
import { sampleOf } from '../../support/long-run.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';

const MAKEDUMPFILE = programPath('makedumpfile');
/** What all tools that look for faults in a system leave out: -d 31. */
const ALL_BUT_KERNEL = 31;

const ZEROS = Buffer.alloc(PAGE_BYTES);
const isZero = (page: Buffer): boolean => page.equals(ZEROS);

describeWithQemu('a guest', await findTools(), (tools) => {
  (MAKEDUMPFILE === null ? describe.skip : describe)('that makedumpfile dumps', () => {
    let folder: TemporaryFolder;
    let guest: DemoGuest;
    let commands: LedgerCommands;
    let opener: DumpOpener;
    let whole: Buffer;
    let core: string;
    const path = (name: string): string => join(folder.path, name);

    function dumped(name: string, ...words: readonly string[]): string {
      const { status, stdout, stderr } = spawnSync(
        MAKEDUMPFILE ?? '',
        [...words, core, path(name)],
        {
          encoding: 'utf8',
        },
      );
      if (status !== 0) throw new Error(stdout + stderr);
      return path(name);
    }

    beforeAll(async () => {
      folder = await makeTemporaryFolder();
      opener = new DumpOpener(folder);
      guest = await tickingGuest({ tools, folder: folder.path, memoryMib: 128 });
      commands = new LedgerCommands(path('ledger'));
      await commands.json(
        'record',
        'qemu',
        '--vm',
        'guest',
        '--qmp',
        guest.qmpPath,
        '--count',
        '1',
      );
      await guest.kill();
      core = path('core');
      await commands.json('restore', '--vm', 'guest', '--format', 'elf', '--to', core);
      await commands.json('record', 'image', '--vm', 'whole', core);
      await commands.json('restore', '--vm', 'whole', '--to', path('whole'));
      whole = readFileSync(path('whole'));
    }, GUEST_TIMEOUT_MS);
    afterAll(() => folder.remove());

    const pageOf = (memory: Buffer, gfn: number): Buffer =>
      memory.subarray(gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);

    /** Holds a dump against the whole memory: the pages that are unknown. */
    async function unknownPages(file: string): Promise<readonly number[]> {
      const { captured, memory } = await opener.opened(file);
      expect(memory.length).toBe(whole.length);
      const untold = captured.untold ?? new Uint8Array(captured.image.pageCount);
      const differing = [];
      const unknown = [];
      for (let gfn = 0; gfn < untold.length; gfn += 1)
        if (untold[gfn] === 1) unknown.push(gfn);
        else if (!pageOf(memory, gfn).equals(pageOf(whole, gfn))) differing.push(gfn);
      expect(differing).toEqual([]);
      return unknown;
    }
    const unknownIn = async (file: string): Promise<number> => (await unknownPages(file)).length;

    testLong(
      'has what a core has that pages were left out of, and knows no other',
      async () => {
        expect(await unknownIn(dumped('all-core', '-E', '-d', '0'))).toBe(0);
        // A core does not say that it leaves out nothing but zeros.
        const zeros = await unknownPages(dumped('zeros-core', '-E', '-d', '1'));
        expect(zeros.filter((gfn) => !isZero(pageOf(whole, gfn)))).toEqual([]);
        const most = dumped('most-core', '-E', '-d', String(ALL_BUT_KERNEL));
        expect(await unknownIn(most)).toBeGreaterThan(zeros.length);
      },
      GUEST_TIMEOUT_MS,
    );

    testLong.each(sampleOf([['-c'], ['-l'], ['-p']], 3))(
      'has each page that a dump written with %s has, and knows no other',
      async (how) => {
        expect(await unknownIn(dumped(`all${how}`, how, '-d', '0'))).toBe(0);
        expect(await unknownIn(dumped(`zeros${how}`, how, '-d', '1'))).toBe(0);
        const most = dumped(`most${how}`, how, '-d', String(ALL_BUT_KERNEL));
        const unknown = await unknownIn(most);
        // More than its zeros: those that are free, or of processes and files.
        const zeros = Array.from({ length: whole.length / PAGE_BYTES }, (_, gfn) =>
          isZero(pageOf(whole, gfn)),
        ).filter(Boolean).length;
        expect(unknown).toBeGreaterThan(zeros / 2);
        expect(unknown).toBeLessThan(whole.length / PAGE_BYTES);
      },
      GUEST_TIMEOUT_MS,
    );

    test(
      'is recorded, asked and given back as far as it is known, and healed by a dump of all',
      async () => {
        const filtered = dumped('filtered', '-c', '-d', String(ALL_BUT_KERNEL));
        const unknown = await unknownIn(filtered);
        const [row] = await commands.json('record', 'image', '--vm', 'web', filtered);
        expect(row!['unknown']).toBe(unknown);
        const sum = ['stored', 'merged', 'pattern', 'unknown'].map((key) => Number(row![key]));
        expect(row!['written']).toBe(sum.reduce((all, pages) => all + pages, 0));
        // All that it tells was in the ledger.
        expect(row!['stored']).toBe(0);

        const [sharing] = await commands.json('sharing', '--vm', 'web');
        expect(sharing!['unknown']).toBe(unknown);
        // Nothing is saved on pages that nobody knows.
        const [known, unique] = [
          Number(sharing!['pages']) - unknown,
          Number(sharing!['uniqueBytes']),
        ];
        expect(sharing!['savedBytes']).toBe(known * PAGE_BYTES - unique);
        const refused = ['restore', '--vm', 'web', '--to', path('refused')];
        expect(await commands.errorOf(...refused)).toEqual([5, 'PAGE_UNKNOWN']);
        const words = ['restore', '--vm', 'web', '--unknown', 'zero', '--to', path('zeros')];
        await commands.json(...words);
        const zeros = readFileSync(path('zeros'));
        const holdings = await withLedger(
          { url: path('ledger'), mode: 'read' },
          async ({ state, ...ledger }) => {
            void ledger;
            const entry = state.catalogue.vms.get('web')!;
            return state.tables.at(entry, state.contents, entry.captures.at(-1)!);
          },
        );
        for (const [gfn, holding] of holdings.entries()) {
          const found = pageOf(zeros, gfn);
          const isSound = holding === UNTOLD ? isZero(found) : found.equals(pageOf(whole, gfn));
          if (!isSound) throw new Error(`page ${gfn} is another`);
        }

        const first = holdings.indexOf(UNTOLD);
        const untold = ['read', '--vm', 'web', '--page', String(first), '--length', '16'];
        expect(await commands.errorOf(...untold)).toEqual([5, 'PAGE_UNKNOWN']);
        const [version] = await commands.json('history', '--vm', 'web', '--page', String(first));
        expect(version).toMatchObject({ outcome: 'unknown', identifier: null, pattern: null });

        // What the kernel keeps of itself is there.
        const tasks = async (vm: string): Promise<unknown> =>
          (await commands.json('ps', '--vm', vm)).map(({ pid, name }) => [pid, name]);
        expect(await tasks('web')).toEqual(await tasks('whole'));

        const { stdout } = await commands.run(['--json', 'diff', 'web/latest', 'whole/latest']);
        expect(jsonRows(stdout).at(-1)).toMatchObject({ differing: 0, unknown });
        expect((await commands.json('verify')).at(-1)).toMatchObject({ damaged: 0 });

        const [later] = await commands.json('record', 'image', '--vm', 'web', core);
        expect(later).toMatchObject({ stored: 0, unknown: 0, written: unknown });
        await commands.json('restore', '--vm', 'web', '--to', path('healed'));
        expect(readFileSync(path('healed')).equals(whole)).toBe(true);
        const [again] = await commands.json('record', 'image', '--vm', 'web', filtered);
        expect(again).toMatchObject({ written: unknown, unknown });
      },
      GUEST_TIMEOUT_MS,
    );
  });
});
