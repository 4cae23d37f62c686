// A real guest's memory in the files that QEMU writes of it: each holds what the guest had when it stood
// still.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startGuest, type DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { PAGE_BYTES, recordImages, restoreToFile } from '../../../index.ts';
import { pagesThatDiffer } from '../../support/guest/images.ts';
import { DumpOpener } from '../../support/guest/opened-dump.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { withQmp } from '../../support/guest/still-guest.ts';
import { dumpedMemory, tickingGuest, ticksOf } from '../../support/guest/watched-guest.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { valueOf } from '../../support/outcomes.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MEMORY_MIB = 96;
const MEMORY_BYTES = MEMORY_MIB * 2 ** 20;
/** Where video memory is seen instead of RAM. */
const VIDEO = { from: 0xa0, to: 0xc0 };
const SPECIFICATION = { seed: 3, memoryMib: MEMORY_MIB, tickMs: 50 };
const SNAPSHOTS = IS_LONG ? 8 : 2;

/** What qemu-img says of an image. */
interface ToldImage {
  readonly snapshots: readonly {
    readonly name: string;
    readonly 'date-sec': number;
    readonly 'date-nsec': number;
  }[];
}

/** Names and times of an image's snapshots, as qemu-img has them. */
function listedByQemu(path: string): readonly { readonly name: string; readonly timeMs: number }[] {
  const words = ['info', '--force-share', '--output=json', path];
  const { stdout } = spawnSync('qemu-img', words, { encoding: 'utf8' });
  const { snapshots } = JSON.parse(stdout) as ToldImage;
  return snapshots.map((of) => ({
    name: of.name,
    timeMs: of['date-sec'] * 1000 + Math.floor(of['date-nsec'] / 1e6),
  }));
}

/** The pages of RAM that are not as they were. */
const differing = (ram: Buffer, was: Buffer): readonly number[] =>
  pagesThatDiffer(ram.subarray(0, MEMORY_BYTES), was).filter(
    (page) => page < VIDEO.from || page >= VIDEO.to,
  );

describeWithQemu('a guest that QEMU dumps', await findTools(), (tools) => {
  let folder: TemporaryFolder;
  let guest: DemoGuest;
  let memory: Buffer;
  let opener: DumpOpener;
  let drive: readonly string[];
  const path = (name: string): string => join(folder.path, name);

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    opener = new DumpOpener(folder);
    mkdirSync(path('guest'));
    spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', path('disk.qcow2'), '1G']);
    drive = ['-drive', `if=none,id=disk,format=qcow2,file=${path('disk.qcow2')}`];
    const of = { ...SPECIFICATION, tools, folder: path('guest') };
    guest = await tickingGuest({ ...of, extra: drive });
    await told('stop', {});
    memory = await dumped(guest.qmpPath);
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  });

  const told = (command: string, words: Record<string, unknown>): Promise<unknown> =>
    withQmp(guest.qmpPath, (qmp) => qmp.execute(command, words));

  /** Has a guest's QEMU do what a person at its monitor would type; fails by what it says. */
  async function typed({ qmpPath }: DemoGuest, line: string): Promise<void> {
    const words = { 'command-line': line };
    const said = await withQmp(qmpPath, (qmp) => qmp.execute('human-monitor-command', words));
    expect(said).toBe('');
  }

  const dumped = (qmpPath: string): Promise<Buffer> =>
    dumpedMemory({ qmpPath, memoryBytes: MEMORY_BYTES, scratch: path('pmemsave') });

  /** Until it has counted on. */
  async function letRun(): Promise<void> {
    const from = ticksOf(guest.lines()).length;
    await told('cont', {});
    while (ticksOf(guest.lines()).length === from) await sleep(20);
    await told('stop', {});
  }

  /** Records the disk's snapshots; how many captures that gave. */
  const recorded = (): Promise<number> =>
    withLedger({ url: path('ledger'), mode: 'create' }, async (ledger) => {
      let captures = 0;
      const request = { files: [path('disk.qcow2')], timeMs: null, isNew: true };
      await recordImages(ledger, { vm: 'web', group: null }, request, () => void (captures += 1));
      return captures;
    });

  const limit = GUEST_TIMEOUT_MS;

  test(
    'an ELF core',
    async () => {
      await told('dump-guest-memory', { paging: false, protocol: `file:${path('core')}` });
      const { captured, memory: core } = await opener.opened(path('core'));
      expect(captured.mode).toBe('core');
      const pages = MEMORY_BYTES / PAGE_BYTES;
      expect(captured.memoryMap.blocks[0]).toEqual({ name: 'ram', pages });
      expect(differing(core, memory)).toEqual([]);
    },
    limit,
  );

  test(
    'a kdump',
    async () => {
      const words = { paging: false, protocol: `file:${path('kdump')}`, format: 'kdump-zlib' };
      await told('dump-guest-memory', words);
      expect(differing((await opener.opened(path('kdump'))).memory, memory)).toEqual([]);
    },
    limit,
  );

  test(
    'its internal snapshots, as a history',
    async () => {
      const taken: Buffer[] = [];
      for (let i = 1; i <= SNAPSHOTS; i += 1) {
        if (i > 1) await letRun();
        await typed(guest, `savevm "point ${i}"`);
        taken.push(await dumped(guest.qmpPath));
      }
      expect(await recorded()).toBe(SNAPSHOTS);
      expect(await recorded()).toBe(0);
      await withLedger({ url: path('ledger'), mode: 'read' }, async (ledger) => {
        const entry = ledger.vm('web');
        expect([...entry.points.names.keys()]).toEqual(taken.map((_, i) => `point-${i + 1}`));
        const listed = listedByQemu(path('disk.qcow2'));
        expect(listed.map(({ name }) => name)).toEqual(taken.map((_, i) => `point ${i + 1}`));
        expect(entry.captures.map(({ timeMs }) => timeMs)).toEqual(
          listed.map(({ timeMs }) => timeMs),
        );
        for (const [i, expected] of taken.entries()) {
          const row = ledger.resolve(entry, `cp:point-${i + 1}`);
          const to = { path: path('restored'), format: 'raw', isForced: true } as const;
          await restoreToFile(ledger, { entry, row }, to);
          expect(differing(readFileSync(to.path), expected)).toEqual([]);
        }
      });
      // What another QEMU has that goes on from each of them.
      await guest.kill();
      const of = { ...SPECIFICATION, tools, folder: path('guest'), name: 'second' };
      const second = await valueOf(startGuest({ ...of, extra: [...drive, '-S'] }));
      for (const [i, expected] of taken.entries()) {
        await typed(second, `loadvm "point ${i + 1}"`);
        expect(differing(await dumped(second.qmpPath), expected)).toEqual([]);
      }
      await second.kill();
    },
    limit,
  );
});
