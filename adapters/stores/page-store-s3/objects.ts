// What packs, marks and the claim ask of a bucket alike: an object to be put, and a listing.

import * as either from 'fp-ts/lib/Either.js';
import { LISTING_BYTES_MAX, LISTING_KEYS_MAX, readListing, type Listing } from './s3-answers.ts';
import { NOTHING, type S3Client } from './s3-client.ts';

/** A ledger's part of a bucket. */
export interface BucketPart {
  readonly client: S3Client;
  /** Of every key here: empty, or ends in a slash. */
  readonly prefix: string;
}

/** Puts an object; `sha256` is that of its bytes. */
export const putObject = (
  client: S3Client,
  object: {
    readonly key: string;
    readonly operation: string;
    readonly contentType: 'application/octet-stream' | 'text/plain';
    readonly body: { readonly bytes: Uint8Array; readonly sha256: string };
  },
): Promise<void> =>
  client.send({
    method: 'PUT',
    key: object.key,
    operation: object.operation,
    headers: { 'content-type': object.contentType },
    body: object.body,
    partOf: () => NOTHING,
    read: ({ status }) =>
      status < 300 ? either.right(undefined) : either.left(`status ${status} for a PUT`),
  });

/** Some of the objects whose keys begin so, from the first on or where an earlier listing ended. */
export const listObjects = (
  client: S3Client,
  which: {
    readonly prefix: string;
    readonly operation: string;
    readonly continuation: string | null;
  },
): Promise<Listing> =>
  client.send({
    method: 'GET',
    key: '',
    operation: which.operation,
    query: {
      ...(which.continuation === null ? {} : { 'continuation-token': which.continuation }),
      'list-type': '2',
      'max-keys': String(LISTING_KEYS_MAX),
      prefix: which.prefix,
    },
    partOf: () => ({ skipBytes: 0, bytesMax: LISTING_BYTES_MAX, excess: 'refuse' }),
    read: ({ status, body }) =>
      status === 200 ? readListing(body) : either.left(`status ${status} for a listing`),
  });
