// Where packs lie, as a user says it: a folder (a path, or file://), or a bucket of an S3-compatible
// object store,
//
//   s3://BUCKET[/PREFIX][?endpoint=http://127.0.0.1:9000][&region=us-east-1]
//
// It is remembered in the ledger's first event, so nothing secret may stand in it. What is refused is
// repeated without what could be a secret.

import { fileURLToPath } from 'node:url';
import { refuse, type Refused } from '../../../domain/values/refused.ts';

/** A bucket, or a part of one. */
export interface S3Place {
  readonly _tag: 's3';
  readonly bucket: string;
  /** Without a slash at either end; empty: the whole bucket. */
  readonly prefix: string;
  /** Scheme, host, port and perhaps a path; null: what the environment says, else AWS. */
  readonly endpoint: string | null;
  /** Null: what the environment says, else us-east-1. */
  readonly region: string | null;
}

export interface FolderPlace {
  readonly _tag: 'folder';
  /** As it was given, perhaps relative. */
  readonly path: string;
}

export type PageStorePlace = S3Place | FolderPlace;

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//u;
const S3_WITHOUT_SLASHES = /^s3:/iu;
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/u;
/** Characters that no server and no listing escapes. */
const PREFIX = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/u;
const DOTS_ONLY = /(?:^|\/)\.{1,2}(?:\/|$)/u;
/** A run of slashes is looked at from its first one only: text from a log may have any number. */
const TRAILING_SLASHES = /(?<!\/)\/+$/u;
const REGION = /^[a-z0-9-]{1,64}$/u;
/** Keys have at most 1,024 bytes; a pack's name and folder take 74. */
const PREFIX_CHARACTERS_MAX = 512;
const PARAMETERS = ['endpoint', 'region'];
/** Characters of a parameter's name that are repeated in a message. */
const NAME_CHARACTERS_SHOWN = 32;

const EXPECTED =
  'expected is s3://BUCKET/PREFIX?endpoint=URL&region=NAME, file:///FOLDER or a folder';
const NO_SECRETS =
  'a page store is remembered in the log, so no user name, password or key may stand in it; ' +
  'credentials come from the AWS environment variables and files';

/** What can be repeated of a text that was refused: no user, no password, no parameters. */
const shown = (text: string): string =>
  text.replace(/\/\/[^/?#]*@/u, '//').replace(/[?#].*$/su, '');

/** A text, and what a refusal of it names: the whole URL that it is a part of, or a variable. */
export interface GivenText {
  readonly text: string;
  readonly named: string;
}

const badUrl = ({ named, why }: { readonly named: string; readonly why: string }): Refused =>
  refuse({ _tag: 'BadUrl', url: shown(named), why });

/** Refuses what has a user or a password before its host, or what is no URL. */
function parsed({ text, named }: GivenText): URL {
  if (!URL.canParse(text)) throw badUrl({ named, why: `it is no URL; ${EXPECTED}` });
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || /\/\/[^/?#]*@/u.test(text))
    throw badUrl({ named, why: NO_SECRETS });
  return url;
}

/** An endpoint in its shortest form. */
export function checkedEndpoint(given: GivenText): string {
  const { text, named } = given;
  if (!/^https?:\/\//iu.test(text))
    throw badUrl({
      named,
      why: 'the endpoint of an object store begins with http:// or https://',
    });
  const url = parsed(given);
  if (url.search !== '' || url.hash !== '')
    throw badUrl({
      named,
      why: 'an endpoint is a scheme, a host and a port, without parameters',
    });
  return `${url.origin}${url.pathname.replace(TRAILING_SLASHES, '')}`;
}

/** A region's name. */
export function checkedRegion({ text, named }: GivenText): string {
  if (REGION.test(text)) return text;
  throw badUrl({ named, why: 'a region is a name such as us-east-1' });
}

function checkParameters(url: URL, named: string): void {
  const names = [...url.searchParams.keys()];
  const unknown = names.find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined)
    throw badUrl({
      named,
      why:
        `it has a parameter ${JSON.stringify(unknown.slice(0, NAME_CHARACTERS_SHOWN))}, and the ` +
        'parameters of an s3:// URL are endpoint and region; credentials come from the AWS ' +
        'environment variables and files',
    });
  if (new Set(names).size < names.length)
    throw badUrl({ named, why: 'a parameter is given twice' });
  if (url.hash !== '')
    throw badUrl({ named, why: 'it has a part after #, which means nothing here' });
}

function parseS3(text: string): S3Place {
  const url = parsed({ text, named: text });
  checkParameters(url, text);
  if (!BUCKET.test(url.host))
    throw badUrl({
      named: text,
      why: `a bucket's name has 3 to 63 of a-z, 0-9, dot, dash and underscore; ${EXPECTED}`,
    });
  const prefix = url.pathname.replace(/^\/|\/$/gu, '');
  // As it was typed: the parser has resolved `..` already, to a place that was not meant.
  const isKey = PREFIX.test(prefix) && !DOTS_ONLY.test(text.replace(/[?#].*$/su, ''));
  if (prefix !== '' && (!isKey || prefix.length > PREFIX_CHARACTERS_MAX))
    throw badUrl({
      named: text,
      why:
        `a prefix has parts of A-Z, a-z, 0-9, dot, dash and underscore between single slashes, ` +
        `${PREFIX_CHARACTERS_MAX} characters in all`,
    });
  const endpoint = url.searchParams.get('endpoint');
  const region = url.searchParams.get('region');
  return {
    _tag: 's3',
    bucket: url.host,
    prefix,
    endpoint: endpoint === null ? null : checkedEndpoint({ text: endpoint, named: text }),
    region: region === null ? null : checkedRegion({ text: region, named: text }),
  };
}

function parseFolder(text: string): FolderPlace {
  const url = parsed({ text, named: text });
  checkParameters(url, text);
  try {
    return { _tag: 'folder', path: fileURLToPath(url) };
  } catch {
    throw badUrl({ named: text, why: `it names no folder of this host; ${EXPECTED}` });
  }
}

/** Reads where packs lie; anything else is refused (BadUrl). */
export function parsePageStoreUrl(text: string): PageStorePlace {
  if (text === '') throw badUrl({ named: text, why: `it is empty; ${EXPECTED}` });
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme === 's3') return parseS3(text);
  if (scheme === 'file') return parseFolder(text);
  if (scheme !== undefined || S3_WITHOUT_SLASHES.test(text))
    throw badUrl({
      named: text,
      why: `packs are kept in a folder or in an S3-compatible bucket; ${EXPECTED}`,
    });
  return { _tag: 'folder', path: text };
}

/** The URL of a place in a bucket, always the same for the same place. */
export function s3Url(place: S3Place): string {
  const parameters = new URLSearchParams();
  if (place.endpoint !== null) parameters.set('endpoint', place.endpoint);
  if (place.region !== null) parameters.set('region', place.region);
  const path = place.prefix === '' ? '' : `/${place.prefix}`;
  // Colons and slashes need no escape in a query, and a person reads this.
  const query = parameters.toString().replaceAll('%3A', ':').replaceAll('%2F', '/');
  return `s3://${place.bucket}${path}${query === '' ? '' : `?${query}`}`;
}
