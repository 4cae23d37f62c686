// The page store in a bucket of an S3-compatible object store (docs/format.md, "Page store"): packs as
// objects PREFIX/packs/<first two hex digits>/<name>, marks of compactions, and the claim
// PREFIX/pageledger, which says whose they are.
//
// A pack has at most 17 MiB, so that one PUT always does. Each is signed with the SHA-256 that is the
// pack's name (of a part of one, its own): what arrived otherwise is not stored, and a put may be repeated. It counts when the store
// says the pack's size afterwards, as gateways before a full disk answer 200 and keep a part. Nothing
// rests on conditional requests, which servers disagree about.

import { createHash } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { assert } from '../../../domain/values/assert.ts';
import { atPort } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PACK_NAME } from '../../../domain/values/pack.ts';
import type { Clock } from '../../../domain/ports/clock.ts';
import {
  LOOK_COUNTS_MS,
  type PackEntry,
  type PageStore,
} from '../../../domain/ports/page-store.ts';
import { RecentMap } from '../../../domain/values/recent-map.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { canBeOfPack, PACK_BYTES_MAX } from '../page-store-cached/range-source.ts';
import type { FoundRange, RangeSource } from '../page-store-cached/range-source.ts';
import { failureOf } from '../../files/failures.ts';
import { checkPackBytes, checkPackName, checkRange, packMissing } from '../page-requests.ts';
import type { PackRange } from '../page-requests.ts';
import { claimPlace, checkClaimOf, hasClaim } from './claims.ts';
import type { HttpLimits } from './http-exchange.ts';
import { marksIn, putMark } from './marks.ts';
import { listObjects, putObject } from './objects.ts';
import type { BucketPart } from './objects.ts';
import { partOfRange, rangeHeader, readRange } from './pack-ranges.ts';
import type { ObjectRange, RangeAnswer } from './pack-ranges.ts';
import { parsePageStoreUrl } from './page-store-url.ts';
import type { S3Place } from './page-store-url.ts';
import { addressOf } from './s3-address.ts';
import type { Environment } from './s3-address.ts';
import type { ListedObject, Listing } from './s3-answers.ts';
import { createS3Client, NOTHING } from './s3-client.ts';
import type { CredentialProvider } from './s3-signer.ts';

/** Hex digits of a pack's name that its key has before it, as its folder has on a disk. */
const FOLDER_DIGITS = 2;
/** Puts of one pack of which the store keeps something else. */
const PUT_ATTEMPTS_MAX = 2;
const LENGTH = /^[0-9]{1,15}$/u;
/** Packs that are remembered as seen after their put. */
const SEEN_MAX = 4096;
/** Listings without a pack in a row, after which a server is not believed any more. */
const EMPTY_LISTINGS_MAX = 1000;

const DEFAULT_PATIENCE_MS = 30_000;
const DEFAULT_LIMITS: HttpLimits = {
  connectMsMax: 5000,
  idleMsMax: 20_000,
  bytesPerSecondMin: 32 * 1024,
};

export interface S3PageStoreOptions {
  /** s3://BUCKET/PREFIX?endpoint=URL&region=NAME. */
  readonly url: string;
  /** Absent: the usual environment variables, files and services of AWS. */
  readonly credentials?: CredentialProvider;
  /** Told when the server is away, and when it is back. */
  readonly onNotice?: (text: string) => void;
  /** How long a request is tried again after it first failed; absent: 30 s. */
  readonly patienceMs?: number;
  readonly limits?: Partial<HttpLimits>;
  /** By which requests are dated; a server refuses those that are 15 minutes off. */
  readonly clock?: Clock;
  /** Where endpoint and region come from that the URL leaves open; absent: the process's own. */
  readonly environment?: Environment;
}

