// QEMU's control protocol: JSON, a line each, over a unix socket. Commands carry an id and are
// answered in any order between events. Everything waits with a limit: a socket that is absent, is
// no QMP or dies in the middle is an error that says so. Nothing received is trusted: lines are
// bounded, shapes are checked.

import { connect } from 'node:net';
import type { Socket } from 'node:net';
import * as t from 'io-ts';
import { errnoOf } from '../../files/failures.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { sentenceOf } from './failure.ts';
import { processOfSocket, type FoundProcess } from './qemu-process.ts';
import { Qmp, QmpVersion, versionText, type QmpArguments } from './qmp.ts';
import { qmpAddressOf, qmpLabelOf, qmpOptionOf, type QmpAddress } from './qmp-address.ts';

/** Longest line taken: `query-qmp-schema`, the longest answer known, has 250 KB. */
const LINE_CHARS_MAX = 16 * 1024 * 1024;
/** A host that has too much to do is not one that does not answer. */
const CONNECT_TIMEOUT_MS = 10_000;
const COMMAND_TIMEOUT_MS = 30_000;
/** First number of what is asked on an adopted connection: far from those asked there before. */
const ADOPTED_ID = 2 ** 40;
/** When it is asked again there, at first and at last. */
const AGAIN_AFTER_MS = 500;
const AGAIN_AFTER_MS_MAX = 60_000;
/** Longest limit that a timer takes. */
const PATIENCE_MS = 2 ** 31 - 1;

const Greeting = t.type({ QMP: t.type({ version: QmpVersion }) });
const Answer = t.type({ id: t.number, return: t.unknown });
const Failure = t.type({ id: t.number, error: t.type({ class: t.string, desc: t.string }) });
const Event = t.intersection([
  t.type({
    event: t.string,
    timestamp: t.type({ seconds: t.number, microseconds: t.number }),
  }),
  t.partial({ data: t.UnknownRecord }),
]);

/** Why a connection is of no use any more. */
const LOST = {
  QMP_LOST: 'the connection ended',
  QMP_PROTOCOL: 'this is not QMP as QEMU speaks it',
  QMP_UNREACHABLE: 'QEMU does not answer',
} as const;
type Lost = keyof typeof LOST;

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: LedgerError) => void;
  readonly timer: NodeJS.Timeout;
}

export interface QmpOptions {
  /** A socket's path, or an address in QEMU's words. */
  readonly path: string;
  /** Limit for connecting and for the greeting. */
  readonly connectTimeoutMs?: number;
  readonly commandTimeoutMs?: number;
}

/** A connection to one QEMU. Made by `connectQmp`. */
export class QmpClient extends Qmp {
  readonly stragglesMs = 0;
  readonly path: string;
  readonly #socket: Socket;
  readonly #commandTimeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  readonly #parts: string[] = [];
  #partChars = 0;
  #nextId = 1;
  #lost: LedgerError | null = null;
  #version = '';
  #onGreeting: ((error: LedgerError | null) => void) | null;
  /**
   * Somebody else speaks here too, until told otherwise: a line may be a part, answers may be theirs,
   * and ours may go to them, so that what is not answered is asked again.
   */
  readonly #isAdopted: boolean;

