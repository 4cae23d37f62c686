// A guest's QEMU that sends what none would, over a real socket: it is told off with a sentence, given
// nothing more, and another guest that is served at the same time has its memory.

import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ArrivingQemu } from '../../../../../adapters/guests/qemu/postcopy/arriving-qemu.ts';
import { connected } from '../../../../../adapters/guests/qemu/starting-qemu.ts';
import {
  PageServer,
  type ServedReader,
} from '../../../../../domain/use-cases/serve/page-server.ts';
import { PAGE_BYTES } from '../../../../../domain/values/page.ts';
import * as said from '../../../../support/guest/returned-bytes.ts';
import { content, pageHolding, queueOf } from '../../../../support/packs/served-pages.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../../support/disks/temporary-folder.ts';

const PAGES = 2048;
const MAP = { blocks: [{ name: 'pc.ram', pages: PAGES }], ranges: [] };
const TABLE = Uint32Array.from({ length: PAGES }, (_, page) => content(page));

/** Both guests' pages come from one reader. */
const reader: ServedReader = {
  blocksRead: 0,
  read: async (holdings, into) => {
    for (let i = 0; i < holdings.length; i += 1)
      into.set(pageHolding(holdings[i]!), i * PAGE_BYTES);
    return into;
  },
  fill: async ({ table }, target) => {
    const room = new Uint8Array(target.file.handle as SharedArrayBuffer);
    for (const [i, holding] of table.entries()) room.set(pageHolding(holding), i * PAGE_BYTES);
  },
};

let folder: TemporaryFolder;
const servers: Server[] = [];
const sockets: Socket[] = [];
beforeEach(async () => {
  folder = await makeTemporaryFolder();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  await folder.remove();
});

/** A guest that is served by its socket; `talk` is its QEMU. */
async function guestOf(name: string, talk: (socket: Socket) => void) {
  const path = join(folder.path, name);
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    talk(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  const guest = new ArrivingQemu({ socket: await connected(path), memoryMap: MAP, path: name });
  const page = new PageServer({ guest, reader, queue: queueOf(TABLE), label: name });
  return { page, served: page.run() };
}

/** A QEMU that asks for one page, takes all, and says that it has it. */
function well(socket: Socket): void {
  let bytes = 0;
  socket.write(said.wanted({ block: 'pc.ram', page: 7 }));
  socket.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > PAGES * PAGE_BYTES) socket.write(said.word(1, 0));
  });
}

const flood = (socket: Socket, message: Uint8Array): void => {
  socket.resume();
  const many = Buffer.concat(Array<Uint8Array>(2_000).fill(message));
  const send = (): void => {
    while (!socket.destroyed && socket.write(many));
  };
  socket.write(said.wanted({ block: 'pc.ram', page: 0 }));
  socket.on('drain', send);
  send();
};

test.each<[string, (socket: Socket) => void, RegExp]>([
  ['rubbish', (socket) => socket.write(Buffer.alloc(5000, 0x47)), /a message of type 18247/u],
  [
    'a range of 1 TiB',
    (socket) => socket.write(said.request({ block: 'pc.ram', offset: 2n ** 40n, bytes: 4096 })),
    /4096 bytes at 1099511627776 of pc.ram/u,
  ],
  [
    'a range of 4 GiB',
    (socket) => socket.write(said.request({ block: 'pc.ram', offset: 0n, bytes: 2 ** 32 - 4096 })),
    /a request for 4294963200 bytes/u,
  ],
  [
    'a block that there is not',
    (socket) => socket.write(said.wanted({ block: 'vga.vram', page: 0 })),
    /the block "vga.vram", which the guest does not have/u,
  ],
  ['that it gave up', (socket) => socket.write(said.word(1, 1)), /gave up with status 1/u],
  [
    'what it has, unasked',
    (socket) => socket.write(said.received({ block: 'pc.ram', pages: PAGES, has: [] })),
    /answered what nobody asked/u,
  ],
  ['requests without end', (socket) => flood(socket, said.wanted({ page: 1 })), /pages in all/u],
  [
    'requests for everything without end',
    (socket) => flood(socket, said.wanted({ page: 0, pages: PAGES })),
    /pages in all/u,
  ],
])('a QEMU that sends %s is told so, and another has its memory', async (_what, talk, sentence) => {
  const hostile = await guestOf('hostile.sock', talk);
  const failed = hostile.served.catch((thrown: unknown) => thrown);
  const good = await guestOf('good.sock', well);
  good.page.push();
  hostile.page.push();
  expect(await failed).toMatchObject({
    code: 'QEMU_FAILED',
    message: expect.stringMatching(sentence),
  });
  expect(await good.served).toBe('finished');
});

test.each<[string, (socket: Socket) => void]>([
  ['at once', (socket) => socket.destroy()],
  [
    'within a message',
    (socket) => socket.end(said.wanted({ block: 'pc.ram', page: 3 }).subarray(0, 9)),
  ],
  ['after it asked', (socket) => socket.end(said.wanted({ block: 'pc.ram', page: 3 }))],
])('a QEMU that closes %s is gone, and another has its memory', async (_when, talk) => {
  const closing = await guestOf('closing.sock', (socket) => {
    socket.resume();
    talk(socket);
  });
  const good = await guestOf('good.sock', well);
  good.page.push();
  expect(await closing.served).toBe('gone');
  expect(await good.served).toBe('finished');
});

test('a QEMU that takes nothing is left when that is said, and holds up no other', async () => {
  const stuck = await guestOf('stuck.sock', (socket) => socket.pause());
  stuck.page.push();
  const good = await guestOf('good.sock', well);
  good.page.push();
  expect(await good.served).toBe('finished');
  await pause(20);
  stuck.page.leave();
  expect(await stuck.served).toBe('left');
});
