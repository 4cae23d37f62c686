// Groups and keys of a ledger that hosts share: of several hosts that make a group at
// once one makes it, and no other records under a key that is not the group's. The log is on the double,
// the packs in a folder that both see.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { exportGroup, importGroup, openLedger } from '../../../index.ts';
import { startEventStoreDouble } from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { distinctPages, recordImage } from '../../support/ledgers/recorded-images.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const keysIn = (stateFolder: string): string[] => {
  const keys = join(stateFolder, 'pageledger', 'keys');
  return existsSync(keys) ? readdirSync(keys).filter((name) => name.endsWith('.key')) : [];
};

test('of hosts that make a group at once one has its key, and the others are told to import it', async () => {
  await withTemporaryFolder(async (folder) => {
    const double = await startEventStoreDouble();
    const states = ['one', 'two', 'three'].map((name) => join(folder, name));
    const ledgers = await Promise.all(
      states.map((stateFolder) =>
        openLedger({
          url: double.url,
          pageStore: join(folder, 'packs'),
          stateFolder,
          mode: 'create',
          threads: 0,
        }),
      ),
    );
    try {
      const outcomes = await Promise.allSettled(
        ledgers.map((ledger) => ledger.openGroup('default')),
      );
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes.filter(({ status }) => status === 'rejected'))
        expect(outcome).toMatchObject({ reason: { code: 'KEY_MISSING' } });
      for (const [i, state] of states.entries())
        expect([i, keysIn(state)]).toEqual([i, i === winner ? ['default.key'] : []]);
      // With the key every host records what merges with the others'.
      const text = await exportGroup(ledgers[winner]!, 'default');
      for (const [i, ledger] of ledgers.entries()) {
        if (i !== winner) await importGroup(ledger, { text, where: 'the key of the first' });
        const image = distinctPages({ pages: 20, seed: 1 });
        const row = await recordImage(ledger, { vm: `vm-${i}`, image, folder });
        expect([i, row.stored, row.merged]).toEqual(i === 0 ? [0, 20, 0] : [i, 0, 20]);
      }
    } finally {
      for (const ledger of ledgers) await ledger.close();
      await double.stop();
    }
  });
});
