// What reads what other programs say: QEMU at its monitor, clients of NBD, EventStoreDB. Each with sound
// examples to spoil (parsers.ts).

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import * as t from 'io-ts';
import { QmpClient } from '../../../adapters/guests/qemu/qmp-client.ts';
import { ClientMessages } from '../../../adapters/faces/nbd/client-messages.ts';
import { Negotiation } from '../../../adapters/faces/nbd/negotiation.ts';
import { COMMAND, OPTION } from '../../../adapters/faces/nbd/protocol.ts';
import { fromServerEvent } from '../../../adapters/stores/event-log-eventstoredb/event-codec.ts';
import type { EventStoreLog } from '../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { NO_STREAM } from '../../../domain/ports/event-log.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import { GREETING } from '../guest/fake-qmp.ts';
import { makeEvent } from '../logs/log-events.ts';
import { gather, valueOf } from '../outcomes.ts';
import type { Parser } from './parsers.ts';
import {
  CLIENT_FLAGS,
  contextData,
  goData,
  optionBytes,
  requestBytes,
} from '../clients/nbd-client.ts';
import { ServerLogs } from '../logs/server-logs.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const QMP_LINES = [
  GREETING.trim(),
  '{"return": {}, "id": 1}',
  '{"timestamp": {"seconds": 1700000000, "microseconds": 12}, "event": "STOP", "data": {"a": 1}}',
  '{"return": {"status": "running", "running": true}, "id": 2}',
  '{"return": "FlatView #0\\r\\n", "id": 3}',
  '{"id": 4, "error": {"class": "GenericError", "desc": "not now"}}',
  '',
].join('\r\n');

/** What a client of NBD says until it reads, and what it asks then. */
const NBD_BYTES = Buffer.concat([
  CLIENT_FLAGS,
  optionBytes(OPTION.structuredReply),
  optionBytes(OPTION.listMetaContext, contextData('web/@1', ['base:'])),
  optionBytes(OPTION.list),
  optionBytes(OPTION.info, goData('web/@1', [1, 3])),
  optionBytes(OPTION.setMetaContext, contextData('web/@1', ['base:allocation'])),
  requestBytes({ command: COMMAND.write, lengthBytes: 8 }),
  Buffer.alloc(8),
  requestBytes({ command: COMMAND.read, offsetBytes: 4096, lengthBytes: 4096 }),
]);

/** What is answered before commands, where there is no export at all; then the commands. */
async function parseNbd(bytes: Uint8Array): Promise<unknown> {
  const answers: unknown[] = [];
  const none = (): Promise<never> =>
    Promise.reject(new LedgerError('NOT_FOUND', 'there is none', {}));
  const sent = (reply: Buffer): Promise<void> => {
    answers.push(reply);
    return Promise.resolve();
  };
  const negotiation = new Negotiation({ names: none, open: none }, sent, 'none');
  const messages = new ClientMessages();
  messages.push(Buffer.from(bytes));
  for (let each = messages.next(); each !== null; each = messages.next()) {
    answers.push(each);
    if (each._tag !== 'request') await negotiation.take(each);
    if (each._tag === 'option' && each.option === OPTION.setMetaContext) messages.beginRequests();
  }
  return answers;
}

/** A socket that takes what is written and says only what it is told to. */
const silentSocket = (): Socket =>
  new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done();
    },
  }) as unknown as Socket;

/** What four commands are answered by these lines. */
async function parseQmp(bytes: Uint8Array): Promise<unknown> {
  const socket = silentSocket();
  const failures: LedgerError[] = [];
  const onGreeting = (failure: LedgerError | null): void => {
    if (failure !== null) failures.push(failure);
  };
  const qmp = new QmpClient(socket, { path: '/run/qmp', onGreeting });
  qmp.onEvent(({ timeMs }) => timeMs);
  const asked = Promise.allSettled([
    qmp.execute('qmp_capabilities'),
    qmp.ask('query-status', t.type({ status: t.string, running: t.boolean })),
    qmp.monitor('info mtree -f'),
    qmp.execute('stop'),
  ]);
  socket.emit('data', textOf(bytes));
  qmp.leave();
  const answers = await asked;
  for (const answer of answers) {
    if (answer.status === 'fulfilled') continue;
    if (!isLedgerError(answer.reason)) throw answer.reason;
    // One of them is refused by QEMU itself.
    if (answer.reason.code !== 'QMP_REFUSED') failures.push(answer.reason);
  }
  if (failures[0] !== undefined) throw failures[0];
  return answers;
}

