// Signatures (Version 4) and the credentials for them. Each request is signed with the SHA-256 of its
// body: no server stores other bytes than those.

import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { S3Address } from './s3-address.ts';

/** What signs a request. The secret and the token go nowhere else. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Gives the credentials that are valid now; asked before every request. */
export type CredentialProvider = () => Promise<S3Credentials>;

/** A request as it is signed. */
export interface UnsignedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the body, lower-case hex. */
  readonly sha256: string;
}

export interface S3Signer {
  /** All headers of the request, the signature among them. STORE_REFUSED without credentials. */
  sign(request: UnsignedRequest, nowMs: number): Promise<Record<string, string>>;
  /** Has the credentials looked up anew: those at hand have expired. */
  renew(): void;
}

/** How long the service that gives a virtual machine its credentials may take, where there is none. */
const METADATA_MS_MAX = 1000;

/** What the signer hashes with. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array | string {
  if (typeof data === 'string') return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The usual places, in the usual order: environment, profiles, web identity, container, machine. */
async function usualProvider(): Promise<CredentialProvider> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  return defaultProvider({ timeout: METADATA_MS_MAX, maxRetries: 1 });
}

/** What a provider says may repeat the output of a program that it ran, so only its kind is told. */
function withoutCredentials(thrown: unknown, address: S3Address): LedgerError {
  const isObject = typeof thrown === 'object' && thrown !== null;
  const kind = isObject && 'name' in thrown ? String(thrown.name).slice(0, 64) : typeof thrown;
  const profile = process.env['AWS_PROFILE'];
  const named = profile === undefined ? '' : ` (AWS_PROFILE is ${JSON.stringify(profile)})`;
  return new LedgerError(
    'STORE_REFUSED',
    `no credentials for the object store ${address.label} were found (${kind})${named}; set ` +
      'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws in AWS_PROFILE, ' +
      'and renew its session where it has one',
    { store: address.label, found: kind },
  );
}

/** A signer for one server; without a provider the credentials come from the usual places. */
export function createSigner(address: S3Address, given: CredentialProvider | null): S3Signer {
  let provider: Promise<CredentialProvider> | null = null;
  const credentials: CredentialProvider = async () => {
    try {
      provider ??= given === null ? usualProvider() : Promise.resolve(given);
      return await (
        await provider
      )();
    } catch (thrown) {
      provider = null;
      throw withoutCredentials(thrown, address);
    }
  };
  const signer = new SignatureV4({
    service: 's3',
    region: address.region,
    credentials,
    sha256: Sha256,
    // Keys are signed as they are sent.
    uriEscapePath: false,
  });
  return {
    async sign({ method, path, query, headers, sha256 }, nowMs) {
      const signed = await signer.sign(
        {
          method,
          protocol: address.protocol,
          hostname: address.hostname,
          path,
          query: { ...query },
          headers: { ...headers, 'x-amz-content-sha256': sha256 },
        },
        { signingDate: new Date(nowMs) },
      );
      return signed.headers;
    },
    renew() {
      provider = null;
    },
  };
}
