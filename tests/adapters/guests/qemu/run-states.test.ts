// Guests that are not captured, and that are afterwards as they were; and those that are.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../../../adapters/guests/demo-guest/tools.ts';
import { connectGuest } from '../../../../adapters/guests/qemu/live-guest.ts';
import { delay } from '../../../../adapters/guests/qemu/migration-control.ts';
import { checkRunState } from '../../../../adapters/guests/qemu/run-states.ts';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import { MadePart } from '../../../support/made-part.ts';
import { GUEST_TIMEOUT_MS } from '../../../support/guest/real-guest.ts';
import { BootSectorGuest } from '../../../support/guest/ticking-guest.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const QEMU = programPath(QEMU_PROGRAM);
const describeWhere = QEMU === null ? describe.skip : describe;

/** States of QEMU's, each with what comes of a capture. */
const CAPTURED = ['running', 'paused', 'prelaunch', 'postmigrate'];
const REFUSED = [
  'suspended',
  'guest-panicked',
  'shutdown',
  'io-error',
  'watchdog',
  'internal-error',
  'debug',
  'inmigrate',
  'finish-migrate',
  'save-vm',
  'restore-vm',
  'colo',
  'preconfig',
];
const LATER = 'of-a-later-qemu';

/** What is said of a guest in a state; null: it is captured. */
function saidOf(state: string): string | null {
  try {
    checkRunState('a.qmp', state);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

test.each(CAPTURED)('%s is captured', (state) => {
  expect(saidOf(state)).toBeNull();
});

test.each([...REFUSED, LATER])('%s is refused with its name and what to do', (state) => {
  expect(() => checkRunState('a.qmp', state)).toThrow(
    expect.objectContaining({
      code: 'QMP_REFUSED',
      message: expect.stringMatching(new RegExp(`a\\.qmp.*${state}.*not touched`, 'u')),
    }),
  );
});

test('each state stands in docs/qemu.md with what is said of it', () => {
  const document = new MadePart('docs/qemu.md', 'tests/adapters/guests/qemu/run-states.test.ts');
  const why = (state: string): string =>
    /not captured; (.*)\. It was not touched/u.exec(saidOf(state) ?? '')?.[1] ?? '';
  const made = [
    `- **captured**: ${CAPTURED.map((state) => `\`${state}\``).join(', ')}.`,
    ...REFUSED.map((state) => `- **\`${state}\` is refused**: ${why(state)}.`),
    `- **any other is refused**: ${why(LATER)}.`,
  ].join('\n');
  expect(document.heldAgainst(made)).toBe(made);
});

describeWhere('a guest of QEMU', () => {
  let folder: TemporaryFolder;
  let guest: BootSectorGuest;
  const spool = new Spool();
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  afterEach(() => guest.kill());
  afterAll(async () => {
    spool.close();
    await folder.remove();
  });

  function start(sector: 'ticking' | 'sleeping', extra: readonly string[] = []): void {
    const where = { qemu: QEMU ?? '', folder: folder.path };
    guest = new BootSectorGuest({ ...where, sector, memoryMib: 16, extra });
  }

  async function refusedInState(state: string): Promise<unknown> {
    while ((await guest.runState()) !== state) await delay(50);
    const live = await valueOf(connectGuest({ qmp: guest.qmpPath }));
    const error = await failureOf(live.capture(spool));
    live.close();
    return [error.code, error.facts, await guest.runState()];
  }

  test(
    'that sleeps is refused, sleeps on, and is woken as before',
    async () => {
      start('sleeping');
      expect(await refusedInState('suspended')).toEqual([
        'QMP_REFUSED',
        { path: guest.qmpPath, runState: 'suspended' },
        'suspended',
      ]);
      expect(await guest.withQmp((qmp) => qmp.execute('system_wakeup'))).toEqual({});
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'that stands before its first instruction is captured, and stands there afterwards',
    async () => {
      start('ticking', ['-S']);
      expect(await guest.runState()).toBe('prelaunch');
      const live = await valueOf(connectGuest({ qmp: guest.qmpPath }));
      const captured = await valueOf(live.capture(spool));
      live.close();
      expect([captured.wasRunning, captured.pauseMs]).toEqual([false, 0]);
      expect(await guest.runState()).toBe('postmigrate');
    },
    GUEST_TIMEOUT_MS,
  );
});
