// Parts of a pack, asked for by one range and believed only where the answer says exactly that range.

import * as either from 'fp-ts/lib/Either.js';
import type { FoundRange } from '../page-store-cached/range-source.ts';
import type { BodyPart, HttpHead } from './http-exchange.ts';
import type { S3Answer } from './s3-failures.ts';

/** A stretch of an object, at least one byte. */
export interface ObjectRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What became of a range: found, at least in part; beyond the end of an object; or no object. */
export type RangeAnswer =
  | ({ readonly _tag: 'found' } & FoundRange)
  /** The size is null where the server does not say it. */
  | { readonly _tag: 'beyond'; readonly sizeBytes: number | null }
  | { readonly _tag: 'absent' };

const CONTENT_RANGE = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15})$/u;
const SIZE_BEYOND = /^bytes \*\/([0-9]{1,15})$/u;
const LENGTH = /^[0-9]{1,15}$/u;

export const rangeHeader = ({ offsetBytes, lengthBytes }: ObjectRange): string =>
  `bytes=${offsetBytes}-${offsetBytes + lengthBytes - 1}`;

/** What is kept of an answer: a server that knows no ranges gives everything from the beginning. */
export const partOfRange =
  ({ offsetBytes, lengthBytes }: ObjectRange) =>
  ({ status }: HttpHead): BodyPart =>
    status === 200
      ? { skipBytes: offsetBytes, bytesMax: lengthBytes, excess: 'cut' }
      : { skipBytes: 0, bytesMax: lengthBytes, excess: 'refuse' };

const found = (bytes: Uint8Array, sizeBytes: number): either.Either<string, RangeAnswer> =>
  either.right({ _tag: 'found', bytes, sizeBytes });

/** Bytes of the range that an object of a size has. */
const within = (range: ObjectRange, sizeBytes: number): number =>
  Math.max(0, Math.min(range.lengthBytes, sizeBytes - range.offsetBytes));

function readPart(answer: S3Answer, range: ObjectRange): either.Either<string, RangeAnswer> {
  const said = answer.headers['content-range'] ?? 'none';
  const [, first, last, size] = (CONTENT_RANGE.exec(said) ?? []).map(Number);
  if (first === undefined || last === undefined || size === undefined)
    return either.left('a part of an object without a Content-Range of one range');
  const lengthBytes = within(range, size);
  const isAsked = first === range.offsetBytes && last === first + lengthBytes - 1;
  if (!isAsked || lengthBytes === 0)
    return either.left(`Content-Range ${said} where ${rangeHeader(range)} was asked`);
  if (answer.body.length !== lengthBytes)
    return either.left(`${answer.body.length} bytes for Content-Range ${said}`);
  return found(answer.body, size);
}

function readWhole(answer: S3Answer, range: ObjectRange): either.Either<string, RangeAnswer> {
  const said = answer.headers['content-length'] ?? 'none';
  if (!LENGTH.test(said)) return either.left('a whole object without a Content-Length');
  const sizeBytes = Number(said);
  const lengthBytes = within(range, sizeBytes);
  if (lengthBytes === 0) return either.right({ _tag: 'beyond', sizeBytes });
  if (answer.body.length !== lengthBytes)
    return either.left(`${answer.body.length} bytes of an object of ${sizeBytes}`);
  return found(answer.body, sizeBytes);
}

/** Reads the answer to a request for a range; left: it makes no sense. */
export function readRange(
  answer: S3Answer,
  range: ObjectRange,
): either.Either<string, RangeAnswer> {
  switch (answer.status) {
    case 200:
      return readWhole(answer, range);
    case 206:
      return readPart(answer, range);
    case 404:
      return either.right({ _tag: 'absent' });
    case 416: {
      const size = SIZE_BEYOND.exec(answer.headers['content-range'] ?? '')?.[1];
      return either.right({ _tag: 'beyond', sizeBytes: size === undefined ? null : Number(size) });
    }
    default:
      return either.left(`status ${answer.status} for a part of an object`);
  }
}
