// Requests to a bucket: signed, sent, repeated while that may help, and their answers read. Only what
// all common servers have in common is used (path and headers, one range, no trailers, no conditions).

import { createHash } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import type { Clock } from '../../../domain/ports/clock.ts';
import {
  createHttpClient,
  type BodyPart,
  type HttpAnswer,
  type HttpClient,
  type HttpHead,
  type HttpLimits,
  type HttpMethod,
  type HttpOutcome,
  type HttpTrouble,
} from './http-exchange.ts';
import { createOutage, type Outage } from './outage.ts';
import type { S3Address } from './s3-address.ts';
import { ERROR_BYTES_MAX, errorCodeOf } from './s3-answers.ts';
import {
  isExpired,
  isForNow,
  otherwiseSecured,
  refusal,
  storeClosed,
  troubleOfAnswer,
  unreachable,
  type Doing,
  type S3Answer,
} from './s3-failures.ts';
import { spokenBy, type Spoken } from '../spoken-tls.ts';
import { createSigner, type CredentialProvider, type S3Signer } from './s3-signer.ts';

/** A request for an object, or for the bucket where the key is empty, and how its answer is read. */
export interface S3Request<A> {
  readonly method: HttpMethod;
  /** Of characters that need no escape in a path. */
  readonly key: string;
  /** What it is for, as a message says it after "cannot". */
  readonly operation: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly bytes: Uint8Array; readonly sha256: string };
  /** What is kept of the body of a success. */
  readonly partOf: (head: HttpHead) => BodyPart;
  /** Reads a success, an absent object (404) or a range beyond it (416); left: it makes no sense. */
  readonly read: (answer: S3Answer) => either.Either<string, A>;
}

export interface S3ClientOptions {
  readonly address: S3Address;
  readonly credentials: CredentialProvider | null;
  readonly clock: Clock;
  readonly limits: HttpLimits;
  readonly patienceMs: number;
  readonly onNotice: (text: string) => void;
}

export interface S3Client {
  readonly address: S3Address;
  /** What the answer is; a LedgerError is thrown where there is none. */
  send<A>(request: S3Request<A>): Promise<A>;
  close(): void;
}

const NO_BYTES_SHA256 = createHash('sha256').digest('hex');
/** Of a body that nobody reads. */
export const NOTHING: BodyPart = { skipBytes: 0, bytesMax: 0, excess: 'cut' };

/** A connection that stood, and ended without an answer. */
const CUT_OFF = /ECONNRESET|EPIPE|ECONNABORTED/u;

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** As a query, and as it is signed, write every character but the plainest. */
const escaped = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/gu,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );

const queryText = (query: Readonly<Record<string, string>>): string =>
  Object.entries(query)
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .join('&');

const nonsense = (what: string): HttpTrouble => ({ kind: 'nonsense', what });

/** What is to be done about an outcome. */
type Verdict<A> =
  | { readonly _tag: 'value'; readonly value: A }
  /** `last`: what is told when there is no further attempt, where that is a refusal. */
  | { readonly _tag: 'again'; readonly trouble: HttpTrouble; readonly last: S3Answer | null }
  | { readonly _tag: 'renew' }
  | { readonly _tag: 'refused'; readonly answer: S3Answer };

const again = (trouble: HttpTrouble, last: S3Answer | null = null) =>
  ({ _tag: 'again', trouble, last }) as const;

function judge<A>(
  request: S3Request<A>,
  outcome: HttpOutcome,
  { hasBucket }: { readonly hasBucket: boolean },
): Verdict<A> {
  if (outcome._tag === 'trouble') return again(outcome.trouble);
  const answer = withCode(outcome.answer);
  const { status } = answer;
  if (isForNow(answer)) return again(troubleOfAnswer(answer));
  // A bucket that was there a moment ago: Swift says so too while the servers that know it are away.
  if (answer.code === 'NoSuchBucket' && hasBucket) return again(troubleOfAnswer(answer), answer);
  if (isExpired(answer)) return { _tag: 'renew' };
  // A server of another kind has its own 404, which says nothing about packs.
  const isBare = request.method === 'HEAD';
  const isAbsent = status === 404 && (isBare || answer.code === 'NoSuchKey');
  if (status === 404 && answer.code === null && !isBare)
    return again(nonsense('status 404 without the error of an object store'));
  if (!isSuccess(status) && !isAbsent && status !== 416) return { _tag: 'refused', answer };
  const read = request.read(answer);
  if (either.isRight(read)) return { _tag: 'value', value: read.right };
  return again(nonsense(read.left));
}

const withCode = (answer: HttpAnswer): S3Answer => ({
  ...answer,
  code: isSuccess(answer.status) ? null : errorCodeOf(answer.body),
});

/**
 * Whether an attempt may have failed because one side speaks TLS and the other does not: some servers
 * say that with a status and no code of an object store.
 */
