// The least that makes an S3 request: signed, sent once, its answer as it came. Tests reach round the
// page store with it (to make a bucket, to damage an object), and benches take it for the limit.

import { createHash, createHmac } from 'node:crypto';
import { Agent, request as send, type IncomingHttpHeaders } from 'node:http';

export interface RawRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'HEAD';
  /** `/bucket/key`, of characters that need no escape. */
  readonly path: string;
  /** Ascending by name. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface RawS3 {
  request(request: RawRequest): Promise<RawAnswer>;
  close(): void;
}

export interface RawS3Options {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const sha256 = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');
const hmac = (key: Uint8Array | string, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest();

/** The headers that the signature covers, and the signature: Signature Version 4, region us-east-1. */
function signed(options: RawS3Options, request: RawRequest, query: string): Record<string, string> {
  const date = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
  const day = date.slice(0, 8);
  const scope = `${day}/us-east-1/s3/aws4_request`;
  const headers: Record<string, string> = {
    host: new URL(options.endpoint).host,
    'x-amz-content-sha256': sha256(request.body ?? ''),
    'x-amz-date': date,
  };
  const names = Object.keys(headers).toSorted();
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join('');
  const payload = headers['x-amz-content-sha256'];
  const canonical = [request.method, request.path, query, lines, names.join(';'), payload];
  const text = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical.join('\n'))].join('\n');
  const dayKey = hmac(`AWS4${options.secretAccessKey}`, day);
  const key = hmac(hmac(hmac(dayKey, 'us-east-1'), 's3'), 'aws4_request');
  const signature = hmac(key, text).toString('hex');
  const credential = `Credential=${options.accessKeyId}/${scope}`;
  headers['authorization'] =
    `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return headers;
}

const queryText = (query: Readonly<Record<string, string>> = {}): string =>
  Object.entries(query)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');

/** A client of an S3 server on this machine. */
export function createRawS3(options: RawS3Options): RawS3 {
  const agent = new Agent({ keepAlive: true });
  const { hostname, port } = new URL(options.endpoint);
  const exchange = (request: RawRequest): Promise<RawAnswer> => {
    const query = queryText(request.query);
    const path = query === '' ? request.path : `${request.path}?${query}`;
    const headers = {
      ...signed(options, request, query),
      ...request.headers,
      'content-length': String(request.body?.length ?? 0),
    };
    return new Promise((resolve, reject) => {
      const sent = send({ hostname, port, agent, method: request.method, path, headers });
      sent.on('error', reject);
      sent.on('response', (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const status = answer.statusCode ?? 0;
          resolve({ status, headers: answer.headers, body: Buffer.concat(chunks) });
        });
      });
      sent.end(request.body);
    });
  };
  return { request: exchange, close: () => agent.destroy() };
}
