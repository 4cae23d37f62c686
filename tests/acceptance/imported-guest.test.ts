// A real guest's memory as QEMU dumps it, in the formats that are recorded: each is what the guest had
// when it stood still.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../adapters/guests/demo-guest/start-guest.ts';
import { connectQmp } from '../../adapters/guests/qemu/qmp-client.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { pagesThatDiffer } from '../support/guest/images.ts';
import { DumpOpener } from '../support/guest/opened-dump.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../support/guest/real-guest.ts';
import { dumpedMemory, tickingGuest } from '../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const MEMORY_MIB = 128;
const MEMORY_BYTES = MEMORY_MIB * 2 ** 20;
/** Where video memory is seen instead of RAM. */
const VIDEO = { from: 0xa0, to: 0xc0 };

describeWithQemu('a guest that QEMU dumps', await findTools(), (tools) => {
  let folder: TemporaryFolder;
  let guest: DemoGuest;
  let memory: Buffer;
  let opener: DumpOpener;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    opener = new DumpOpener(folder.path);
    mkdirSync(join(folder.path, 'guest'));
    const of = { tools, folder: join(folder.path, 'guest'), seed: 3, memoryMib: MEMORY_MIB };
    guest = await tickingGuest(of);
    await told('stop', {});
    const scratch = join(folder.path, 'pmemsave');
    memory = await dumpedMemory({ qmpPath: guest.qmpPath, memoryBytes: MEMORY_BYTES, scratch });
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

  /** The pages of RAM that are not as they were dumped. */
  const differing = (ram: Buffer): readonly number[] =>
    pagesThatDiffer(ram.subarray(0, MEMORY_BYTES), memory).filter(
      (page) => page < VIDEO.from || page >= VIDEO.to,
    );

  test(
    'an ELF core',
    async () => {
      const path = join(folder.path, 'core');
      await told('dump-guest-memory', { paging: false, protocol: `file:${path}` });
      const { captured, memory: dumped } = await opener.opened(path);
      expect(captured.mode).toBe('core');
      expect(captured.memoryMap.blocks[0]).toEqual({
        name: 'ram',
        pages: MEMORY_BYTES / PAGE_BYTES,
      });
      expect(differing(dumped)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );
});