/** A page store in a bucket. */
export interface S3PageStore extends PageStore, RangeSource {
  /** Makes the place the ledger's, where it is nobody's. STORE_TAKEN. */
  claim(ledgerId: string): TaskEither<LedgerError, void>;
  /** Makes sure that the place is the ledger's, and writes nothing. STORE_TAKEN, STORE_MISSING. */
  checkClaim(ledgerId: string): TaskEither<LedgerError, void>;
  /** Whether the place is some ledger's. */
  isClaimed(): TaskEither<LedgerError, boolean>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

interface Bucket extends BucketPart {
  /** Packs that the store had whole when it was asked after a put: how long they are, and when that was. */
  readonly seen: RecentMap<string, { readonly sizeBytes: number; readonly atMs: number }>;
  readonly clock: Clock;
  /** Called for a delete that left a version behind. */
  readonly onVersionKept: () => void;
}

const packsPrefix = ({ prefix }: Bucket): string => `${prefix}packs/`;
const keyOf = (bucket: Bucket, name: string): string =>
  `${packsPrefix(bucket)}${name.slice(0, FOLDER_DIGITS)}/${name}`;
/** How messages name an object. */
const whereOf = (bucket: Bucket, key: string): string =>
  `object ${key} of ${bucket.client.address.label}`;

/** What the store says of an object's size, where it says any; null: there is no object. */
const askSize = (bucket: Bucket, name: string): Promise<number | null> =>
  bucket.client.send({
    method: 'HEAD',
    key: keyOf(bucket, name),
    operation: `look at pack ${name}`,
    partOf: () => NOTHING,
    read: ({ status, headers }) => {
      const length = headers['content-length'] ?? '';
      if (status === 404) return either.right(null);
      return status === 200 && LENGTH.test(length)
        ? either.right(Number(length))
        : either.left(`status ${status} without a size for a HEAD`);
    },
  });

const notKept = (bucket: Bucket, pack: { name: string; bytes: Uint8Array }, found: number | null) =>
  new LedgerError(
    'STORE_UNREACHABLE',
    `cannot store pack ${pack.name}: the object store took its ${pack.bytes.length} bytes and then ` +
      `had ${found ?? 'none of them'} (${whereOf(bucket, keyOf(bucket, pack.name))}), twice; see ` +
      'whether it is full, then run the command again: what was committed is safe',
    { name: pack.name, expectedBytes: pack.bytes.length, foundBytes: found },
  );

/** Stores a pack. It counts as stored when the store says so after it took it: not all keep what they take. */
async function put(bucket: Bucket, pack: { name: string; bytes: Uint8Array }): Promise<void> {
  checkPackBytes(pack);
  assert(pack.bytes.length <= PACK_BYTES_MAX, 'a pack is small enough to be read again');
  const atMs = await putObjectOf(bucket, pack, pack.name);
  bucket.seen.set(pack.name, { sizeBytes: pack.bytes.length, atMs });
}

async function putPart(bucket: Bucket, part: { name: string; bytes: Uint8Array }): Promise<void> {
  checkPackName(part.name);
  bucket.seen.delete(part.name);
  await putObjectOf(bucket, part, createHash('sha256').update(part.bytes).digest('hex'));
}

/** Puts bytes under a pack's name; when they were sent. */
async function putObjectOf(
  bucket: Bucket,
  pack: { name: string; bytes: Uint8Array },
  sha256: string,
): Promise<number> {
  let found: number | null = null;
  for (let attempt = 0; attempt < PUT_ATTEMPTS_MAX; attempt += 1) {
    await send(bucket, pack, sha256);
    const atMs = bucket.clock();
    found = await askSize(bucket, pack.name);
    if (found === pack.bytes.length) return atMs;
  }
  throw notKept(bucket, pack, found);
}

const send = (
  bucket: Bucket,
  pack: { name: string; bytes: Uint8Array },
  sha256: string,
): Promise<void> =>
  putObject(bucket.client, {
    key: keyOf(bucket, pack.name),
    operation: `store pack ${pack.name}`,
    contentType: 'application/octet-stream',
    body: { bytes: pack.bytes, sha256 },
  });

/** Whether a pack is there: as the store said after its put, where that is not long ago. */
async function has(bucket: Bucket, pack: { name: string; sizeBytes: number }): Promise<boolean> {
  checkPackName(pack.name);
  const seen = bucket.seen.get(pack.name);
  const ageMs = seen === undefined ? Infinity : bucket.clock() - seen.atMs;
  // An age below zero is of a clock that was set back: nobody knows how old it is.
  if (seen !== undefined && ageMs >= 0 && ageMs < LOOK_COUNTS_MS)
    return seen.sizeBytes === pack.sizeBytes;
  return (await askSize(bucket, pack.name)) === pack.sizeBytes;
}

const ask = (bucket: Bucket, name: string, range: ObjectRange): Promise<RangeAnswer> =>
  bucket.client.send({
    method: 'GET',
    key: keyOf(bucket, name),
    operation: `read pack ${name}`,
    headers: { range: rangeHeader(range) },
    partOf: partOfRange(range),
    read: (answer) => readRange(answer, range),
  });

/** A range of at least a byte, or as much of it as the object has. */
async function askFound(bucket: Bucket, name: string, range: ObjectRange): Promise<FoundRange> {
  const answer = await ask(bucket, name, range);
  if (answer._tag === 'found') return answer;
  if (answer._tag === 'absent') throw packMissing(name, whereOf(bucket, keyOf(bucket, name)));
  const sizeBytes = answer.sizeBytes ?? (await sizeOf(bucket, name));
  return { bytes: new Uint8Array(0), sizeBytes };
}

/** The size of a pack: of any object but an empty one, its first byte's answer says it. */
async function sizeOf(bucket: Bucket, name: string): Promise<number> {
  const answer = await ask(bucket, name, { offsetBytes: 0, lengthBytes: 1 });
  if (answer._tag === 'absent') throw packMissing(name, whereOf(bucket, keyOf(bucket, name)));
  return answer.sizeBytes ?? 0;
}

async function find(bucket: Bucket, range: PackRange): Promise<FoundRange> {
  checkPackName(range.name);
  if (canBeOfPack(range)) return askFound(bucket, range.name, range);
  return { bytes: new Uint8Array(0), sizeBytes: await sizeOf(bucket, range.name) };
}

async function get(bucket: Bucket, range: PackRange): Promise<Uint8Array> {
  const { bytes, sizeBytes } = await find(bucket, range);
  const where = whereOf(bucket, keyOf(bucket, range.name));
  checkRange(range, { sizeBytes, where });
  if (bytes.length === range.lengthBytes) return bytes;
  throw new LedgerError(
    'PACK_DAMAGED',
    `pack ${range.name} has ${sizeBytes} bytes, and no pack has more than ${PACK_BYTES_MAX} ` +
      `(${where}); run \`pageledger verify\` to see what is affected`,
    { name: range.name, foundBytes: sizeBytes, expectedBytes: PACK_BYTES_MAX, where },
  );
}

async function remove(bucket: Bucket, name: string): Promise<void> {
  checkPackName(name);
  bucket.seen.delete(name);
  await removeObject(bucket, { key: keyOf(bucket, name), operation: `delete pack ${name}` });
}

async function removeObject(
  bucket: Bucket,
  of: { readonly key: string; readonly operation: string },
): Promise<void> {
  await bucket.client.send({
    method: 'DELETE',
    ...of,
    partOf: () => NOTHING,
    read: ({ status, headers }) => {
      if (status === 416) return either.left('status 416 for a DELETE');
      if (headers['x-amz-delete-marker'] === 'true') bucket.onVersionKept();
      return either.right(undefined);
    },
  });
}

/** Says once that the bucket keeps what is deleted. */
function versionNotice(onNotice: (text: string) => void, label: string): () => void {
  let isTold = false;
  return () => {
    if (!isTold)
      onNotice(
        `the bucket of ${label} keeps versions: packs that are deleted take up their space until a lifecycle rule of the bucket ends noncurrent versions`,
      );
    isTold = true;
  };
}

/** The server's time, as each of its answers bears it. */
const now = (bucket: Bucket): Promise<number> =>
  bucket.client.send({
    method: 'GET',
    key: '',
    operation: "look at the server's clock",
    query: { 'list-type': '2', 'max-keys': '1', prefix: packsPrefix(bucket) },
    partOf: () => NOTHING,
    read: ({ headers }) => {
      const ms = Date.parse(headers.date ?? '');
      return Number.isNaN(ms) ? either.left('no date in an answer') : either.right(ms);
    },
  });

/** The pack that an object is; null: something that is not ours, and is left alone. */
function entryOf(bucket: Bucket, object: ListedObject): PackEntry | null {
  const name = object.key.slice(-64);
  if (!PACK_NAME.test(name) || object.key !== keyOf(bucket, name)) return null;
  return { name, sizeBytes: object.sizeBytes, writtenAtMs: object.modifiedAtMs };
}

const endlessListing = (bucket: Bucket, why: string): LedgerError =>
  new LedgerError(
    'STORE_UNREACHABLE',
    `cannot list the packs: the object store ${bucket.client.address.label} answered as no object ` +
      `store does (${why}); check the endpoint in the page store's URL`,
    { store: bucket.client.address.label, found: why },
  );

async function* list(bucket: Bucket): AsyncGenerator<PackEntry> {
  const [prefix, operation] = [packsPrefix(bucket), 'list the packs'];
  let continuation: string | null = null;
  let lastName = '';
  let emptyListings = 0;
  do {
    const listing: Listing = await listObjects(bucket.client, { prefix, operation, continuation });
    const before = lastName;
    for (const object of listing.objects) {
      const entry = entryOf(bucket, object);
      if (entry === null) continue;
      // Each pack once: what goes back was given already, or the server goes round in circles.
      if (entry.name <= before) throw endlessListing(bucket, 'a listing that goes back');
      if (entry.name > lastName) lastName = entry.name;
      yield entry;
    }
    emptyListings = lastName === before ? emptyListings + 1 : 0;
    if (emptyListings > EMPTY_LISTINGS_MAX)
      throw endlessListing(bucket, `${emptyListings} listings without a pack`);
    ({ continuation } = listing);
  } while (continuation !== null);
}

function placeOf(url: string): S3Place {
  const place = parsePageStoreUrl(url);
  if (place._tag === 's3') return place;
  throw refuse({
    _tag: 'BadUrl',
    url: place.path,
    why: 'a bucket was expected: s3://BUCKET/PREFIX?endpoint=URL&region=NAME',
  });
}

function openBucket(options: S3PageStoreOptions): Bucket {
  const place = placeOf(options.url);
  const { clock = Date.now } = options;
  const client = createS3Client({
    address: addressOf(place, options.environment ?? process.env),
    credentials: options.credentials ?? null,
    clock,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    patienceMs: options.patienceMs ?? DEFAULT_PATIENCE_MS,
    onNotice: options.onNotice ?? (() => undefined),
  });
  return {
    client,
    prefix: place.prefix === '' ? '' : `${place.prefix}/`,
    seen: new RecentMap({ max: SEEN_MAX }),
    clock,
    onVersionKept: versionNotice(options.onNotice ?? (() => undefined), client.address.label),
  };
}

/** A page store in a bucket. Nothing is asked of the server yet; BadUrl is thrown at once. */
export function openS3PageStore(options: S3PageStoreOptions): S3PageStore {
  const bucket = openBucket(options);
  const path = bucket.client.address.label;
  const attempt = <A>(operation: string, work: () => Promise<A>) =>
    atPort(work, (thrown) => failureOf(thrown, { operation, path }));
  const hasPacks = async (): Promise<boolean> => {
    const first = await list(bucket).next();
    return first.done !== true;
  };
  return {
    put: (pack) => attempt('store a pack in', () => put(bucket, pack)),
    putPart: (part) => attempt('store a part of a pack in', () => putPart(bucket, part)),
    get: (range) => attempt(`read pack ${range.name} in`, () => get(bucket, range)),
    find: (range) => attempt(`read pack ${range.name} in`, () => find(bucket, range)),
    list: () => list(bucket),
    has: (pack) => attempt(`look for pack ${pack.name} in`, () => has(bucket, pack)),
    now: () => attempt('look at the clock of', () => now(bucket)),
    marks: () => attempt('look for marks in', () => marksIn(bucket)),
    putMark: (mark) =>
      attempt('write a mark in', () =>
        putMark(bucket, mark, (key) =>
          removeObject(bucket, { key, operation: 'delete an old mark of a compaction' }),
        ),
      ),
    delete: (name) => attempt(`delete pack ${name} in`, () => remove(bucket, name)),
    claim: (id) => attempt('claim', () => claimPlace(bucket, { id, hasPacks })),
    checkClaim: (id) => attempt('look at the claim of', () => checkClaimOf(bucket, id)),
    isClaimed: () => attempt('look at the claim of', () => hasClaim(bucket)),
    close: () => {
      bucket.client.close();
      return Promise.resolve();
    },
  };
}
