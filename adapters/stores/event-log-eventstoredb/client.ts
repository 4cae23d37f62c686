// The client package of the server, with what it does on its own taken away. This is the only file
// that loads it. The package is frozen at one release; what is relied on here is tested.
//
// Never load another client of the server in the same process: both put generated code under the same
// global names, and the first one breaks.

import { resolve } from 'node:path';
import {
  EventStoreDBClient,
  type ChannelCredentialOptions,
  type Credentials,
  type DNSClusterOptions,
  type GossipClusterOptions,
  type SingleNodeOptions,
} from '@eventstore/db-client';
import { fileFailure } from '../../files/failures.ts';
import { nodeFiles } from '../../files/files.ts';
import type { Endpoint, ServerSettings } from './ledger-url.ts';

const CONNECTION_NAME = 'pageledger';
const KEEP_ALIVE_TIMEOUT_MS = 10_000;
const GENERATIONS = 1000;

/** Certificates and keys for TLS, as their files hold them. */
export interface Certificates {
  readonly rootCertificate?: Buffer;
  readonly userCertFile?: Buffer;
  readonly userKeyFile?: Buffer;
}

const CERTIFICATE_FILES = [
  ['tlsCAFile', 'rootCertificate'],
  ['userCertFile', 'userCertFile'],
  ['userKeyFile', 'userKeyFile'],
] as const;

/** Far more than a chain of certificates takes. */
const CERTIFICATE_BYTES_MAX = 2 ** 20;

/** Reads the files that the settings name; IO_FAILED names the one that cannot be read. */
export async function readCertificates({ isTls, texts }: ServerSettings): Promise<Certificates> {
  const certificates: Record<string, Buffer> = {};
  for (const [parameter, name] of CERTIFICATE_FILES) {
    const file = texts[parameter];
    if (!isTls || file === undefined) continue;
    const path = resolve(file);
    const bytes = await nodeFiles.load(path, CERTIFICATE_BYTES_MAX);
    if (bytes === null)
      throw fileFailure({ code: 'ENOENT' }, { operation: `read the ${parameter}`, path });
    certificates[name] = Buffer.from(bytes);
  }
  return certificates;
}

/** A connection of its own to the server. Nothing is sent before the first call. */
export class LogClient extends EventStoreDBClient {
  #channel: Promise<{ close(): void }> | null = null;

  // Without this, appends without credentials share one BatchAppend stream of the process: a killed
  // server raises rejections there that nobody can catch, and one oversized append fails the others.
  protected override supports = (): Promise<boolean> => Promise.resolve(false);

  // The client's own reconnecting may reject with nobody waiting for it, and keeps the waiting time of
  // the last attempt. A connection that failed is replaced as a whole instead (Connection).
  protected override handleError = (): Promise<void> => Promise.resolve();

  constructor(
    settings: SingleNodeOptions | GossipClusterOptions | DNSClusterOptions,
    options: { readonly tls: ChannelCredentialOptions; readonly credentials: Credentials | null },
  ) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the client takes all three kinds, its types one at a time
    super(settings as SingleNodeOptions, options.tls, options.credentials ?? undefined);
    const open = this.getChannel;
    this.getChannel = () => {
      const channel = open();
      this.#channel = channel;
      return channel;
    };
  }

  /** Takes no further calls; those under way end in their own time. */
  async retire(): Promise<void> {
    try {
      (await this.#channel)?.close();
    } catch {
      // A search for the cluster's nodes that failed: there is nothing to close.
    }
  }
}

export interface ClientRequest {
  readonly settings: ServerSettings;
  readonly certificates: Certificates;
  /** How many were made before. */
  readonly generation: number;
  /** Where the leader was said to be; null: where the settings say. */
  readonly leader: Endpoint | null;
}

/** A new client. It shares no connection with an earlier one, nor its waiting time before another try. */
export function createClient(request: ClientRequest): LogClient {
  const { settings, certificates, generation, leader } = request;
  const { connectionName = CONNECTION_NAME } = settings.texts;
  const { keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS, ...numbers } = settings.numbers;
  const common = {
    ...numbers,
    connectionName,
    // Connections of equal settings are shared underneath, with the time that one waits after a
    // failure, up to two minutes: a millisecond more makes this one its own.
    keepAliveTimeout: keepAliveTimeout + (generation % GENERATIONS),
  };
  const options = {
    tls: { insecure: !settings.isTls, ...certificates },
    credentials: settings.credentials,
  };
  const { isDiscovered, endpoints } = settings;
  const endpoint = leader ?? endpoints[0]!;
  if (leader === null && isDiscovered)
    return new LogClient({ ...common, discover: endpoint }, options);
  return leader === null && endpoints.length > 1
    ? new LogClient({ ...common, endpoints: [...endpoints] }, options)
    : new LogClient({ ...common, endpoint }, options);
}
