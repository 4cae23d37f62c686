// A running guest moved from one host's ledger to another's: its console goes on at the target with the
// round after the last that it told at the source, and where the target cannot start it, it runs on.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { moveGuest, type MoveRequest } from '../../../adapters/faces/link/move.ts';
import type { Moved } from '../../../adapters/faces/link/source.ts';
import { drawMigration, migrationOf } from '../../../adapters/wiring/hosts/migrations.ts';
import { runnerOf } from '../../../domain/migrations.ts';
import { openLedger, type Ledger } from '../../../index.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import {
  linkTo,
  siblingOf,
  taking,
  type TakingLedger,
} from '../../support/ledgers/linked-ledgers.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';

const found = await findTools();
const MIB = 128;
const inLongRun = IS_LONG ? describe : describe.skip;

describeWithQemu('a guest that runs', found, ({ qemu }) => {
  let folder: TemporaryFolder;
  let source: Ledger;
  let target: TakingLedger;
  let guest: BootSectorGuest;
  /** QEMUs that the target started. */
  let pids: number[];

  beforeEach(async () => {
    folder = await makeTemporaryFolder();
    pids = [];
    source = await openLedger({ url: join(folder.path, 'one'), mode: 'create', threads: 0 });
    // Makes the group, whose key the other host gets.
    const files = writeImages({
      folder: folder.path,
      name: 'any',
      images: [Buffer.alloc(4096, 3)],
    });
    await recordFiles(source, { vm: 'any', files });
    guest = new BootSectorGuest({ qemu, folder: folder.path, sector: 'ticking', memoryMib: MIB });
    await guest.ticksOn();
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await target.close();
    await target.ledger.close();
    await guest.kill();
    await source.close();
    await folder.remove();
  });

  const console2 = (): string => join(folder.path, 'console-2');
  /** The rounds that a console has told. */
  const roundsOf = (text: string): number[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => Number.parseInt(line.split(' ')[0]!, 16));

  /** Starts the guest's machine as the target does, with words more. */
  async function takeAs(...more: readonly string[]): Promise<void> {
    const machine = ['-machine', 'pc', '-accel', 'tcg', '-m', String(MIB), '-nodefaults'];
    const plain = ['-no-user-config', '-display', 'none', '-serial', `file:${console2()}`];
    const disk = `if=floppy,file=${join(folder.path, 'boot.img')},format=raw,readonly=on`;
    target = await taking(await siblingOf(source), join(folder.path, 'two.sock'), {
      command: [qemu, ...machine, ...plain, '-drive', disk, ...more],
      onTold: (sentence) => {
        const pid = /as process (\d+)/u.exec(sentence)?.[1];
        if (pid !== undefined) pids.push(Number(pid));
      },
    });
  }

  async function move(signal = new AbortController().signal): Promise<{
    readonly moved: readonly Moved[];
    readonly downtimeMs: number | null;
  }> {
    const moved: Moved[] = [];
    const request: MoveRequest = {
      ledger: source,
      vm: 'web',
      migration: drawMigration(),
      from: 'one',
      to: 'two',
      point: null,
      qmp: guest.qmpPath,
      signal,
      reach: () => linkTo(target.path),
      onMoved: (one) => moved.push(one),
      onTold: () => undefined,
    };
    const { downtimeMs } = await moveGuest(request);
    return { moved, downtimeMs };
  }

  test(
    'goes on at the target, and is gone where it was',
    async () => {
      await takeAs();
      const { moved, downtimeMs } = await move();
      expect(pids).toHaveLength(1);
      expect(downtimeMs).toBeGreaterThan(0);
      while (!existsSync(console2()) || roundsOf(readFileSync(console2(), 'latin1')).length < 3)
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
      const before = roundsOf(`${guest.lines().join('\n')}\n`);
      const after = roundsOf(readFileSync(console2(), 'latin1')).slice(1);
      // A line may have been cut between the two; what follows counts on from it.
      expect(after[0]! - before.at(-1)!).toBeLessThanOrEqual(2);
      expect(after[0]!).toBeGreaterThan(before.at(-1)!);
      expect(after[1]).toBe(after[0]! + 1);
      // Sums are of all that it wrote, wherever it ran.
      expect(readFileSync(console2(), 'latin1')).toMatch(/^[0-9A-F]{8} [0-9A-F]{8}$/mu);
      await new Promise<void>((resolve) => {
        if (guest.process.exitCode === null) guest.process.once('exit', () => resolve());
        else resolve();
      });
      for (const ledger of [source, target.ledger])
        expect(runnerOf(migrationOf(ledger, 'web'))).toBe('target');
      expect(moved.length).toBeGreaterThanOrEqual(2);
    },
    GUEST_TIMEOUT_MS,
  );

  inLongRun('and is interrupted while it stands', () => {
    test(
      'goes on where it is',
      async () => {
        await takeAs();
        const abort = new AbortController();
        const over = move(abort.signal).catch((thrown: unknown) => thrown);
        while ((await guest.runState()) !== 'paused' || source.vm('web').state.captures < 2)
          await new Promise((resolve) => {
            setTimeout(resolve, 5);
          });
        abort.abort();
        expect(await over).toBeInstanceOf(Error);
        expect(pids).toEqual([]);
        expect(await guest.runState()).toBe('running');
        expect(runnerOf(migrationOf(source, 'web'))).toBe('source');
      },
      GUEST_TIMEOUT_MS,
    );
  });

  inLongRun('and a target that cannot start it', () => {
    test(
      'leave it where it is',
      async () => {
        await takeAs('-device', 'no-such-device');
        await expect(move()).rejects.toMatchObject({ code: 'LINK_REFUSED' });
        expect(pids).toEqual([]);
        expect(await guest.runState()).toBe('running');
        await guest.ticksOn();
        for (const ledger of [source, target.ledger])
          expect(runnerOf(migrationOf(ledger, 'web'))).toBe('source');
      },
      GUEST_TIMEOUT_MS,
    );
  });
});
