// Recorders, compactors, forgetters and readers beside each other, killed again and again, half of them
// in namespaces of network and mounts of their own: nothing that was committed is lost.
//
// PAGELEDGER_CROWD_KILLS: how many are killed (`npm run test:long`: 1,000). PAGELEDGER_SEED: the seed of
// the moments.

import { expect, test } from '@jest/globals';
import { runCrowd, separately } from '../../support/processes/killed-crowd.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const KILLS = Number(process.env['PAGELEDGER_CROWD_KILLS'] ?? 4);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? Date.now() % 1_000_000);
const where =
  separately === null ? 'none in namespaces of its own: not permitted here' : 'half apart';

test(
  `${KILLS} of them killed (${where}) lose nothing (PAGELEDGER_SEED=${SEED})`,
  async () => {
    await withTemporaryFolder(async (folder) => {
      const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
      const { faults, kills, separate, ended, restored } = await runCrowd({
        kills: KILLS,
        seed: SEED,
        folder,
        tell,
      });
      expect(faults).toEqual([]);
      expect(kills).toBeGreaterThanOrEqual(KILLS);
      expect(restored).toBeGreaterThan(0);
      if (KILLS < 100) return;
      expect(Object.values(ended).every((count) => count > 0)).toBe(true);
      expect(separate > 0).toBe(separately !== null);
    });
  },
  300_000 + KILLS * 15_000,
);
