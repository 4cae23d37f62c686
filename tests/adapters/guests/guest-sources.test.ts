// The contract of sources on images, streams, guests in memory and live guests.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { memorySource } from '../../support/guest/memory-guest.ts';
import { LIVE_GUESTS } from '../../../adapters/guests/sources.ts';
import { openImage } from '../../support/guest/open-image.ts';
import { guestSourceContract } from '../../contracts/guest-source.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import * as stream from '../../support/guest/stream-bytes.ts';
import { BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import { valueOf } from '../../support/outcomes.ts';
import { makeTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const clock = (): number => 1_790_000_000_000;
const pages = stream.bytesOf(stream.pageOf(1), stream.pageOf(0), stream.pageOf(3));
const guest = stream.bytesOf(
  stream.head(),
  stream.start([{ name: 'pc.ram', pages: 3 }]),
  stream.end(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.page(2, stream.pageOf(3))),
  stream.tail(),
);

describe.each([
  ['a raw image', pages],
  ['a stream in a file', guest],
])('%s as a source', (_, bytes) => {
  guestSourceContract(async () => {
    const folder = await makeTemporaryFolder();
    const path = join(folder.path, 'guest');
    writeFileSync(path, bytes);
    const source = await valueOf(openImage({ path, timeMs: null, clock, folder: folder.path }));
    return { source, pages, close: () => folder.remove() };
  });
});

describe('a guest in memory as a source', () => {
  guestSourceContract(async () => ({
    source: memorySource({
      pages,
      memoryMap: { blocks: [{ name: 'pc.ram', pages: 3 }], ranges: [] },
      device: { head: stream.head(), ...stream.devices() },
      argv: null,
      timeMs: clock(),
      pauseMs: null,
      mode: 'stream',
      source: 'memory',
    }),
    pages,
    close: () => Promise.resolve(),
  }));
});

describeWithQemu('a live guest as a source', await findTools(), (tools) => {
  guestSourceContract(async () => {
    const folder = await makeTemporaryFolder();
    const where = { qemu: tools.qemu, folder: folder.path };
    const live = new BootSectorGuest({ ...where, sector: 'tickingLittle', memoryMib: 16 });
    await live.ticksOn();
    const qmp = { qmp: live.qmpPath, clock, folder: folder.path };
    return {
      source: await valueOf(LIVE_GUESTS.qmp(qmp)),
      pages: null,
      close: async () => {
        await live.kill();
        await folder.remove();
      },
    };
  }, GUEST_TIMEOUT_MS);
});
