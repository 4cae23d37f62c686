// Where this host has agreed that a ledger's packs lie: a file in the ledger's local state
// (docs/format.md, "Local state"). Who can write a log can write any place into it, and requests to a
// place bear this host's credentials.

import { join } from 'node:path';
import type { FilePort } from '../../files/file-port.ts';
import { openLines, sealLines } from '../../files/checksummed-text.ts';
import { writeWhole } from '../../files/whole-file.ts';

const TITLE = 'pageledger page store';
const FILE = 'page-store';
const BYTES_MAX = 64 * 1024;

export interface AgreedStoreFile {
  readonly files: FilePort;
  /** The ledger's local state. */
  readonly folder: string;
}

/** The place agreed on; null where there is none, or where it cannot be read: it is asked for again. */
export async function loadAgreedStore({ files, folder }: AgreedStoreFile): Promise<string | null> {
  const bytes = await files.load(join(folder, FILE), BYTES_MAX);
  if (bytes === null) return null;
  const [title, place, ...more] = openLines(new TextDecoder().decode(bytes)) ?? [];
  if (title !== TITLE || place === undefined || more.length > 0) return null;
  try {
    return decodeURI(place);
  } catch {
    return null;
  }
}

/** Agrees on a place, in place of whichever was agreed on before. */
export async function saveAgreedStore(
  { files, folder }: AgreedStoreFile,
  place: string,
): Promise<void> {
  await files.makeFolder(folder);
  await writeWhole({
    files,
    path: join(folder, FILE),
    // A folder's name may have a line break.
    parts: [new TextEncoder().encode(sealLines([TITLE, encodeURI(place)]))],
    as: 'durable',
    existing: 'replace',
  });
}
