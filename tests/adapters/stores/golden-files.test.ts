// Format 1 of small files and of derived files stays readable, and stays what is written: the bytes
// below tests/golden are read as what was written, and written again they are the same.

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

  test('is what is written', async () => {
    expect(await kind.write(folder.path)).toEqual(goldenBytes(golden));
  });
});
