// An EventStoreDB inside the test's own process: the gRPC services of a server of version 23.10.6, as
// far as a log needs them, over records in memory, on the message stubs that the client package
// ships. A test can kill it, start it again on the same records, and make it fail in every way that a
// client has to survive.
//
// It proves a client against our reading of the protocol and what was measured of a running server
// (server-behaviour.ts says which is which). It does not prove durability (a kill loses nothing here),
// replication, elections, the server's own limits under load, its scavenging, its links and
// projections, or its time: run the same contract against a real server for those.

import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import featureServices from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import gossipServices from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import streamsServices from '@eventstore/db-client/generated/streams_grpc_pb.js';
import { assert } from '../../../domain/values/assert.ts';
import { serveAppend } from './appending.ts';
import { serveBatchAppend } from './batch-appending.ts';
import { serveFeatures, serveGossip } from './cluster.ts';
import { serveDelete, serveTombstone } from './deleting.ts';
import { DoubleRecords } from './double-records.ts';
import { Faults, type Flow, type Method } from './faults.ts';
import { serveRead } from './reading.ts';
import { CallBook, type Credentials, type Services } from './services.ts';
import { APPEND_BYTES_DEFAULT, MESSAGE_BYTES_MAX } from './server-behaviour.ts';

export { DoubleRecords } from './double-records.ts';
export type { DoubleRecord, ForeignRecord } from './double-records.ts';
export { Faults } from './faults.ts';
export type { Flow, Hold, Method, Moment } from './faults.ts';
export {
  APPEND_BYTES_DEFAULT,
  APPEND_BYTES_RAISED,
  MESSAGE_BYTES_MAX,
} from './server-behaviour.ts';

export interface DoubleOptions {
  /** 0 or absent: any free one, kept through stop and start. */
  readonly port?: number;
  /** Data bytes of one append, inclusive. APPEND_BYTES_RAISED is the other profile. */
  readonly appendBytesMax?: number;
  /** Bytes of one gRPC message. */
  readonly messageBytesMax?: number;
  /** When given, wrong ones are Unauthenticated and none AccessDenied. Clients send them over TLS only. */
  readonly credentials?: Credentials;
  /** PEM texts. When given, the double speaks TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Where the log begins; ignored when `records` are given. */
  readonly positions?: { readonly start: bigint };
  /** The store, when it is to outlive this double. */
  readonly records?: DoubleRecords;
  /** Live events that a subscriber may lag behind; absent: any number. A server holds 32 and a page. */
  readonly lagEventsMax?: number;
  /** The status of a read of $all from a place that is no record's; absent: UNKNOWN, as measured. */
  readonly noRecordStatus?: status;
  /** Given each message of an answer to a reading; what it gives back is sent instead. */
  readonly onAnswer?: (bytes: Uint8Array) => Uint8Array;
}

export interface EventStoreDouble {
  readonly port: number;
  /** The connection string of a client. */
  readonly url: string;
  readonly records: DoubleRecords;
  readonly faults: Faults;
  /** Calls of the method since the double was made. */
  calls(method: Method): number;
  /** Events sent on flows of the kind since the double was made. */
  sentEvents(flow: Flow): number;
  /** Calls open on the server now: of the method, or all. */
  openCalls(method?: Method): number;
  /** As a killed process: every connection is cut at once, whatever was answered or not. */
  stop(): Promise<void>;
  /** Again, on the same port and the same records. */
  start(): Promise<void>;
}

