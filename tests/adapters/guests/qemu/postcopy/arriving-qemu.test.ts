// The connection to a guest whose memory arrives, with a QEMU that ends in the middle.

import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ArrivingQemu } from '../../../../../adapters/guests/qemu/postcopy/arriving-qemu.ts';
import { flatMap } from '../../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../../domain/values/page.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../../support/disks/temporary-folder.ts';

const PAGES = 16;
let folder: TemporaryFolder;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

/** Both ends of a connection. */
async function connected(path: string): Promise<readonly [ours: Socket, theirs: Socket]> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve);
  });
  const ours = connect(path);
  await new Promise<void>((resolve) => {
    ours.once('connect', resolve);
  });
  const theirs = await accepted;
  server.close();
  return [ours, theirs];
}

test('a guest that ends while it is given pages has ended before the giving has failed', async () => {
  const path = join(folder.path, 'ends.sock');
  const [ours, theirs] = await connected(path);
  const guest = new ArrivingQemu({ socket: ours, memoryMap: flatMap(PAGES), path });
  const told: string[] = [];
  guest.listen({
    onDemand: () => undefined,
    onEnd: (failure) => told.push(failure === null ? 'ended' : failure.message),
  });
  theirs.destroy();
  const pages = new Uint8Array(PAGE_BYTES).fill(1);
  const outcome = await guest.give({ numbers: [0], pages, zeros: [] }).then(
    () => 'given',
    () => [...told],
  );
  expect(outcome).toEqual(['ended']);
  ours.destroy();
});
