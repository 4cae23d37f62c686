// One HTTP request and its answer, over Node's own client, with everything bounded: time to connect,
// time without a byte, time in all, and how much of an answer is kept. Whatever goes wrong is a value;
// nothing is thrown, and no redirect is followed.

import { Agent as HttpAgent, request as sendPlain, type ClientRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as sendSecure } from 'node:https';
import type { Socket } from 'node:net';

export type HttpMethod = 'GET' | 'HEAD' | 'PUT' | 'DELETE';

export interface HttpHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Which part of a body is kept. */
export interface BodyPart {
  readonly skipBytes: number;
  readonly bytesMax: number;
  /** What is done with what comes after: not read, or a reason to believe nothing of it. */
  readonly excess: 'cut' | 'refuse';
}

export interface HttpRequest {
  readonly method: HttpMethod;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  /** Asks first whether the body is wanted, so that a refusal is heard before it is sent. */
  readonly asksFirst: boolean;
  readonly partOf: (head: HttpHead) => BodyPart;
  /** Told when the server has been silent for long, and is still waited for. */
  readonly onSilence: (what: string) => void;
}

export interface HttpAnswer extends HttpHead {
  readonly body: Uint8Array;
}

/** Why there is no answer. */
export interface HttpTrouble {
  readonly kind:
    | 'unreachable'
    /** Cut off before all of the body was sent: there may have been an answer. */
    | 'cut'
    | 'untrusted'
    | 'nonsense';
  /** What happened, for a message. */
  readonly what: string;
}

export type HttpOutcome =
  | { readonly _tag: 'answer'; readonly answer: HttpAnswer }
  | { readonly _tag: 'trouble'; readonly trouble: HttpTrouble };

export interface HttpLimits {
  readonly connectMsMax: number;
  /** Without a byte in either direction. */
  readonly idleMsMax: number;
  /** What is slower than this for long is as good as not there. */
  readonly bytesPerSecondMin: number;
}

export interface HttpServer {
  readonly protocol: 'http:' | 'https:';
  readonly hostname: string;
  readonly port: number | null;
}

export interface HttpClient {
  exchange(request: HttpRequest): Promise<HttpOutcome>;
  /** Ends what is under way. */
  close(): void;
}

/** Connections at once; further requests wait for one. */
const CONNECTIONS_MAX = 16;
/** A server that says nothing when it is asked first gets the body all the same. */
const ASK_MS_MAX = 1000;

/** Silence after which somebody is told of it. */
const SILENCE_MS_TOLD = 2000;

