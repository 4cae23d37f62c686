import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { openLocalState } from '../../../../adapters/stores/ledger-folder/local-state.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { withTemporaryFolder } from '../../../support/disks/temporary-folder.ts';

const ONE = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const OTHER = '8a6e0804-2bd0-4672-b79d-d97027f9071a';
const place = (root: string, id: string) => ({ files: nodeFiles, root, name: 'fleet', id });

test('a ledger has the folder of its name, which others cannot read, and the same one every time', async () => {
  await withTemporaryFolder(async (root) => {
    const first = await valueOf(openLocalState(place(root, ONE)));
    expect(first).toEqual({
      folder: join(root, 'fleet'),
      cache: join(root, 'fleet', 'cache'),
      keys: join(root, 'fleet', 'keys'),
      locks: join(root, 'fleet', 'locks'),
      projections: join(root, 'fleet', 'projections'),
    });
    expect(statSync(first.folder).mode & 0o077).toBe(0);
    expect(await valueOf(openLocalState(place(root, ONE)))).toEqual(first);
  });
});

test('another ledger of the same name has a folder of its own', async () => {
  await withTemporaryFolder(async (root) => {
    await valueOf(openLocalState(place(root, ONE)));
    for (let i = 0; i < 2; i += 1)
      expect((await valueOf(openLocalState(place(root, OTHER)))).folder).toBe(
        join(root, 'fleet.8a6e0804'),
      );
    expect(readdirSync(root).toSorted()).toEqual(['fleet', 'fleet.8a6e0804']);
  });
});

test('processes that begin at once agree whose folder it is', async () => {
  await withTemporaryFolder(async (root) => {
    const ids = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? ONE : OTHER));
    const opened = await Promise.all(ids.map((id) => valueOf(openLocalState(place(root, id)))));
    expect(new Set(opened.map(({ folder }) => folder)).size).toBe(2);
    for (const [i, id] of ids.entries())
      expect(await valueOf(openLocalState(place(root, id)))).toEqual(opened[i]);
  });
});

test('a folder whose owner cannot be read is nobody’s to guess', async () => {
  await withTemporaryFolder(async (root) => {
    const { folder } = await valueOf(openLocalState(place(root, ONE)));
    writeFileSync(join(folder, 'ledger'), 'id of nobody');
    const failure = await failureOf(openLocalState(place(root, ONE)));
    expect(failure.code).toBe('NOT_A_LEDGER');
    expect(failure.message).toContain(join(folder, 'ledger'));
  });
});
