// A real guest's memory in the files that QEMU writes of it: each holds what the guest had when it stood
// still.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startGuest, type DemoGuest } from '../../adapters/guests/demo-guest/start-guest.ts';
import { connectQmp } from '../../adapters/guests/qemu/qmp-client.ts';
import { PAGE_BYTES, recordImages, restoreToFile } from '../../index.ts';
import { pagesThatDiffer } from '../support/guest/images.ts';
import { DumpOpener } from '../support/guest/opened-dump.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../support/guest/real-guest.ts';
import { dumpedMemory, tickingGuest, ticksOf } from '../support/guest/watched-guest.ts';
import { IS_LONG } from '../support/long-run.ts';
import { valueOf } from '../support/outcomes.ts';
import { withLedger } from '../support/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const MEMORY_MIB = 96;
const MEMORY_BYTES = MEMORY_MIB * 2 ** 20;
/** Where video memory is seen instead of RAM. */
const VIDEO = { from: 0xa0, to: 0xc0 };
const SPECIFICATION = { seed: 3, memoryMib: MEMORY_MIB, tickMs: 50 };
const SNAPSHOTS = IS_LONG ? 8 : 2;

const driveOf = (path: string): readonly string[] => [
  '-drive',
  `if=none,id=disk,format=qcow2,file=${path}`,
];

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
  const path = (name: string): string => join(folder.path, name);

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    opener = new DumpOpener(folder);
    mkdirSync(path('guest'));
    spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', path('disk.qcow2'), '1G']);
    const of = { ...SPECIFICATION, tools, folder: path('guest') };
    guest = await tickingGuest({ ...of, extra: driveOf(path('disk.qcow2')) });
    await told('stop', {});
    memory = await dumped(guest.qmpPath);
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  });

  async function told(command: string, words: Record<string, unknown>): Promise<void> {
    const qmp = await connectQmp({ path: guest.qmpPath });
    await qmp.execute(command, words);
    qmp.close();
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
        await told('human-monitor-command', { 'command-line': `savevm "point ${i}"` });
        taken.push(await dumped(guest.qmpPath));
      }
      expect(await recorded()).toBe(SNAPSHOTS);
      expect(await recorded()).toBe(0);
      await withLedger({ url: path('ledger'), mode: 'read' }, async (ledger) => {
        const entry = ledger.vm('web');
        expect([...entry.points.names.keys()]).toEqual(taken.map((_, i) => `point-${i + 1}`));
        const times = entry.captures.map(({ timeMs }) => timeMs);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        for (const [i, expected] of taken.entries()) {
          const row = ledger.resolve(entry, `cp:point-${i + 1}`);
          const to = { path: path('restored'), format: 'raw', isForced: true } as const;
          await restoreToFile(ledger, { entry, row }, to);
          expect(differing(readFileSync(to.path), expected)).toEqual([]);
        }
      });
      // What another QEMU has that goes on from the middle one.
      const middle = SNAPSHOTS / 2;
      await guest.kill();
      const of = { ...SPECIFICATION, tools, folder: path('guest'), name: 'second' };
      const resumed = ['-loadvm', `point ${middle}`, '-S'];
      const second = await valueOf(
        startGuest({ ...of, extra: [...driveOf(path('disk.qcow2')), ...resumed] }),
      );
      expect(differing(await dumped(second.qmpPath), taken[middle - 1]!)).toEqual([]);
      await second.kill();
    },
    limit,
  );
});