/** Starts a double; `stop` it before the test ends. */
export async function startEventStoreDouble(
  options: DoubleOptions = {},
): Promise<EventStoreDouble> {
  const records =
    options.records ??
    new DoubleRecords(
      options.positions === undefined ? {} : { startPosition: options.positions.start },
    );
  const book = new CallBook();
  const faults = new Faults();
  const services: Services = {
    records,
    faults,
    book,
    credentials: options.credentials ?? null,
    appendBytesMax: options.appendBytesMax ?? APPEND_BYTES_DEFAULT,
    lagEventsMax: options.lagEventsMax ?? null,
    noRecordStatus: options.noRecordStatus ?? status.UNKNOWN,
  };
  let running: RunningServer | null = await run(services, options, options.port ?? 0);
  const { port } = running;
  const query = options.tls === undefined ? 'tls=false' : 'tls=true';
  return {
    port,
    url: `esdb://127.0.0.1:${port}?${query}`,
    records,
    faults,
    calls: (method) => book.calls(method),
    sentEvents: (flow) => book.sentEvents(flow),
    openCalls: (method) => book.openCalls(method),
    stop: async () => {
      const stopping = running;
      running = null;
      await stopping?.kill();
    },
    start: async () => {
      assert(running === null, 'a double is stopped before it starts again');
      running = await run(services, options, port);
    },
  };
}

interface RunningServer {
  readonly port: number;
  kill(): Promise<void>;
}

/**
 * A server of its own behind a listener of ours: the listener keeps the sockets, so that they can be
 * destroyed as the kernel does it when a process dies, without a last word of HTTP/2.
 */
async function run(
  services: Services,
  options: DoubleOptions,
  port: number,
): Promise<RunningServer> {
  const server = new Server({
    'grpc.max_receive_message_length': options.messageBytesMax ?? MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': -1,
  });
  const sockets = new Set<Socket>();
  const injector = server.createConnectionInjector(credentialsOf(options));
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A connection that breaks is the client's affair.
    socket.on('error', () => {});
    injector.injectConnection(socket);
  });
  const bound = await listen(listener, port);
  addServices(server, { services, port: bound, streams: streamsOf(options) });
  services.records.beginEpoch();
  return {
    port: bound,
    kill: async () => {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of sockets) socket.destroy();
      server.forceShutdown();
      await closed;
    },
  };
}

async function listen(listener: TcpServer, port: number): Promise<number> {
  listener.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  return (listener.address() as AddressInfo).port;
}

function credentialsOf(options: DoubleOptions): ServerCredentials {
  if (options.tls === undefined) return ServerCredentials.createInsecure();
  const { certificate, key } = options.tls;
  return ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) },
  ]);
}

type Streams = typeof streamsServices.StreamsService;

/** The service of streams, whose answers to readings are changed on their way where that is asked for. */
function streamsOf({ onAnswer }: DoubleOptions): Streams {
  const { StreamsService } = streamsServices;
  if (onAnswer === undefined) return StreamsService;
  const { read } = StreamsService;
  const responseSerialize: typeof read.responseSerialize = (answer) =>
    Buffer.from(onAnswer(read.responseSerialize(answer)));
  return { ...StreamsService, read: { ...read, responseSerialize } };
}

function addServices(
  server: Server,
  of: { readonly services: Services; readonly port: number; readonly streams: Streams },
): void {
  const { services, port, streams } = of;
  server.addService(streams, {
    read: (call: Parameters<typeof serveRead>[1]) => serveRead(services, call),
    append: (
      call: Parameters<typeof serveAppend>[1],
      callback: Parameters<typeof serveAppend>[2],
    ) => serveAppend(services, call, callback),
    batchAppend: (call: Parameters<typeof serveBatchAppend>[1]) => serveBatchAppend(services, call),
    delete: (
      call: Parameters<typeof serveDelete>[1],
      callback: Parameters<typeof serveDelete>[2],
    ) => serveDelete(services, call, callback),
    tombstone: (
      call: Parameters<typeof serveTombstone>[1],
      callback: Parameters<typeof serveTombstone>[2],
    ) => serveTombstone(services, call, callback),
  });
  server.addService(featureServices.ServerFeaturesService, {
    getSupportedMethods: (
      call: Parameters<typeof serveFeatures>[1],
      callback: Parameters<typeof serveFeatures>[2],
    ) => serveFeatures(services, call, callback),
  });
  server.addService(gossipServices.GossipService, {
    read: (
      call: Parameters<typeof serveGossip>[1],
      callback: Parameters<typeof serveGossip>[2]['callback'],
    ) => serveGossip(services, call, { callback, port }),
  });
}
