// Small files and derived files stay readable, and what is written of them stays the same: the bytes
// below tests/golden are read as what was written, and those of the last format are written again.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { goldenBytes } from '../../support/golden/golden-capture.ts';
import { GOLDEN_KINDS } from '../../support/golden/golden-files.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
});
afterEach(() => folder.remove());

describe.each(GOLDEN_KINDS.map((kind) => [kind.golden, kind] as const))('%s', (golden, kind) => {
  test('is read as what was written', async () => {
    const path = join(folder.path, kind.path);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, goldenBytes(golden));
    expect(await kind.read(goldenBytes(golden), folder.path)).toEqual(kind.value);
  });
});

const written = GOLDEN_KINDS.flatMap(({ golden, write }) =>
  write === null ? [] : [[golden, write] as const],
);
test.each(written)('%s is what is written', async (golden, write) => {
  expect(await write(folder.path)).toEqual(goldenBytes(golden));
});
