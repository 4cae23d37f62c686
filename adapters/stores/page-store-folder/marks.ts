// Marks of compactions in a folder: packs/compacted/<position>-<id> (docs/format.md).

import { join } from 'node:path';
import type { EventMark } from '../../../domain/ports/event-log.ts';
import type { FilePort } from '../../files/file-port.ts';
import { writeWhole } from '../../files/whole-file.ts';
import { markBytes, markName, MARKS_FOLDER, marksNamed } from '../compaction-mark.ts';

interface MarkedFolder {
  readonly files: FilePort;
  /** The folder packs/. */
  readonly folder: string;
}

/** The marks that are there. */
export const marksIn = async ({ files, folder }: MarkedFolder): Promise<readonly EventMark[]> =>
  marksNamed(await files.list(join(folder, MARKS_FOLDER)));

/** Writes a mark, durably, then removes those before it. */
export async function putMark(place: MarkedFolder, mark: EventMark): Promise<void> {
  const { files, folder: packs } = place;
  const folder = join(packs, MARKS_FOLDER);
  const name = markName(mark);
  const before = (await marksIn(place)).map(markName);
  if (!before.includes(name)) {
    await files.makeFolder(folder);
    await files.syncFolder(packs);
    const path = join(folder, name);
    const parts = [markBytes(mark)];
    const temporaryFolder = packs;
    await writeWhole({ files, path, parts, temporaryFolder, as: 'durable', existing: 'replace' });
  }
  for (const other of before) if (other !== name) await files.remove(join(folder, other));
}
