import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import {
  openClaimedFolder,
  type ClaimedFolder,
} from '../../../../adapters/stores/ledger-folder/claimed-folder.ts';
import { pageStoreContract } from '../../../contracts/page-store.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import {
  makeTemporaryFolder,
  withTemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const ONE = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const OTHER = '8a6e0804-2bd0-4672-b79d-d97027f9071a';

const open = (folder: string): ClaimedFolder => openClaimedFolder({ files: nodeFiles, folder });

pageStoreContract('in a folder that hosts share', async () => {
  const folder = await makeTemporaryFolder();
  const opened: ClaimedFolder[] = [];
  const openOne = (): ClaimedFolder => {
    const store = open(folder.path);
    opened.push(store);
    return store;
  };
  return {
    store: openOne(),
    another: () => Promise.resolve(openOne()),
    async close() {
      await Promise.all(opened.map((store) => store.close()));
      await folder.remove();
    },
  };
});

describe('a folder for packs', () => {
  test('is the first ledger’s that claims it, and no other’s', async () => {
    await withTemporaryFolder(async (path) => {
      const folder = join(path, 'packs of the fleet');
      expect(await valueOf(open(folder).isClaimed())).toBe(false);
      await valueOf(open(folder).claim(ONE));
      await valueOf(open(folder).claim(ONE));
      await valueOf(open(folder).checkClaim(ONE));
      expect(await valueOf(open(folder).isClaimed())).toBe(true);
      const before = readFileSync(join(folder, 'pageledger'), 'utf8');
      for (const attempt of [open(folder).claim(OTHER), open(folder).checkClaim(OTHER)]) {
        const failure = await failureOf(attempt);
        expect([failure.code, failure.message.includes(ONE)]).toEqual(['STORE_TAKEN', true]);
      }
      expect(readFileSync(join(folder, 'pageledger'), 'utf8')).toBe(before);
    });
  });

  test('of two ledgers that claim it at once one gets it', async () => {
    await withTemporaryFolder(async (folder) => {
      const outcomes = await Promise.all([ONE, OTHER].map((id) => open(folder).claim(id)()));
      expect(outcomes.map(({ _tag }) => _tag).toSorted()).toEqual(['Left', 'Right']);
    });
  });

  test('with something else under the claim’s name is left alone', async () => {
    await withTemporaryFolder(async (folder) => {
      writeFileSync(join(folder, 'pageledger'), 'a letter to somebody\n');
      expect((await failureOf(open(folder).claim(ONE))).code).toBe('STORE_TAKEN');
      expect(readFileSync(join(folder, 'pageledger'), 'utf8')).toBe('a letter to somebody\n');
    });
  });

  test('that lost its claim is told from one that is not mounted by nobody: both are missing', async () => {
    await withTemporaryFolder(async (folder) => {
      await valueOf(open(folder).claim(ONE));
      rmSync(join(folder, 'pageledger'));
      const failure = await failureOf(open(folder).checkClaim(ONE));
      expect(failure.code).toBe('STORE_MISSING');
      expect(existsSync(join(folder, 'pageledger'))).toBe(false);
      expect((await failureOf(open(join(folder, 'none')).checkClaim(ONE))).code).toBe(
        'STORE_MISSING',
      );
    });
  });
});
