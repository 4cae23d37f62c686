// Every bit of every file of a small ledger, flipped: what is damaged is refused, or right, and costs
// nobody else anything.
//
// PAGELEDGER_BIT_STEP: every so many bits only; 1: all of them (`npm run test:long`).

import { expect, test } from '@jest/globals';
import { flipBits } from '../support/spoiled/flipped-bits.ts';
import { judgeOpened } from '../support/spoiled/damaged-ledger.ts';
import { diskOf } from '../support/disks/memory-disk.ts';
import { withTemporaryFolder } from '../support/disks/temporary-folder.ts';
import { makeTinyLedger, openTiny } from '../support/ledgers/tiny-ledger.ts';

const STEP = Number(process.env['PAGELEDGER_BIT_STEP'] ?? 1201);
const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);

test(`a flipped bit, one in ${STEP}, costs at most the points of one VM and those that share with it`, async () => {
  await withTemporaryFolder(async (folder) => {
    const tiny = await makeTinyLedger(folder);
    const files = await diskOf(tiny.disk);
    const request = {
      expected: tiny.expected,
      scratch: '/disk/restored',
      derived: 'kept',
    } as const;
    const whole = await judgeOpened(request, () => openTiny(files, 'read'));
    expect(whole).toMatchObject({ faults: [], findings: [], refusal: null });
    const { faults, flips, lossy, ...counts } = await flipBits({
      tiny,
      step: STEP,
      first: 0,
      tell,
    });
    tell(JSON.stringify({ flips, lossy, ...counts }));
    expect(faults).toEqual([]);
    expect(flips).toBe(Math.ceil(counts.bits / STEP));
    expect(lossy).toBeGreaterThan(0);
  });
}, 3_600_000);
