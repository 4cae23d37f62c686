import { expect, test } from '@jest/globals';
import { join } from 'node:path';
import { Guard } from '../../../../adapters/guests/qemu/guard.ts';
import { KeptGuards } from '../../../../adapters/guests/qemu/kept-guards.ts';
import { connectQmp } from '../../../../adapters/guests/qemu/qmp-client.ts';
import { greeting, serveFakeQmp } from '../../../support/guest/fake-qmp.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';

test('of guards that rest, those that rested longest end, and none that was woken', () => {
  const kept = new KeptGuards(2);
  const ended: string[] = [];
  const guardOf = (name: string) => ({ close: () => void ended.push(name) });
  const [a, b, c, d] = [guardOf('a'), guardOf('b'), guardOf('c'), guardOf('d')];
  kept.rest(a);
  kept.rest(b);
  kept.wake(a);
  kept.rest(c);
  expect(ended).toEqual([]);
  kept.rest(a);
  kept.rest(d);
  expect(ended).toEqual(['b', 'c']);
});

test('a guard that was ended is gone at once, so that no capture takes it', async () => {
  const folder = await makeTemporaryFolder();
  const server = await serveFakeQmp(
    join(folder.path, 'qmp.sock'),
    greeting(() => undefined),
  );
  const qmp = await connectQmp({ path: server.path });
  const guard = Guard.start(qmp);
  expect(guard.isGone).toBe(false);
  new KeptGuards(0).rest(guard);
  expect(guard.isGone).toBe(true);
  qmp.close();
  await server.close();
  await folder.remove();
});
