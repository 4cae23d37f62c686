// A page store in a folder that several hosts may share (a network file system), for a ledger whose
// log is on a server: the packs of page-packs.ts, beside a claim that says whose they are.

import { join } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import type { FilePort } from '../../files/file-port.ts';
import { failureOf } from '../../files/failures.ts';
import { openPagePacks, type PagePacks } from '../page-store-folder/page-packs.ts';
import { CLAIM_BYTES_MAX, CLAIM_NAME, checkClaim, claimBytes } from './store-claim.ts';
import { writeWhole } from '../../files/whole-file.ts';

const PACKS_FOLDER = 'packs';

/** Packs in a folder, and whose they are. */
export interface ClaimedFolder extends PagePacks {
  /** Makes the place the ledger's, where it is nobody's. STORE_TAKEN. */
  claim(id: string): TaskEither<LedgerError, void>;
  /** Makes sure that the place is the ledger's, and writes nothing. STORE_TAKEN, STORE_MISSING. */
  checkClaim(id: string): TaskEither<LedgerError, void>;
  /** Whether the place is a ledger's. */
  isClaimed(): TaskEither<LedgerError, boolean>;
}

interface PacksFolder {
  readonly files: FilePort;
  readonly folder: string;
}

async function claim({ files, folder }: PacksFolder, id: string): Promise<void> {
  const path = join(folder, CLAIM_NAME);
  await files.makeFolder(join(folder, PACKS_FOLDER));
  await writeWhole({ files, path, parts: [claimBytes(id)], as: 'durable', existing: 'keep' });
  const found = await files.load(path, CLAIM_BYTES_MAX);
  checkClaim(found ?? new Uint8Array(0), { id, where: folder });
}

async function check({ files, folder }: PacksFolder, id: string): Promise<void> {
  const found = await files.load(join(folder, CLAIM_NAME), CLAIM_BYTES_MAX);
  if (found !== null) return checkClaim(found, { id, where: folder });
  throw new LedgerError(
    'STORE_MISSING',
    `the folder ${folder} was expected to hold ledger ${id}'s packs, and it has no file ` +
      `'${CLAIM_NAME}', which says so; mount it, or put the file back from a copy`,
    { where: folder, expected: id },
  );
}

/** The page store in a folder, absolute. Nothing is read or made yet. */
export function openClaimedFolder(place: PacksFolder): ClaimedFolder {
  const packs = openPagePacks({ files: place.files, folder: join(place.folder, PACKS_FOLDER) });
  return {
    ...packs,
    claim: (id) =>
      atPort(
        () => claim(place, id),
        (thrown) => failureOf(thrown, { operation: 'claim the page store', path: place.folder }),
      ),
    checkClaim: (id) =>
      atPort(
        () => check(place, id),
        (thrown) => failureOf(thrown, { operation: 'look at the page store', path: place.folder }),
      ),
    isClaimed: () =>
      atPort(
        async () => (await place.files.facts(join(place.folder, CLAIM_NAME))) !== null,
        (thrown) => failureOf(thrown, { operation: 'look at the page store', path: place.folder }),
      ),
  };
}
