// What S3 servers say in XML: errors and listings. Foreign bytes: bounded before they come here, read
// without entities and without document types, and believed only where every field is what it has to
// be.

import { XMLParser } from 'fast-xml-parser';
import * as either from 'fp-ts/lib/Either.js';

/** Most of an error that is read. */
export const ERROR_BYTES_MAX = 64 * 1024;
/** Objects in one answer of a listing. */
export const LISTING_KEYS_MAX = 1000;
/** Room for that many keys of 1,024 bytes, each byte escaped, and what stands beside them. */
export const LISTING_BYTES_MAX = 8 * 2 ** 20;

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedAtMs: number;
}

export interface Listing {
  readonly objects: readonly ListedObject[];
  /** Where the next listing goes on; null: this was the last. */
  readonly continuation: string | null;
}

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  isArray: (name) => name === 'Contents',
});

/** One word, so that no sentence and no header that a server gave back stands in a message. */
const ERROR_CODE = /^[A-Z][A-Za-z0-9]{1,47}$/u;

/** The document's root element of that name, or null. A document that was cut short has none. */
function rootOf(body: Uint8Array, name: string): Readonly<Record<string, unknown>> | null {
  const text = new TextDecoder().decode(body).trim();
  if (text.includes('<!DOCTYPE') || !text.endsWith(`</${name}>`)) return null;
  try {
    const document: unknown = parser.parse(text);
    return fieldsOf(isObject(document) ? document[name] : null);
  } catch {
    return null;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> | null =>
  isObject(value) && !Array.isArray(value) ? value : null;

/** The code of an error, such as NoSuchKey; null where the body is no error of an S3 server. */
export function errorCodeOf(body: Uint8Array): string | null {
  const code = rootOf(body, 'Error')?.['Code'];
  return typeof code === 'string' && ERROR_CODE.test(code) ? code : null;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

const ESCAPE = /&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|[a-z]{2,4});/gu;
const CODE_POINT_MAX = 0x10_ffff;

/** Text without XML's own escapes. */
const unescaped = (text: string): string =>
  text.replaceAll(ESCAPE, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole;
    const isHex = name.startsWith('#x');
    const point = Number.parseInt(name.slice(isHex ? 2 : 1), isHex ? 16 : 10);
    return point <= CODE_POINT_MAX ? String.fromCodePoint(point) : whole;
  });

const SIZE = /^[0-9]{1,15}$/u;

function objectOf(value: unknown): ListedObject | null {
  const fields = fieldsOf(value);
  const [key, size, time] = [fields?.['Key'], fields?.['Size'], fields?.['LastModified']];
  if (typeof key !== 'string' || typeof size !== 'string' || typeof time !== 'string') return null;
  const modifiedAtMs = Date.parse(time);
  if (!SIZE.test(size) || Number.isNaN(modifiedAtMs)) return null;
  return { key: unescaped(key), sizeBytes: Number(size), modifiedAtMs };
}

/** Reads an answer of ListObjectsV2; or what is wrong with it. */
export function readListing(body: Uint8Array): either.Either<string, Listing> {
  const root = rootOf(body, 'ListBucketResult');
  if (root === null) return either.left('a listing that is no ListBucketResult');
  const contents = root['Contents'] ?? [];
  if (!Array.isArray(contents)) return either.left('a listing without objects');
  const objects: ListedObject[] = [];
  for (const each of contents) {
    const object = objectOf(each);
    if (object === null) return either.left('a listing with an object without key, size or time');
    objects.push(object);
  }
  const [isTruncated, next] = [root['IsTruncated'], root['NextContinuationToken']];
  if (isTruncated !== 'true' && isTruncated !== 'false')
    return either.left('a listing that does not say whether it goes on');
  if (isTruncated === 'false') return either.right({ objects, continuation: null });
  if (typeof next !== 'string' || next === '')
    return either.left('a listing that goes on and does not say where');
  return either.right({ objects, continuation: unescaped(next) });
}