  constructor(
    socket: Socket,
    options: QmpOptions & { readonly onGreeting: ((error: LedgerError | null) => void) | null },
  ) {
    super();
    this.path = options.path;
    this.#socket = socket;
    this.#commandTimeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
    this.#onGreeting = options.onGreeting;
    this.#isAdopted = options.onGreeting === null;
    if (this.#isAdopted) this.#nextId = ADOPTED_ID;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#takeText(text));
    socket.on('error', (error) => this.#lose('QMP_LOST', `: ${error.message}`));
    socket.on('close', () => this.#lose('QMP_LOST', ''));
  }

  get version(): string {
    return this.#version;
  }

  get lost(): LedgerError | null {
    return this.#lost;
  }

  get hasEvents(): boolean {
    return this.#lost === null;
  }

  execute(command: string, commandArguments: QmpArguments = {}): Promise<unknown> {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const limit = `within ${this.#commandTimeoutMs} ms`;
        this.#lose('QMP_UNREACHABLE', `: no answer to ${command} ${limit}; is QEMU stopped?`);
      }, this.#commandTimeoutMs);
      this.#pending.set(id, { command, resolve, reject, timer });
      const line = `${JSON.stringify({ execute: command, arguments: commandArguments, id })}\n`;
      this.#socket.write(line);
      if (this.#isAdopted) this.#askAgain(id, line, AGAIN_AFTER_MS);
    });
  }

  #askAgain(id: number, line: string, afterMs: number): void {
    setTimeout(() => {
      if (!this.#pending.has(id)) return;
      this.#socket.write(line);
      this.#askAgain(id, line, Math.min(2 * afterMs, AGAIN_AFTER_MS_MAX));
    }, afterMs).unref();
  }

  process(): Promise<FoundProcess> {
    return processOfSocket(this.path);
  }

  /** It is read here all the same. */
  share<A>(withSocket: (socket: Socket) => A): A {
    const made = withSocket(this.#socket);
    // Node stops reading what it gives to a child.
    this.#socket.resume();
    return made;
  }

  close(): void {
    if (this.#lost === null) this.#socket.end();
    this.#fail(this.#error('QMP_LOST', ': it was closed here'));
    this.#socket.destroySoon();
  }

  leave(): void {
    this.#lose('QMP_LOST', ': it was given up here');
  }

  /** Fails everything under way, once, and leaves the connection. */
  #lose(code: Lost, found: string): void {
    if (this.#lost !== null) return;
    // Before the greeting nothing shows that QEMU is at the other end.
    const greeted = this.#onGreeting === null;
    this.#fail(this.#error(greeted ? code : 'QMP_PROTOCOL', found));
    this.#socket.destroy();
  }

  #fail(error: LedgerError): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    this.#onGreeting?.(error);
    this.#onGreeting = null;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }

  protected misshapen(found: string): LedgerError {
    return this.#error('QMP_PROTOCOL', `: ${found}`);
  }

  #error(code: Lost, found: string): LedgerError {
    return new LedgerError(
      code,
      `${this.path}: ${LOST[code]}${found}; check that the guest runs and that this is the path of its ` +
        '-qmp option',
      { path: this.path },
    );
  }

  #takeText(text: string): void {
    let rest = text;
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n')) {
      const line = this.#parts.splice(0).join('') + rest.slice(0, end);
      this.#partChars = 0;
      rest = rest.slice(end + 1);
      if (line.trim() !== '') this.#takeLine(line);
      if (this.#lost !== null) return;
    }
    this.#parts.push(rest);
    this.#partChars += rest.length;
    if (this.#partChars > LINE_CHARS_MAX) {
      this.#lose('QMP_PROTOCOL', `: a line of more than ${LINE_CHARS_MAX} characters`);
    }
  }

  #takeLine(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      if (this.#isAdopted) return;
      this.#lose('QMP_PROTOCOL', ': a line that is no JSON');
      return;
    }
    if (this.#onGreeting !== null) {
      this.#takeGreeting(message);
      return;
    }
    if (Event.is(message)) {
      const { seconds, microseconds } = message.timestamp;
      const timeMs = seconds * 1000 + microseconds / 1000;
      this.tell({ event: message.event, data: message.data ?? {}, timeMs });
      return;
    }
    this.#takeAnswer(message);
  }

  #takeGreeting(message: unknown): void {
    if (!Greeting.is(message)) {
      // An event that QEMU meant for who was connected before: it may take a new connection for that one.
      if (Event.is(message)) return;
      this.#lose('QMP_PROTOCOL', ': no greeting');
      return;
    }
    this.#version = versionText(message.QMP.version);
    const greeted = this.#onGreeting;
    this.#onGreeting = null;
    greeted?.(null);
  }

  #takeAnswer(message: unknown): void {
    const id = Answer.is(message) || Failure.is(message) ? message.id : -1;
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      if (!this.#isAdopted) this.#lose('QMP_PROTOCOL', ': an answer to nothing that was asked');
      return;
    }
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (!Failure.is(message)) {
      pending.resolve(Answer.is(message) ? message.return : null);
      return;
    }
    pending.reject(this.refused(pending.command, message.error.desc));
  }
}

/** Connects, takes the greeting and enters command mode. */
export async function connectQmp(options: QmpOptions): Promise<QmpClient> {
  const timeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const address = qmpAddressOf(options.path);
  const path = qmpLabelOf(address);
  const socket = await connectTo(address, timeoutMs);
  const client = await new Promise<QmpClient>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new LedgerError(
          'QMP_UNREACHABLE',
          `${path}: no greeting within ${timeoutMs} ms: another program holds it (QEMU serves one ` +
            `at a time at each), or it is no -qmp socket. ${wayBesides(path)}`,
          { path },
        ),
      );
      socket.destroy();
    }, timeoutMs);
    const made: QmpClient = new QmpClient(socket, {
      ...options,
      path,
      onGreeting: (error) => {
        clearTimeout(timer);
        if (error === null) resolve(made);
        else reject(error);
      },
    });
  });
  try {
    await client.execute('qmp_capabilities');
  } catch (error) {
    client.close();
    throw error;
  }
  return client;
}

/** Goes on with a connection that another process used, for as long as QEMU lives. */
export const adoptQmp = (of: { readonly socket: Socket; readonly path: string }): QmpClient =>
  new QmpClient(of.socket, {
    path: of.path,
    commandTimeoutMs: PATIENCE_MS,
    onGreeting: null,
  });

/** How to a monitor that somebody else holds. */
const wayBesides = (path: string): string =>
  path.includes('/libvirt/')
    ? 'libvirt keeps its monitors to itself: give the domain a second one, with <qemu:arg> -qmp and ' +
      'unix:PATH,server=on,wait=off in <qemu:commandline>'
    : 'Close that program, or start QEMU with a second -qmp for pageledger';

/** Connects; QMP_UNREACHABLE. */
function connectTo(address: QmpAddress, timeoutMs: number): Promise<Socket> {
  const path = qmpLabelOf(address);
  return new Promise((resolve, reject) => {
    const socket =
      address.kind === 'unix'
        ? connect({ path: address.path })
        : connect({ host: address.host, port: address.port });
    const fail = (found: string, cause?: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(
        new LedgerError(
          'QMP_UNREACHABLE',
          `${path}: no QEMU answers there (${found}); start the guest with ` +
            `${qmpOptionOf(address)} or give the address of its socket`,
          { path, system: errnoOf(cause) ?? '' },
          cause,
        ),
      );
    };
    const timer = setTimeout(() => fail(`no connection within ${timeoutMs} ms`), timeoutMs);
    socket.once('error', (error) => fail(sentenceOf(error), error));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}
