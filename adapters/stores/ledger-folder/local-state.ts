// What a host keeps for itself of a ledger that lies elsewhere (docs/format.md, "Local state"):
// <root>/<name>/{cache,keys,locks,projections}, made when it is first needed. `ledger` says which ledger it
// is of, so that two servers' ledgers of one name do not share it: a later one's folder bears the
// beginning of its id as well.

import { join } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import type { FilePort } from '../../files/file-port.ts';
import { openLines, sealLines } from '../../files/checksummed-text.ts';
import { failureOf } from '../../files/failures.ts';
import { writeWhole } from '../../files/whole-file.ts';

const TITLE = 'pageledger local state';
const ID = 'id ';
const OWNER_FILE = 'ledger';
const OWNER_BYTES_MAX = 4096;
/** Characters of the id in the folder of a ledger whose name another one has here. */
const ID_CHARACTERS = 8;

/** Folders of one ledger on this host. */
export interface LocalState {
  readonly folder: string;
  readonly cache: string;
  readonly keys: string;
  readonly locks: string;
  readonly projections: string;
}

export interface LocalStateRequest {
  readonly files: FilePort;
  /** Where all ledgers' local state lies. */
  readonly root: string;
  /** The ledger's name on its server. */
  readonly name: string;
  /** The ledger's id. */
  readonly id: string;
}

/** Whose folder it is: an id, or null where it is nobody's yet. */
async function ownerOf(files: FilePort, folder: string): Promise<string | null> {
  const path = join(folder, OWNER_FILE);
  const bytes = await files.load(path, OWNER_BYTES_MAX);
  if (bytes === null) return null;
  const [title, owner] = openLines(new TextDecoder().decode(bytes)) ?? [];
  if (title === TITLE && owner?.startsWith(ID) === true) return owner.slice(ID.length);
  // Guessing would leave a ledger without its keys.
  throw new LedgerError(
    'NOT_A_LEDGER',
    `${path} is damaged: it was to say which ledger's keys and derived state lie beside it; ` +
      'remove the file if they are those of the ledger that is to be opened, or the folder if not',
    { path },
  );
}

/** Makes a folder the ledger's, where it is nobody's: tells whether it is the ledger's then. */
async function own(request: LocalStateRequest, folder: string): Promise<boolean> {
  const { files, id } = request;
  const owner = await ownerOf(files, folder);
  if (owner !== null) return owner === id;
  await files.makeFolder(folder);
  const text = sealLines([TITLE, ID + id]);
  await writeWhole({
    files,
    path: join(folder, OWNER_FILE),
    parts: [new TextEncoder().encode(text)],
    as: 'durable',
    // Of two processes that begin at once one names the owner.
    existing: 'keep',
  });
  return (await ownerOf(files, folder)) === id;
}

async function open(request: LocalStateRequest): Promise<LocalState> {
  const { root, name, id } = request;
  const plain = join(root, name);
  const folder = (await own(request, plain)) ? plain : `${plain}.${id.slice(0, ID_CHARACTERS)}`;
  if (folder !== plain) await own(request, folder);
  return {
    folder,
    cache: join(folder, 'cache'),
    keys: join(folder, 'keys'),
    locks: join(folder, 'locks'),
    projections: join(folder, 'projections'),
  };
}

/** The folders of a ledger on this host. */
export const openLocalState = (request: LocalStateRequest): TaskEither<LedgerError, LocalState> =>
  atPort(
    () => open(request),
    (thrown) => failureOf(thrown, { operation: 'keep local state in', path: request.root }),
  );
