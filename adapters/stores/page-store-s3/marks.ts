// Marks of compactions in a bucket: objects PREFIX/compacted/<position>-<id> (docs/format.md). A put is
// whole or not there at all; one listing finds them.

import { createHash } from 'node:crypto';
import type { EventMark } from '../../../domain/ports/event-log.ts';
import { markBytes, markName, MARKS_FOLDER, marksNamed } from '../compaction-mark.ts';
import { listObjects, putObject, type BucketPart } from './objects.ts';

const marksPrefix = ({ prefix }: BucketPart): string => `${prefix}${MARKS_FOLDER}/`;

/** The marks that are there: each compaction removes those before its own, so that one listing has them. */
export async function marksIn(place: BucketPart): Promise<readonly EventMark[]> {
  const prefix = marksPrefix(place);
  const operation = 'look for marks of compactions';
  const { objects } = await listObjects(place.client, { prefix, operation, continuation: null });
  const ours = objects.filter(({ key }) => key.startsWith(prefix));
  return marksNamed(ours.map(({ key }) => key.slice(prefix.length)));
}

/** Writes a mark, then removes those before it. */
export async function putMark(
  place: BucketPart,
  mark: EventMark,
  remove: (key: string) => Promise<void>,
): Promise<void> {
  const name = markName(mark);
  const before = (await marksIn(place)).map(markName);
  if (!before.includes(name)) {
    const bytes = markBytes(mark);
    await putObject(place.client, {
      key: marksPrefix(place) + name,
      operation: 'write the mark of a compaction',
      contentType: 'text/plain',
      body: { bytes, sha256: createHash('sha256').update(bytes).digest('hex') },
    });
  }
  for (const other of before) if (other !== name) await remove(marksPrefix(place) + other);
}
