// The places where a ledger on a server may keep its packs, a line each: a folder that its hosts share,
// a bucket of an object store.

import { resolve } from 'node:path';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { nodeFiles } from '../../files/files.ts';
import { openClaimedFolder } from '../../stores/ledger-folder/claimed-folder.ts';
import { parsePageStoreUrl, s3Url } from '../../stores/page-store-s3/page-store-url.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { LedgerPages } from '../ledger/ledger-parts.ts';
import type { OpenLedgerOptions } from './options.ts';

/** What is kept of packs in an object store on this host, unless said otherwise. */
const CACHE_BYTES_MAX = 4 * 1024 ** 3;

/** A page store, and the way to make its place a ledger's. */
export interface ClaimedPages extends LedgerPages {
  /** Makes the place the ledger's, where it is nobody's. STORE_TAKEN. */
  claim(id: string): TaskEither<LedgerError, void>;
  /** Makes sure that the place is the ledger's. STORE_TAKEN, STORE_MISSING. */
  checkClaim(id: string): TaskEither<LedgerError, void>;
  /** Whether the place is a ledger's. */
  isClaimed(): TaskEither<LedgerError, boolean>;
}

/** Where the packs lie, and where this host may keep some of them. */
interface PlaceOf {
  readonly url: string;
  readonly cache: string;
}

/** A kind of place for packs. */
interface PagePlace {
  /** Whether a URL names such a place. */
  takes(url: string): boolean;
  /** The place's URL, the same for every host, without secrets. Refused where it is none. */
  urlOf(given: string): string;
  open(options: OpenLedgerOptions, at: PlaceOf): Promise<ClaimedPages>;
}

/** Packs in a folder that all hosts see. */
const folderPages = (options: OpenLedgerOptions, { url }: PlaceOf): Promise<ClaimedPages> =>
  Promise.resolve(openClaimedFolder({ files: options.files ?? nodeFiles, folder: url }));

/** Packs in an object store, read through this host's cache. */
async function bucketPages(
  options: OpenLedgerOptions,
  { url, cache }: PlaceOf,
): Promise<ClaimedPages> {
  const { openS3PageStore } = await import('../../stores/page-store-s3/page-store-s3.ts');
  const { cachePages } = await import('../../stores/page-store-cached/cached-pages.ts');
  const { onNotice, patienceMs } = options;
  const told = onNotice === undefined ? {} : { onNotice };
  const bucket = openS3PageStore({
    url,
    ...told,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  const cached = cachePages({
    store: bucket,
    files: options.files ?? nodeFiles,
    folder: cache,
    bytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX,
    ...told,
  });
  return {
    ...cached,
    origin: bucket,
    claim: (id) => bucket.claim(id),
    checkClaim: (id) => bucket.checkClaim(id),
    isClaimed: () => bucket.isClaimed(),
    // A put is whole or not there at all.
    removeLeftovers: () => taskEither.of(0),
    close: async () => {
      await cached.close();
      await bucket.close();
    },
  };
}

/** The URL of a place as it is remembered. */
function urlOf(given: string): string {
  const place = parsePageStoreUrl(given);
  return place._tag === 's3' ? s3Url(place) : resolve(place.path);
}

/** The first that takes a URL has it. */
const PLACES: readonly PagePlace[] = [
  { takes: (url) => url.startsWith('s3://'), urlOf, open: bucketPages },
  { takes: () => true, urlOf, open: folderPages },
];

const placeAt = (url: string): PagePlace => PLACES.find((place) => place.takes(url))!;

/** A place's URL as the ledger remembers it: the same for every host, without secrets. */
export const placeUrl = (given: string): string => placeAt(given).urlOf(given);

/** Opens the page store at a URL that the ledger remembers. */
export const openPages = (options: OpenLedgerOptions, at: PlaceOf): Promise<ClaimedPages> =>
  placeAt(at.url).open(options, at);
