import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import * as t from 'io-ts';
import {
  consoleLine,
  guestCommand,
  guestPaths,
  startGuest,
} from '../../../../adapters/guests/demo-guest/start-guest.ts';
import type { DemoGuest } from '../../../../adapters/guests/demo-guest/start-guest.ts';
import { TICK_LINE } from '../../../support/guest/watched-guest.ts';
import { connectGuest } from '../../../../adapters/guests/qemu/live-guest.ts';
import type { LiveCapture } from '../../../../adapters/guests/qemu/live-capture.ts';
import { connectQmp } from '../../../../adapters/guests/qemu/qmp-client.ts';
import type { QmpClient } from '../../../../adapters/guests/qemu/qmp-client.ts';
import { resumeGuest } from '../../../../adapters/guests/qemu/resume-guest.ts';
import type { ResumedGuest } from '../../../../adapters/guests/qemu/resume-guest.ts';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import { killGuards } from '../../../support/guest/guards.ts';
import { restoreTo } from '../../../support/guest/written-streams.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { mainPagesOf } from '../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { bytesOfImage, pagesThatDiffer } from '../../../support/guest/images.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
} from '../../../support/guest/real-guest.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../../support/long-run.ts';
import { testLong } from '../../../support/test-long.ts';

const found = await findTools();
const Capabilities = t.array(t.type({ capability: t.string, state: t.boolean }));
const Parameters = t.type({ 'max-bandwidth': t.number, 'downtime-limit': t.number });
const Status = t.type({ status: t.string });

const tickOf = (line: string): number => Number(TICK_LINE.exec(line)?.[1]);
const tick = (n: number): RegExp => new RegExp(`^T n=${n} `, 'u');
const TICK_MS = 1000;
/** How long a test beside this one may have a folder. */
const LEFT_MS = 120_000;
const ourFolders = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('pageledger-') && name.length === 17);

/** Folders beyond those that stay: what another test beside this one has goes once that is over. */
async function leftBehind(before: readonly string[]): Promise<readonly string[]> {
  let left = ourFolders().filter((name) => !before.includes(name));
  for (const end = performance.now() + LEFT_MS; left.length > 0 && performance.now() < end;) {
    await sleep(500);
    left = left.filter((name) => existsSync(join(tmpdir(), name)));
  }
  return left;
}

