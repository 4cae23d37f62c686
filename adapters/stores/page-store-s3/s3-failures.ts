// How refusals and silences of an object store become LedgerErrors. Of what a server says only its
// status and its error code are repeated: a longer text may give back parts of the request.

import { LedgerError, type ErrorFacts } from '../../../domain/values/ledger-error.ts';
import type { Spoken } from '../spoken-tls.ts';
import type { HttpAnswer, HttpTrouble } from './http-exchange.ts';
import type { S3Address } from './s3-address.ts';

/** An answer with the code of its error, where it has one. */
export interface S3Answer extends HttpAnswer {
  readonly code: string | null;
}

/** What a request was for, and against what. */
export interface Doing {
  /** As `store pack 0123`. */
  readonly operation: string;
  readonly address: S3Address;
  /** Milliseconds since 1970 by this machine's clock. */
  readonly nowMs: number;
}

const AGAIN_STATUS = [408, 429, 500, 502, 503, 504];
/** Failures of the moment, whatever their status; the last three: the bytes changed on their way. */
const AGAIN_CODES = [
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
];
const FULL_CODES = ['InsufficientStorage', 'QuotaExceeded', 'XMinioStorageFull'];
const EXPIRED_CODES = ['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired'];
const REGION_CODES = [
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'PermanentRedirect',
  'TemporaryRedirect',
];
/** S3 itself refuses above 15 minutes; less may be refused elsewhere. */
const SKEW_MS_TOLD = 5 * 60_000;
const REGION = /^[a-z0-9-]{1,64}$/u;

/** Whether the same request may succeed later. */
export const isForNow = ({ status, code }: S3Answer): boolean =>
  AGAIN_STATUS.includes(status) || (code !== null && AGAIN_CODES.includes(code));

/** Whether newer credentials may be all that is needed. */
export const isExpired = ({ code }: S3Answer): boolean =>
  code !== null && EXPIRED_CODES.includes(code);

const said = ({ status, code }: S3Answer): string =>
  code === null ? `status ${status}` : `${code} (status ${status})`;

/** What an answer that may be better later said, as trouble. */
export const troubleOfAnswer = (answer: S3Answer): HttpTrouble => ({
  kind: 'unreachable',
  what: said(answer),
});

/** How far the server's clock is ahead of ours; null where it does not say. */
function skewOf(answer: S3Answer, nowMs: number): number | null {
  const server = Date.parse(answer.headers.date ?? '');
  return Number.isNaN(server) ? null : server - nowMs;
}

function skewText(skewMs: number | null): string {
  if (skewMs === null) return "this machine's clock and the server's differ";
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  return `this machine's clock is ${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} the server's`;
}

/** Why a request was refused, and what to do; the skew of the clocks where it may be the reason. */
function whyRefused(answer: S3Answer, { address, nowMs }: Doing): string {
  const { status, code } = answer;
  const skewMs = skewOf(answer, nowMs);
  const isSkewed = skewMs !== null && Math.abs(skewMs) > SKEW_MS_TOLD;
  if (code === 'RequestTimeTooSkewed' || ((status === 403 || status === 401) && isSkewed))
    return `${skewText(skewMs)}, and a request is good for 15 minutes: set the clock`;
  if (REGION_CODES.includes(code ?? '') || (status >= 300 && status < 400)) {
    const told = answer.headers['x-amz-bucket-region'];
    const isName = typeof told === 'string' && REGION.test(told);
    const where = isName ? `the bucket is in region ${told}` : 'the bucket is elsewhere';
    return `${where}, and region ${address.region} was asked: give the page store's URL the right region= and endpoint=`;
  }
  if (status === 401 || status === 403)
    return "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), that they may read, write, list and delete there, and this machine's clock";
  return "check the page store's URL: it is to name a bucket of an S3-compatible server";
}

/** What stands in the facts of every failure here. */
const factsOf = ({ address, operation }: Doing, facts: ErrorFacts): ErrorFacts => ({
  store: address.label,
  operation,
  ...facts,
});

/** The failure of a request that the server refused for good. */
export function refusal(answer: S3Answer, doing: Doing): LedgerError {
  const { status, code } = answer;
  const { operation, address } = doing;
  const skewMs = skewOf(answer, doing.nowMs);
  const facts = factsOf(doing, { status, answer: code, clockSkewMs: skewMs });
  if (code === 'NoSuchBucket')
    return new LedgerError(
      'STORE_MISSING',
      `cannot ${operation}: there is no bucket ${address.label}; create it, or check the page store's URL`,
      facts,
    );
  if (status === 507 || FULL_CODES.includes(code ?? ''))
    return new LedgerError(
      'DISK_FULL',
      `cannot ${operation}: the object store ${address.label} has no room (${said(answer)}); free some space and try again`,
      facts,
    );
  return new LedgerError(
    'STORE_REFUSED',
    `cannot ${operation}: the object store ${address.label} answered ${said(answer)}; ${whyRefused(answer, doing)}`,
    facts,
  );
}

/** The failure of a server that could not be had. */
export function unreachable(
  trouble: HttpTrouble,
  doing: Doing,
  tries: { readonly attempts: number; readonly waitedMs: number },
): LedgerError {
  const { operation, address } = doing;
  const waited = `tried ${tries.attempts} time${tries.attempts === 1 ? '' : 's'} in ${Math.round(tries.waitedMs / 1000)} s`;
  const silent = `did not answer (${trouble.what}; ${waited}); start it, or check the endpoint in the page store's URL, then run the command again`;
  const why: Readonly<Record<HttpTrouble['kind'], string>> = {
    unreachable: silent,
    cut: silent,
    untrusted: `is not trusted (${trouble.what}); check the scheme and host of the endpoint, or name its certificate authority in NODE_EXTRA_CA_CERTS`,
    nonsense: `answered as no object store does (${trouble.what}; ${waited}); check the endpoint in the page store's URL`,
  };
  return new LedgerError(
    'STORE_UNREACHABLE',
    `cannot ${operation}: the object store ${address.label} ${why[trouble.kind]}`,
    factsOf(doing, { attempts: tries.attempts, found: trouble.what }),
  );
}

/** The failure of a server that speaks TLS where its endpoint says none, or the reverse. */
export const otherwiseSecured = (spoken: Spoken, doing: Doing): LedgerError =>
  new LedgerError(
    'STORE_UNREACHABLE',
    spoken === 'plain'
      ? `cannot ${doing.operation}: the object store ${doing.address.label} speaks without TLS, and its endpoint says https:; if that is the server that is meant, say http: there: all then crosses the network in the clear`
      : `cannot ${doing.operation}: the object store ${doing.address.label} speaks TLS, and its endpoint says http:; say https: there`,
    factsOf(doing, { spoken }),
  );

/** The failure of a store that was closed under a request. */
export const storeClosed = (doing: Doing): LedgerError =>
  new LedgerError(
    'LEDGER_CLOSED',
    `cannot ${doing.operation}: the page store ${doing.address.label} was closed while it was used; open it again`,
    factsOf(doing, {}),
  );
