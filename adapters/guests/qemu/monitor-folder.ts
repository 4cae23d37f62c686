// A folder of QMP sockets.

import { lstat, readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { errnoOf } from '../../files/failures.ts';

/** The sockets in a folder, by their paths, with their names without what is behind the last dot. */
export async function socketsIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const names = await readdir(folder).catch((thrown: Error) => {
    throw new LedgerError(
      'NOT_FOUND',
      `the folder ${folder} cannot be listed (${errnoOf(thrown) ?? thrown.message}): a folder of QMP sockets was expected`,
      { folder },
    );
  });
  for (const name of names.toSorted()) {
    const path = join(folder, name);
    const isSocket = await lstat(path).then(
      (stats) => stats.isSocket(),
      () => false,
    );
    if (isSocket) found.set(path, basename(name, extname(name)));
  }
  return found;
}
