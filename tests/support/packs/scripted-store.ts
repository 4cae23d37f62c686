// A page store before a server that answers as a test tells it to, and what may stand in its failures.

import { inspect } from 'node:util';
import { openS3PageStore } from '../../../adapters/stores/page-store-s3/page-store-s3.ts';
import type {
  S3PageStore,
  S3PageStoreOptions,
} from '../../../adapters/stores/page-store-s3/page-store-s3.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import {
  startScriptedHttp,
  startScriptedSocket,
  type ScriptedServer,
} from '../clients/scripted-http.ts';

export const SCRIPTED_CREDENTIALS = {
  accessKeyId: 'AKIDOFTHETEST',
  secretAccessKey: 'sEcReTkEyOfTheTest',
  sessionToken: 'sEcReTtOkEnOfTheTest',
};
/** What a failure may not say: of keys, tokens and signatures, a part that tells them. */
const SECRETS = ['sEcReT', 'Signature=', 'AKIDOFTHETEST'];

export interface ScriptedStore {
  readonly store: S3PageStore;
  readonly notices: readonly string[];
}

/** What a scripted HTTP server answers. */
export type Script = Parameters<typeof startScriptedHttp>[0];

/** The stores and the server of one test. */
export interface ScriptedStores {
  /** A store before a server that answers so. */
  before(script: Script, more?: Partial<S3PageStoreOptions>): Promise<ScriptedStore>;
  /** A store before a server below HTTP. */
  beforeSocket(
    script: Parameters<typeof startScriptedSocket>[0],
    more?: Partial<S3PageStoreOptions>,
  ): Promise<ScriptedStore>;
  at(endpoint: string, more?: Partial<S3PageStoreOptions>): ScriptedStore;
  /** Requests that came to the server. */
  requests(): number;
  close(): Promise<void>;
}

/** The body of an error as S3 servers have it. */
export const errorXml = (code: string, more = ''): string =>
  `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>m</Message>${more}</Error>`;

export function scriptedStores(): ScriptedStores {
  const opened: S3PageStore[] = [];
  const servers: ScriptedServer[] = [];
  const at: ScriptedStores['at'] = (endpoint, more = {}) => {
    const notices: string[] = [];
    const store = openS3PageStore({
      url: `s3://bucket/p?endpoint=${endpoint}`,
      credentials: () => Promise.resolve(SCRIPTED_CREDENTIALS),
      onNotice: (text) => notices.push(text),
      patienceMs: 300,
      limits: { connectMsMax: 300, idleMsMax: 300, bytesPerSecondMin: 32 * 1024 },
      environment: {},
      ...more,
    });
    opened.push(store);
    return { store, notices };
  };
  return {
    at,
    async before(script, more) {
      servers.push(await startScriptedHttp(script));
      return at(servers.at(-1)!.endpoint, more);
    },
    async beforeSocket(script, more) {
      servers.push(await startScriptedSocket(script));
      return at(servers.at(-1)!.endpoint, more);
    },
    requests: () => servers.reduce((sum, server) => sum + server.count(), 0),
    async close() {
      await Promise.all(opened.map((store) => store.close()));
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

/** The code of a failure, and its message where nothing secret stands in any part of it. */
export function told(failure: LedgerError): { readonly code: string; readonly message: string } {
  const everything = `${failure.message} ${inspect(failure, { depth: 9 })}`;
  const leaked = SECRETS.filter((each) => everything.includes(each));
  const { code, message } = failure;
  return { code, message: leaked.length > 0 ? `leaks ${leaked.join()}` : message };
}