const UNTRUSTED = /^(?:CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/u;
const CUT = ['ECONNRESET', 'EPIPE', 'ECONNABORTED'];

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 1000 ? 1 : 0)} s`;

/** What Node said: its code, which bears no part of the request. */
function codeOf(thrown: unknown): string {
  const isObject = typeof thrown === 'object' && thrown !== null;
  return isObject && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'no code';
}

function troubleOf(thrown: unknown, sent: ClientRequest): HttpTrouble {
  const code = codeOf(thrown);
  if (code.startsWith('HPE_')) return { kind: 'nonsense', what: `no HTTP came back (${code})` };
  if (UNTRUSTED.test(code)) return { kind: 'untrusted', what: code };
  const isCut = CUT.includes(code) && !sent.writableFinished;
  return { kind: isCut ? 'cut' : 'unreachable', what: code };
}

/** Gathers the wanted part of a body. */
function gather(
  answer: IncomingMessage,
  part: BodyPart,
  done: (body: Uint8Array | HttpTrouble) => void,
): void {
  const chunks: Uint8Array[] = [];
  let skipBytes = part.skipBytes;
  let keptBytes = 0;
  const finish = (): void => {
    done(Buffer.concat(chunks));
  };
  answer.on('data', (chunk: Uint8Array) => {
    const skipped = Math.min(skipBytes, chunk.length);
    skipBytes -= skipped;
    const wanted = chunk.subarray(skipped, skipped + part.bytesMax - keptBytes);
    if (wanted.length > 0) chunks.push(wanted);
    keptBytes += wanted.length;
    if (skipped + wanted.length === chunk.length) return;
    if (part.excess === 'cut') finish();
    else done({ kind: 'nonsense', what: `an answer of more than ${part.bytesMax} bytes` });
  });
  answer.on('end', finish);
  answer.on('error', (thrown) => {
    done({ kind: 'unreachable', what: `cut off in its answer (${codeOf(thrown)})` });
  });
}

/** Calls `late` with what took too long: connecting, a silence, or the whole exchange. */
function watch(
  sent: ClientRequest,
  request: HttpRequest,
  { limits, late }: { readonly limits: HttpLimits; readonly late: (what: string) => void },
): { stop(): void; answering(bytes: number): void } {
  const timers = new Map<string, NodeJS.Timeout>();
  const stop = (name: string): void => {
    clearTimeout(timers.get(name));
    timers.delete(name);
  };
  const start = (name: string, limit: { readonly ms: number; readonly what: string }): void => {
    stop(name);
    const expire = (): void => {
      late(limit.what);
    };
    timers.set(name, setTimeout(expire, limit.ms));
  };
  const allow = (bytes: number): void => {
    const ms = limits.idleMsMax + (bytes / limits.bytesPerSecondMin) * 1000;
    start('all', { ms, what: `slower than ${limits.bytesPerSecondMin} bytes/s` });
  };
  sent.on('socket', (socket: Socket) => {
    allow(request.body?.length ?? 0);
    if (!socket.connecting) return;
    const ms = limits.connectMsMax;
    start('connect', { ms, what: `no connection within ${seconds(ms)}` });
    const connected = (): void => {
      stop('connect');
    };
    socket.once('secureConnect', connected);
    // Of a secure connection this is only the beginning.
    if (!('encrypted' in socket)) socket.once('connect', connected);
  });
  const toldMs = Math.min(SILENCE_MS_TOLD, limits.idleMsMax / 2);
  sent.setTimeout(toldMs);
  sent.once('timeout', () => {
    request.onSilence(`silent for ${seconds(toldMs)}`);
    sent.setTimeout(limits.idleMsMax - toldMs, () => {
      late(`silent for ${seconds(limits.idleMsMax)}`);
    });
  });
  return {
    stop: () => {
      for (const name of timers.keys()) stop(name);
    },
    answering: allow,
  };
}

/** Sends the body: at once, or when the server asks for it. */
function sendBody(sent: ClientRequest, request: HttpRequest): void {
  const { body } = request;
  if (body === null || !request.asksFirst) {
    sent.end(body ?? undefined);
    return;
  }
  const wait = setTimeout(() => sent.end(body), ASK_MS_MAX);
  sent.flushHeaders();
  sent.once('continue', () => {
    clearTimeout(wait);
    sent.end(body);
  });
  sent.once('response', () => {
    clearTimeout(wait);
  });
  sent.once('close', () => {
    clearTimeout(wait);
  });
}

function exchange(
  sent: ClientRequest,
  request: HttpRequest,
  limits: HttpLimits,
): Promise<HttpOutcome> {
  return new Promise((resolve) => {
    let received: IncomingMessage | null = null;
    const finish = (outcome: HttpOutcome): void => {
      timing.stop();
      // A connection with something left on it is of no use to the next request.
      if (received?.complete !== true || !sent.writableFinished) sent.destroy();
      resolve(outcome);
    };
    const fail = (trouble: HttpTrouble): void => {
      finish({ _tag: 'trouble', trouble });
    };
    const timing = watch(sent, request, {
      limits,
      late: (what) => {
        fail({ kind: 'unreachable', what });
      },
    });
    // Stays until the very end: a connection that is torn down may fail once more.
    sent.on('error', (thrown) => {
      fail(troubleOf(thrown, sent));
    });
    sent.on('response', (answer) => {
      received = answer;
      const head = { status: answer.statusCode ?? 0, headers: answer.headers };
      const part = request.partOf(head);
      timing.answering(part.skipBytes + part.bytesMax);
      // Some servers send a body after a HEAD that they refuse: what follows is no HTTP, and concerns nobody.
      if (request.method === 'HEAD' && head.status !== 200) {
        finish({ _tag: 'answer', answer: { ...head, body: new Uint8Array(0) } });
        return;
      }
      gather(answer, part, (body) => {
        if (body instanceof Uint8Array) finish({ _tag: 'answer', answer: { ...head, body } });
        else fail(body);
      });
    });
    sendBody(sent, request);
  });
}

/** A client of one server, with connections that are kept. */
export function createHttpClient(server: HttpServer, limits: HttpLimits): HttpClient {
  const options = { keepAlive: true, maxSockets: CONNECTIONS_MAX, scheduling: 'lifo' } as const;
  const isSecure = server.protocol === 'https:';
  const agent = isSecure ? new HttpsAgent(options) : new HttpAgent(options);
  const send = isSecure ? sendSecure : sendPlain;
  const { hostname, port } = server;
  return {
    exchange(request) {
      const { method, path } = request;
      const expect = request.asksFirst ? { expect: '100-continue' } : {};
      const headers = { ...request.headers, ...expect };
      return exchange(send({ hostname, port, agent, method, path, headers }), request, limits);
    },
    close: () => {
      agent.destroy();
    },
  };
}
