// An object store that is killed for half a minute while a guest gets its memory from it, and while a tool
// reads a mounted point of it: both wait, and go on when it is there again. In the long run alone.

import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Exports } from '../../../adapters/faces/nbd/exports.ts';
import { mountExport, unmountFolder } from '../../../adapters/faces/nbd/fuse.ts';
import { serveNbd } from '../../../adapters/faces/nbd/server.ts';
import { uriOf } from '../../../adapters/faces/nbd/uri.ts';
import { guestCommand, guestPaths } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { resumeLazily } from '../../../adapters/wiring/restore/resume.ts';
import { openLedger, recordGuest, type Ledger } from '../../../index.ts';
import { restored } from '../../support/ledgers/recorded-images.ts';
import { findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { firstTicks, sameTicks, tickingGuest } from '../../support/guest/watched-guest.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { whyNoS3 } from '../../support/s3-server/s3-process.ts';
import { startSharedWorld, type SharedWorld } from '../../support/ledgers/shared-world.ts';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';

const AWAY_MS = 30_000;
const GUEST = { seed: 5, memoryMib: 128 };
const LINES = 3;
const found = await findTools();
const isPossible =
  IS_LONG && found.tools !== null && whyNoS3() === null && programPath('nbdfuse') !== null;

(isPossible ? describe : describe.skip)('an object store that is away for half a minute', () => {
  let world: SharedWorld;
  const told: string[] = [];
  const waiting = {
    onAway: ({ code }: { readonly code: string }) => told.push(code),
    onBack: () => told.push('back'),
  };

  /** A host that has no page yet. */
  const open = (host: string, mode: 'create' | 'use'): Promise<Ledger> =>
    openLedger({ ...world.host(host).options, mode, threads: 0, patienceMs: 500 });
  const pointOf = (ledger: Ledger) => {
    const entry = ledger.vm('guest');
    return { entry, row: ledger.resolve(entry, '@2') };
  };

  /** Kills the store, and starts it again; what happened meanwhile is asked for in between. */
  async function outage(meanwhile: () => void): Promise<void> {
    await world.s3.kill();
    await pause(AWAY_MS);
    meanwhile();
    await world.s3.start();
  }

  beforeAll(async () => {
    world = await startSharedWorld('double');
  }, GUEST_TIMEOUT_MS);
  afterAll(() => world.remove(), GUEST_TIMEOUT_MS);

  test(
    'is waited for by a guest and by a mount, which go on as if nothing had been',
    async () => {
      const { folder } = world;
      const tools = found.tools!;
      const guest = await tickingGuest({ tools, folder, ...GUEST });
      const recorder = await open('recorder', 'create');
      const { signal } = new AbortController();
      const request = { qmp: guest.qmpPath, everyMs: 700, count: 2, signal, folder };
      const listener = {
        onCapture: () => undefined,
        onSkip: () => undefined,
        onWarning: () => undefined,
      };
      await recordGuest(recorder, { vm: 'guest', group: null }, request, listener);
      const memory = await restored(recorder, { vm: 'guest', at: '@2', folder });
      await recorder.close();

      const second = { tools, folder, ...GUEST, name: 'second' };
      const host = await open('resumer', 'use');
      const resumed = await resumeLazily(host, pointOf(host), {
        command: guestCommand(second),
        isDiskOk: false,
        isOnDemandOnly: true,
        waiting,
      });
      if (resumed._tag !== 'arriving') throw new TypeError('a guest is resumed lazily here');
      let how: string | null = null;
      const arrived = resumed.arrived.then((end) => (how = end));
      await outage(() => {
        expect([how, told]).toEqual([null, ['STORE_UNREACHABLE']]);
      });
      resumed.push();
      expect(await arrived).toBe('finished');
      expect(told).toEqual(['STORE_UNREACHABLE', 'back']);
      const lines = await firstTicks(guestPaths(second).serialPath, LINES);
      expect((await sameTicks(guest, lines)).lines).toEqual(lines);
      resumed.process.kill('SIGKILL');
      await guest.kill();
      await host.close();

      told.length = 0;
      const reader = await open('reader', 'use');
      const use = { kind: 'mount', restored: { how: 'mount' } } as const;
      const exports = new Exports({ ledger: reader, vm: null, listed: 'named', use, waiting });
      const address = { kind: 'unix', path: join(folder, 'mount.sock') } as const;
      const failures: string[] = [];
      const server = await serveNbd(address, {
        exports,
        onFailure: (message) => failures.push(message),
        onTurnedAway: () => undefined,
      });
      const place = join(folder, 'mounted');
      mkdirSync(place);
      const mounted = await mountExport(place, uriOf(address, 'guest/@2'));
      let isRead = false;
      const away = outage(() => {
        expect([isRead, told]).toEqual([false, ['STORE_UNREACHABLE']]);
      });
      await pause(500);
      const read = promisify(execFile)('sha256sum', [mounted.file]).then(({ stdout }) => {
        isRead = true;
        return stdout.slice(0, 64);
      });
      await away;
      expect(await read).toBe(createHash('sha256').update(memory).digest('hex'));
      expect([told, failures]).toEqual([['STORE_UNREACHABLE', 'back'], []]);
      await unmountFolder(place, 'when free');
      await mounted.ended;
      await server.close();
      await exports.settled();
      await reader.close();
      rmSync(place, { recursive: true });
    },
    2 * GUEST_TIMEOUT_MS,
  );
});
