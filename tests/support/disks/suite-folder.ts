// A folder that is there while a suite runs.

import { afterAll, beforeAll } from '@jest/globals';
import { makeTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

/** Makes one before the tests of a suite, and takes it away behind them; its path is known from then on. */
export function suiteFolder(): Pick<TemporaryFolder, 'path'> {
  let folder: TemporaryFolder;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  afterAll(() => folder.remove());
  return {
    get path() {
      return folder.path;
    },
  };
}