/** Takes so many pages and then fails as a full disk does. */
class FullSpool extends Spool {
  #left = 2000;
  override write(page: number, source: Uint8Array, offset: number): void {
    if (this.#left-- === 0) throw new LedgerError('DISK_FULL', 'the disk is full');
    super.write(page, source, offset);
  }
}

/** Kills the guard after so many pages, and then fails itself or does not. */
class GuardlessSpool extends Spool {
  readonly #isFull: boolean;
  #left = 2000;
  constructor(isFull = false) {
    super();
    this.#isFull = isFull;
  }
  override write(page: number, source: Uint8Array, offset: number): void {
    this.#left--;
    if (this.#left === 1000) killGuards(process.pid);
    if (this.#left === 0 && this.#isFull) throw new LedgerError('DISK_FULL', 'the disk is full');
    super.write(page, source, offset);
  }
}

describeWithQemu('a live guest', found, (tools) => {
  let folder: TemporaryFolder;
  let guest: DemoGuest;
  const spool = new Spool();
  const resumed: ResumedGuest[] = [];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    // It runs all along, and between two ticks it takes nothing of the processors.
    const specification = { tools, folder: folder.path, seed: 11, memoryMib: 128, tickMs: TICK_MS };
    guest = await valueOf(startGuest(specification));
    await guest.waitForLine(tick(1), { timeoutMs: GUEST_TIMEOUT_MS });
  }, GUEST_TIMEOUT_MS);
  afterEach(() => {
    for (const { process: child } of resumed.splice(0)) child.kill('SIGKILL');
  });
  afterAll(async () => {
    spool.close();
    await guest.kill();
    await folder.remove();
  });

  async function withQmp<A>(work: (qmp: QmpClient) => Promise<A>): Promise<A> {
    const qmp = await connectQmp({ path: guest.qmpPath });
    try {
      return await work(qmp);
    } finally {
      qmp.close();
    }
  }
  const runState = (): Promise<string> =>
    withQmp(async (qmp) => (await qmp.ask('query-status', Status)).status);
  const settings = (): Promise<unknown> =>
    withQmp(async (qmp) => [
      await qmp.ask('query-migrate-capabilities', Capabilities),
      Parameters.encode(await qmp.ask('query-migrate-parameters', Parameters)),
    ]);

  async function capture(
    mode: 'auto' | 'background' | 'migrate',
    into: Spool = spool,
  ): Promise<LiveCapture> {
    const live = await valueOf(connectGuest({ qmp: guest.qmpPath, mode }));
    try {
      return await valueOf(live.capture(into));
    } finally {
      live.close();
    }
  }

  async function resume(
    name: string,
    from: LiveCapture,
    extra: readonly string[] = [],
  ): Promise<ResumedGuest> {
    const command = guestCommand({ tools, folder: folder.path, memoryMib: 128, name, extra });
    const guestNow = await valueOf(
      resumeGuest({
        command,
        restore: (to) => restoreTo(to, from),
      }),
    );
    resumed.push(guestNow);
    return guestNow;
  }

  testLong.each(['auto', 'migrate'] as const)(
    'captured (%s) goes on, and so does a new QEMU from there, with the same lines',
    async (mode) => {
      const before = ourFolders();
      const captured = await capture(mode);
      expect(captured).toMatchObject({ machine: expect.stringContaining('pc-'), wasRunning: true });
      expect(captured.runState).toBe('running');
      expect(captured.pauseMs).toBeGreaterThan(0);
      expect(captured.memoryMap.blocks[0]).toEqual({ name: 'pc.ram', pages: 128 * 256 });
      expect(captured.memoryMap.ranges[0]).toMatchObject({ address: 0, block: 'pc.ram' });
      const { runState: now } = await resume(`after-${mode}`, captured);
      expect(now).toBe('running');
      const { serialPath } = guestPaths({ folder: folder.path, name: `after-${mode}` });
      const first = await consoleLine({ serialPath, pattern: TICK_LINE });
      const later = tick(tickOf(first) + 3);
      const [there, here] = await Promise.all([
        consoleLine({ serialPath, pattern: later }),
        guest.waitForLine(later),
      ]);
      expect(there).toBe(here);
      expect(guest.lines()).toContain(first);
      expect(await leftBehind(before)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'captured and put back has the same memory, page for page',
    async () => {
      const captured = await capture('auto');
      const name = 'stopped';
      const { runState: now } = await resume(name, captured, ['-S']);
      expect(now).toBe('paused');
      const path = join(folder.path, 'memory');
      const qmp = await connectQmp({ path: guestPaths({ folder: folder.path, name }).qmpPath });
      const size = mainPagesOf(captured.memoryMap) * PAGE_BYTES;
      await qmp.execute('pmemsave', { val: 0, size, filename: path });
      qmp.close();
      const expected = bytesOfImage(captured.image).subarray(0, size);
      expect(pagesThatDiffer(readFileSync(path), expected)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'that was paused stays paused, and comes back paused',
    async () => {
      await withQmp((qmp) => qmp.execute('stop'));
      try {
        const live = await valueOf(connectGuest({ qmp: guest.qmpPath }));
        const captured = await valueOf(live.capture(spool));
        expect(captured).toMatchObject({ mode: 'migrate', pauseMs: 0, wasRunning: false });
        expect(captured.runState).toBe('paused');
        const again = await valueOf(live.capture(spool));
        expect(again.image).toBe(captured.image);
        const elsewhere = new Spool();
        expect((await failureOf(live.capture(elsewhere))).code).toBe('QMP_REFUSED');
        elsewhere.close();
        live.close();
        expect(await runState()).not.toBe('running');
        const { runState: now } = await resume('paused', captured);
        expect(now).toBe('paused');
      } finally {
        await withQmp((qmp) => qmp.execute('cont'));
      }
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'has its migration settings back after every capture, also after one that failed',
    async () => {
      await withQmp(async (qmp) => {
        const capabilities = [{ capability: 'xbzrle', state: true }];
        await qmp.execute('migrate-set-capabilities', { capabilities });
        await qmp.execute('migrate-set-parameters', { 'downtime-limit': 123 });
      });
      const before = await settings();
      await capture('background');
      expect(await settings()).toEqual(before);
      await capture('migrate');
      expect(await settings()).toEqual(before);
      for (const mode of ['background', 'migrate'] as const) {
        const full = new FullSpool();
        await expect(capture(mode, full)).rejects.toMatchObject({ code: 'DISK_FULL' });
        expect(await settings()).toEqual(before);
        expect(await runState()).toBe('running');
        full.close();
      }
      expect((await capture('background')).mode).toBe('background');
      await withQmp((qmp) =>
        qmp.execute('migrate-set-capabilities', {
          capabilities: [{ capability: 'xbzrle', state: false }],
        }),
      );
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(sampleOf(['background', 'migrate'] as const, 2))(
    'is captured (%s) to the end without its guard, and brought to it where the disk is full too',
    async (mode) => {
      const before = await settings();
      const alone = new GuardlessSpool();
      expect(await capture(mode, alone)).toMatchObject({ mode, isGuarded: false });
      alone.close();
      expect([await runState(), await settings()]).toEqual(['running', before]);
      const full = new GuardlessSpool(true);
      await expect(capture(mode, full)).rejects.toMatchObject({
        code: 'DISK_FULL',
        message: expect.stringContaining('this program brought the guest back'),
      });
      full.close();
      expect([await runState(), await settings()]).toEqual(['running', before]);
      expect(await capture(mode)).toMatchObject({ mode, isGuarded: true });
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'that somebody else migrates is left alone',
    async () => {
      await withQmp(async (qmp) => {
        await qmp.execute('migrate-set-parameters', { 'max-bandwidth': 1024 * 1024 });
        await qmp.execute('migrate', { uri: 'exec:cat > /dev/null' });
        // What is still being set up cannot be cancelled for good.
        while ((await qmp.ask('query-migrate', Status)).status === 'setup') await sleep(20);
      });
      const live = await valueOf(connectGuest({ qmp: guest.qmpPath }));
      const error = await failureOf(live.capture(spool));
      live.close();
      expect(error.code).toBe('QMP_REFUSED');
      expect(error.message).toContain('already under way');
      await withQmp(async (qmp) => {
        expect(await qmp.ask('query-migrate', Status)).toMatchObject({ status: 'active' });
        await qmp.execute('migrate_cancel');
      });
      await capture('migrate');
    },
    GUEST_TIMEOUT_MS,
  );

  test('tells its command line and that it has no disk', async () => {
    const live = await valueOf(connectGuest({ qmp: guest.qmpPath }));
    expect(await live.commandLine()).toEqual({ argv: guest.argv });
    expect(await valueOf(live.writableDisks())).toEqual([]);
    live.close();
  });

  testLong(
    'put back into a machine of another size is QEMU_FAILED in the words of QEMU',
    async () => {
      const captured = await capture('auto');
      const command = guestCommand({ tools, folder: folder.path, memoryMib: 64, name: 'small' });
      const error = await failureOf(
        resumeGuest({
          command,
          restore: (to) => restoreTo(to, captured),
        }),
      );
      expect(error.code).toBe('QEMU_FAILED');
      expect(error.message).toMatch(/mismatch/u);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'that dies while it is captured is QMP_LOST, and nothing is left behind',
    async () => {
      const before = ourFolders();
      const live = await valueOf(connectGuest({ qmp: guest.qmpPath, mode: 'background' }));
      class Killer extends Spool {
        #left = 1000;
        override write(page: number, source: Uint8Array, offset: number): void {
          if (this.#left-- === 0) process.kill(guest.pid, 'SIGKILL');
          super.write(page, source, offset);
        }
      }
      const killer = new Killer();
      const error = await failureOf(live.capture(killer));
      killer.close();
      expect(error.code).toBe('QMP_LOST');
      expect(await leftBehind(before)).toEqual([]);
      expect(existsSync(`/proc/${guest.pid}/fd/0`)).toBe(false);
    },
    GUEST_TIMEOUT_MS,
  );
});
