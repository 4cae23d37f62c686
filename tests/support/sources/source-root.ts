// Where the sources are, for tests that run from a build.

import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's root: the nearest folder above with a package.json. */
export function sourceRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!readdirSync(folder).includes('package.json')) folder = dirname(folder);
  return folder;
}
