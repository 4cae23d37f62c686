// A running guest that moves to a host where the memory of its sibling is mapped: it goes on over that, and
// takes of the host's memory what it has otherwise.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { shellWords } from '../../../adapters/faces/cli/shell-word.ts';
import { moveGuest } from '../../../adapters/faces/link/move.ts';
import { mappedBlockOf } from '../../../adapters/wiring/clones/clone-base.ts';
import { privatePagesOf } from '../../../adapters/wiring/clones/clones.ts';
import { drawMigration, migrationOf } from '../../../adapters/wiring/hosts/migrations.ts';
import { runnerOf } from '../../../domain/migrations.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { openLedger, recordGuest, restoreToFile, type Ledger } from '../../../index.ts';
import {
  MachineAt,
  movedCommand,
  roundsAt,
  startMovingGuest,
} from '../../support/guest/moving-guest.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import type { BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import {
  linkTo,
  siblingOf,
  taking,
  type TakingLedger,
} from '../../support/ledgers/linked-ledgers.ts';
import { proportionalMib } from '../../support/processes/process-memory.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const found = await findTools();
/** What the guest and its sibling have alike. */
const ALIKE_BYTES = 12 * 2 ** 20;

describeWithQemu('a guest that moves to where its sibling is mapped', inLongRun(found), (tools) => {
  const { qemu } = tools;
  let folder: TemporaryFolder;
  let source: Ledger;
  let target: TakingLedger;
  let guest: BootSectorGuest;
  let pid = 0;

  /** Records the guest in the ledger of the other host, as what is mapped there. */
  async function siblingAt(there: Ledger): Promise<string> {
    const request = {
      qmp: guest.qmpPath,
      everyMs: 0,
      count: 1,
      signal: new AbortController().signal,
    };
    const nothing = (): void => undefined;
    const listener = { onCapture: nothing, onWarning: nothing, onSkip: nothing };
    await recordGuest(there, { vm: 'sibling', group: null }, request, listener);
    const entry = there.vm('sibling');
    const point = { entry, row: there.resolve(entry, 'latest') };
    const path = join(folder.path, 'base');
    await restoreToFile(there, point, { format: 'raw', path, isForced: true });
    return path;
  }

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    source = await openLedger({ url: join(folder.path, 'one'), mode: 'create', threads: 0 });
    // Makes the group, whose key the other host gets.
    const images = [Buffer.alloc(PAGE_BYTES, 3)];
    const files = writeImages({ folder: folder.path, name: 'any', images });
    await recordFiles(source, { vm: 'any', files });
    const data = join(folder.path, 'data');
    writeFileSync(data, randomBytes(ALIKE_BYTES));
    guest = await startMovingGuest(qemu, folder.path, data);
    const there = await siblingOf(source);
    const path = await siblingAt(there);
    const entry = there.vm('sibling');
    const point = { entry, row: there.resolve(entry, 'latest') };
    target = await taking(there, join(folder.path, 'two.sock'), {
      command: shellWords(movedCommand(qemu, folder.path, 'two')),
      base: () => ({ point, block: mappedBlockOf(point), path }),
      onTold: (sentence) => {
        pid = Number(/as process (\d+)/u.exec(sentence)?.[1] ?? pid);
      },
    });
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    if (pid > 0) process.kill(pid, 'SIGKILL');
    await target.close();
    await target.ledger.close();
    await guest.kill();
    await source.close();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'goes on over that, and has of its own what it wrote',
    async () => {
      const before = proportionalMib(guest.process.pid!);
      const { phase } = await moveGuest({
        ledger: source,
        vm: 'web',
        migration: drawMigration(),
        from: 'one',
        to: 'two',
        point: null,
        qmp: guest.qmpPath,
        reach: () => linkTo(target.path),
        onMoved: () => undefined,
        onTold: () => undefined,
      });
      expect(phase).toBe('completed');
      expect(runnerOf(migrationOf(target.ledger, 'web'))).toBe('target');
      const there = new MachineAt(folder.path, 'two');
      await there.ticksOn(3);
      const last = roundsAt(join(folder.path, 'console')).at(-1)!;
      const [first, next] = roundsAt(there.console);
      // Of a round that was being told as it moved a half stands on each console.
      expect(first! - last).toBeGreaterThanOrEqual(1);
      expect(first! - last).toBeLessThanOrEqual(2);
      expect(next! - first!).toBe(1);
      expect(target.ledger.vm('web').leases).toHaveLength(1);
      expect(privatePagesOf(pid)! * PAGE_BYTES).toBeLessThan(ALIKE_BYTES);
      expect(proportionalMib(pid)).toBeLessThan(before - ALIKE_BYTES / 2 ** 20);
    },
    GUEST_TIMEOUT_MS,
  );
});
