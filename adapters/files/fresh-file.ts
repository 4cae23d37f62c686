// What a file system says of a file that is made just now: its clock, and the permissions that it gives.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FileFacts, FilePort } from './file-port.ts';
import { TEMPORARY_PREFIX } from './whole-file.ts';

/** Makes an empty file in a folder, and takes it away again, whatever happens; null: somebody else did. */
export async function freshFacts({
  files,
  folder,
}: {
  readonly files: FilePort;
  readonly folder: string;
}): Promise<FileFacts | null> {
  const path = join(folder, TEMPORARY_PREFIX + randomBytes(12).toString('hex'));
  const file = await files.open(path, 'new');
  try {
    await file.close();
    return await files.facts(path);
  } finally {
    await files.remove(path);
  }
}
