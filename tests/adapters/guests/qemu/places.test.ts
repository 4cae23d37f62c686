// Where QEMU and a recorder meet: control over TCP, a monitor that is taken, folders that are not
// there, are full, or are not the ones that QEMU sees.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../../../adapters/guests/demo-guest/tools.ts';
import { connectGuest, type GuestOptions } from '../../../../adapters/guests/qemu/live-guest.ts';
import { connectQmp } from '../../../../adapters/guests/qemu/qmp-client.ts';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import {
  makeTemporaryFolder,
  temporaryFailure,
} from '../../../../adapters/guests/temporary-folder.ts';
import { GUEST_TIMEOUT_MS } from '../../../support/guest/real-guest.ts';
import { BootSectorGuest, type BootSectorOptions } from '../../../support/guest/ticking-guest.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import * as support from '../../../support/disks/temporary-folder.ts';

const QEMU = programPath(QEMU_PROGRAM);

describe('a place for temporary files', () => {
  test('that is not there is said by name, and what to do', () => {
    expect(() => makeTemporaryFolder('pageledger-', '/no/such/place')).toThrow(
      expect.objectContaining({
        code: 'IO_FAILED',
        message: expect.stringMatching(/\/no\/such\/place.*ENOENT.*TMPDIR/u),
      }),
    );
  });

  test('that is full is DISK_FULL and said by name', () => {
    const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    expect(temporaryFailure(full, '/a/place')).toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringMatching(/\/a\/place.*ENOSPC.*make room.*TMPDIR/u),
      facts: { folder: '/a/place', system: 'ENOSPC' },
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

const OWN_TMP = 'mount -t tmpfs none /tmp && exec "$@"';
/** Whether a program can be started here with a /tmp of its own. */
const hasNamespaces =
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/tmp']).status === 0;

(QEMU === null ? describe.skip : describe)('a guest of QEMU', () => {
  let folder: support.TemporaryFolder;
  let guest: BootSectorGuest;
  const spool = new Spool();
  beforeAll(async () => {
    folder = await support.makeTemporaryFolder();
  });
  afterEach(() => guest.kill());
  afterAll(async () => {
    spool.close();
    await folder.remove();
  });

  function start(more: Partial<BootSectorOptions> = {}): void {
    const where = { qemu: QEMU ?? '', folder: folder.path };
    guest = new BootSectorGuest({ ...where, sector: 'tickingLittle', memoryMib: 16, ...more });
  }

  async function isCaptured(options: GuestOptions): Promise<boolean> {
    const live = await valueOf(connectGuest(options));
    const captured = await valueOf(live.capture(spool));
    live.close();
    await guest.ticksOn();
    return captured.wasRunning;
  }

  test(
    'is captured through QMP over TCP',
    async () => {
      const qmp = `tcp:127.0.0.1:${await freePort()}`;
      start({ extra: ['-qmp', `${qmp},server=on,wait=off`] });
      await guest.ticksOn();
      expect(await isCaptured({ qmp })).toBe(true);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'whose monitor somebody else holds is refused, and that is said',
    async () => {
      start();
      await guest.withQmp(async () => {
        const second = connectQmp({ path: guest.qmpPath, connectTimeoutMs: 300 });
        await expect(second).rejects.toMatchObject({
          code: 'QMP_UNREACHABLE',
          message: expect.stringMatching(/another program holds it.*second -qmp/u),
        });
      });
      await guest.ticksOn();
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'sends to a folder that was asked for, and leaves nothing there',
    async () => {
      start();
      await guest.ticksOn();
      const socketFolder = join(folder.path, 'sockets');
      mkdirSync(socketFolder);
      expect(await isCaptured({ qmp: guest.qmpPath, socketFolder })).toBe(true);
      expect(readdirSync(socketFolder)).toEqual([]);
      const absent = join(folder.path, 'absent');
      const live = await valueOf(connectGuest({ qmp: guest.qmpPath, socketFolder: absent }));
      const error = await failureOf(live.capture(spool));
      live.close();
      expect([error.code, error.message]).toEqual(['IO_FAILED', expect.stringContaining(absent)]);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'sends over TCP where that is asked for, and nobody else can',
    async () => {
      start();
      await guest.ticksOn();
      expect(await isCaptured({ qmp: guest.qmpPath, stream: 'tcp' })).toBe(true);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'whose process cannot be seen is not asked to send over TCP',
    async () => {
      const qmp = `tcp:127.0.0.1:${await freePort()}`;
      start({ extra: ['-qmp', `${qmp},server=on,wait=off`] });
      await guest.ticksOn();
      const live = await valueOf(connectGuest({ qmp, stream: 'tcp' }));
      const error = await failureOf(live.capture(spool));
      live.close();
      expect([error.code, error.message]).toEqual([
        'QMP_UNREACHABLE',
        expect.stringMatching(/process cannot be seen.*leave --stream tcp out/u),
      ]);
      await guest.ticksOn();
    },
    GUEST_TIMEOUT_MS,
  );

  (hasNamespaces ? describe : describe.skip)('in a mount namespace', () => {
    test(
      'that has a /tmp of its own is captured all the same',
      async () => {
        // Outside of /tmp, so that both see the control socket.
        const shared = await support.makeTemporaryFolder('/var/tmp');
        try {
          start({ folder: shared.path, wrapper: ['unshare', '-m', 'sh', '-c', OWN_TMP, 'sh'] });
          await guest.ticksOn();
          expect(await isCaptured({ qmp: guest.qmpPath })).toBe(true);
          expect(readdirSync(`/proc/${guest.process.pid}/root/tmp`)).toEqual([]);
        } finally {
          await guest.kill();
          await shared.remove();
        }
      },
      GUEST_TIMEOUT_MS,
    );
  });
});