function isOfTransport(verdict: Verdict<unknown>): boolean {
  if (verdict._tag === 'refused')
    return verdict.answer.status === 400 && verdict.answer.code === null;
  if (verdict._tag !== 'again') return false;
  const { kind, what } = verdict.trouble;
  return kind === 'untrusted' || kind === 'nonsense' || CUT_OFF.test(what);
}

class Client implements S3Client {
  readonly address: S3Address;
  readonly #options: S3ClientOptions;
  readonly #http: HttpClient;
  readonly #signer: S3Signer;
  readonly #outage: Outage;
  #isClosed = false;
  /** Whether a request has succeeded. */
  #hasBucket = false;
  #spoken: Promise<Spoken | null> | null = null;

  constructor(options: S3ClientOptions) {
    const { address, patienceMs, onNotice } = options;
    this.address = address;
    this.#options = options;
    this.#http = createHttpClient(address, options.limits);
    this.#signer = createSigner(address, options.credentials);
    this.#outage = createOutage({ label: address.label, patienceMs, onNotice });
  }

  async send<A>(request: S3Request<A>): Promise<A> {
    const attempts = this.#outage.begin();
    let asksFirst = false;
    let isRenewed = false;
    for (;;) {
      const nowMs = this.#options.clock();
      const doing: Doing = { operation: request.operation, address: this.address, nowMs };
      if (this.#isClosed) throw storeClosed(doing);
      const outcome: HttpOutcome = await this.#attempt(request, { nowMs, asksFirst });
      let verdict: Verdict<A> = judge(request, outcome, { hasBucket: this.#hasBucket });
      if (outcome._tag === 'answer') {
        if (verdict._tag !== 'again') this.#outage.over();
        if (verdict._tag === 'renew' && isRenewed)
          verdict = { _tag: 'refused', answer: withCode(outcome.answer) };
      }
      if (verdict._tag === 'value') {
        this.#hasBucket = true;
        return verdict.value;
      }
      if (isOfTransport(verdict)) await this.#checkSpoken(doing);
      if (verdict._tag === 'refused') throw refusal(verdict.answer, doing);
      if (verdict._tag === 'renew') {
        this.#signer.renew();
        isRenewed = true;
        continue;
      }
      // Of a body that was cut off the server may have said why: asked first, it is heard.
      asksFirst = verdict.trouble.kind === 'cut' && !asksFirst;
      const goesOn = await attempts.again(verdict.trouble);
      if (this.#isClosed) throw storeClosed(doing);
      if (!goesOn && verdict.last !== null) throw refusal(verdict.last, doing);
      if (!goesOn) throw unreachable(verdict.trouble, doing, attempts);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#outage.close();
    this.#http.close();
  }

  /** Of a server that has never answered: whether it speaks TLS as its endpoint says. It is asked once. */
  async #checkSpoken(doing: Doing): Promise<void> {
    if (this.#hasBucket) return;
    const { protocol, hostname: host, port } = this.address;
    const isTls = protocol === 'https:';
    this.#spoken ??= spokenBy({ host, port: port ?? (isTls ? 443 : 80) });
    const spoken = await this.#spoken;
    if (spoken === (isTls ? 'plain' : 'tls')) throw otherwiseSecured(spoken, doing);
  }

  async #attempt<A>(
    request: S3Request<A>,
    { nowMs, asksFirst }: { readonly nowMs: number; readonly asksFirst: boolean },
  ): Promise<HttpOutcome> {
    const { address } = this;
    const { method, key, query = {}, body } = request;
    const path = key === '' ? address.basePath : `${address.basePath}/${key}`;
    const host = address.hostname.includes(':') ? `[${address.hostname}]` : address.hostname;
    const headers = await this.#signer.sign(
      {
        method,
        path: path === '' ? '/' : path,
        query,
        headers: {
          host: address.port === null ? host : `${host}:${address.port}`,
          'accept-encoding': 'identity',
          ...(body === undefined ? {} : { 'content-length': String(body.bytes.length) }),
          ...request.headers,
        },
        sha256: body?.sha256 ?? NO_BYTES_SHA256,
      },
      nowMs,
    );
    const text = queryText(query);
    return this.#http.exchange({
      method,
      path: `${path === '' ? '/' : path}${text === '' ? '' : `?${text}`}`,
      headers,
      body: body?.bytes ?? null,
      asksFirst,
      onSilence: (what) => this.#outage.silent(what),
      partOf: (head) =>
        isSuccess(head.status)
          ? request.partOf(head)
          : { skipBytes: 0, bytesMax: ERROR_BYTES_MAX, excess: 'cut' },
    });
  }
}

/** A client of one bucket. */
export const createS3Client = (options: S3ClientOptions): S3Client => new Client(options);
