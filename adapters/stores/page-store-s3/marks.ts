// Marks of compactions in a bucket: objects PREFIX/compacted/<position>-<id> (docs/format.md). A put is
// whole or not there at all; one listing finds them.

import { createHash } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import type { EventMark } from '../../../domain/ports/event-log.ts';
import { markBytes, markName, MARKS_FOLDER, marksNamed } from '../compaction-mark.ts';
import { LISTING_BYTES_MAX, LISTING_KEYS_MAX, readListing } from './s3-answers.ts';
import { NOTHING, type S3Client } from './s3-client.ts';

interface BucketPart {
  readonly client: S3Client;
  readonly prefix: string;
}

const marksPrefix = ({ prefix }: BucketPart): string => `${prefix}${MARKS_FOLDER}/`;

/** The marks that are there: each compaction removes those before its own, so that one listing has them. */
export async function marksIn(place: BucketPart): Promise<readonly EventMark[]> {
  const prefix = marksPrefix(place);
  const { objects } = await place.client.send({
    method: 'GET',
    key: '',
    operation: 'look for marks of compactions',
    query: { 'list-type': '2', 'max-keys': String(LISTING_KEYS_MAX), prefix },
    partOf: () => ({ skipBytes: 0, bytesMax: LISTING_BYTES_MAX, excess: 'refuse' }),
    read: ({ status, body }) =>
      status === 200 ? readListing(body) : either.left(`status ${status} for a listing`),
  });
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
    await place.client.send({
      method: 'PUT',
      key: marksPrefix(place) + name,
      operation: 'write the mark of a compaction',
      headers: { 'content-type': 'text/plain' },
      body: { bytes, sha256: createHash('sha256').update(bytes).digest('hex') },
      partOf: () => NOTHING,
      read: ({ status }) =>
        status < 300 ? either.right(undefined) : either.left(`status ${status} for a PUT`),
    });
  }
  for (const other of before) if (other !== name) await remove(marksPrefix(place) + other);
}