const SERVER_EVENT = JSON.stringify({
  id: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  type: 'VmRegistered',
  isJson: true,
  revision: 7,
  createdMs: 1_790_000_000_000,
  metadata: { schema: 2, timeMs: 1_790_000_000_000.5 },
  data: { vm: 'web', group: 'default', pages: 4096 },
});

/** An event as the server's client hands it on: of the kinds that it says, and of any content. */
function parseServerEvent(bytes: Uint8Array): unknown {
  let given: Record<string, unknown>;
  try {
    given = JSON.parse(textOf(bytes)) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof given !== 'object' || given === null) return null;
  const { id, type, isJson, revision, createdMs, metadata, data } = given;
  const recorded = {
    streamId: 'here.vm-web',
    id: String(id),
    type: String(type),
    revision: BigInt(Math.trunc(Number(revision)) || 0),
    created: new Date(Number(createdMs)),
    metadata,
    ...(isJson === true
      ? { isJson: true as const, data }
      : { isJson: false as const, data: bytesOf(JSON.stringify(data) ?? '') }),
  };
  return fromServerEvent(recorded as Parameters<typeof fromServerEvent>[0], {
    stream: 'vm-web',
    position: 7n,
  });
}

/** A server of which one answer of a reading is replaced by other bytes. */
export class SpoiledServer {
  readonly #logs: ServerLogs;
  readonly #log: EventStoreLog;
  readonly examples: readonly Uint8Array[];
  readonly #spoil: (bytes: Uint8Array | null) => void;

  private constructor(of: {
    readonly logs: ServerLogs;
    readonly log: EventStoreLog;
    readonly examples: readonly Uint8Array[];
    readonly spoil: (bytes: Uint8Array | null) => void;
  }) {
    this.#logs = of.logs;
    this.#log = of.log;
    this.examples = of.examples;
    this.#spoil = of.spoil;
  }

  static async start(): Promise<SpoiledServer> {
    const seen: Uint8Array[] = [];
    let instead: Uint8Array | null = null;
    const logs = await ServerLogs.start({
      onAnswer: (bytes) => {
        seen.push(bytes);
        const other = instead ?? bytes;
        instead = null;
        return other;
      },
    });
    // One try: an answer that cannot be read is no reason to ask again for long.
    const log = await logs.open({ limits: { giveUpAfterMs: 1, callMs: 2000 } });
    const events = [makeEvent('{"vm":"web"}'), makeEvent(Uint8Array.of(0, 255, 123))];
    await valueOf(log.append({ stream: 'vm-web', expectedRevision: NO_STREAM, events }));
    seen.length = 0;
    await gather(log.read({ from: 0n }));
    const spoil = (bytes: Uint8Array | null): void => {
      instead = bytes;
    };
    return new SpoiledServer({ logs, log, examples: [...seen], spoil });
  }

  async parse(bytes: Uint8Array): Promise<unknown> {
    this.#spoil(bytes);
    return gather(this.#log.read({ from: 0n })).finally(() => this.#spoil(null));
  }

  close(): Promise<void> {
    return this.#logs.close();
  }
}

/** A call of a server for each input. */
const SLOWNESS = 6;

/** Parsers of what others say. */
export function peerParsers(server: SpoiledServer): readonly Parser[] {
  return [
    { name: 'lines of QMP', examples: [bytesOf(QMP_LINES)], parse: parseQmp },
    { name: 'what clients of NBD say', examples: [NBD_BYTES], parse: parseNbd },
    { name: 'events of EventStoreDB', examples: [bytesOf(SERVER_EVENT)], parse: parseServerEvent },
    {
      name: 'answers of EventStoreDB',
      examples: server.examples,
      parse: (bytes) => server.parse(bytes),
      slowness: SLOWNESS,
    },
  ];
}
