// A ledger that hosts share, for tests: its log on the double of EventStoreDB, or on a real server
// where PAGELEDGER_ESDB_URL names one, its packs on a real S3 server, and any number of hosts, each with
// a folder of its own for what is local.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { OpenLedgerOptions } from '../../../index.ts';
import { LedgerCommands, type RunOptions } from '../command-line.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../eventstoredb-double/eventstoredb-double.ts';
import {
  startS3Server,
  TEST_ACCESS_KEY,
  TEST_CREDENTIALS,
  TEST_SECRET,
  type S3Server,
} from '../s3-server/s3-server.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../disks/temporary-folder.ts';

/** The address of a real EventStoreDB to test against, or null. */
const REAL_SERVER = process.env['PAGELEDGER_ESDB_URL'] ?? null;

/** One machine, as far as a ledger is concerned. */
export interface Host {
  /** For `openLedger`. */
  readonly options: Pick<OpenLedgerOptions, 'url' | 'pageStore' | 'stateFolder' | 'onNotice'>;
  /** What the user was told. */
  readonly notices: string[];
  readonly stateFolder: string;
  /** The command line on this host. */
  readonly commands: SharedCommands;
}

/** Commands of a shared ledger on a host: `--page-store` and the environment are the host's. */
export class SharedCommands extends LedgerCommands {
  readonly #words: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;

  constructor(host: {
    readonly url: string;
    readonly pageStore: string;
    readonly environment: Readonly<Record<string, string>>;
  }) {
    super(host.url);
    this.#words = ['--page-store', host.pageStore];
    this.#environment = host.environment;
  }

  protected override asked(words: readonly string[], environment: RunOptions['environment']) {
    return super.asked([...this.#words, ...words], { ...this.#environment, ...environment });
  }
}

export interface SharedWorld {
  /** Null where the log is on a real server, which a test cannot stop. */
  readonly double: EventStoreDouble | null;
  readonly s3: S3Server;
  readonly folder: string;
  readonly pageStore: string;
  /** A host of that name; another name, another machine. */
  host(name: string): Host;
  /** A ledger of another name on the same server, its packs in the same bucket. */
  another(): SharedWorld;
  remove(): Promise<void>;
}

interface Servers {
  readonly double: EventStoreDouble | null;
  readonly s3: S3Server;
  readonly folder: TemporaryFolder;
  readonly bucket: string;
}

function worldOn(servers: Servers): SharedWorld {
  const { double, s3, folder, bucket } = servers;
  const name = `test-${randomBytes(8).toString('hex')}`;
  const server = new URL(double?.url ?? REAL_SERVER!);
  server.searchParams.set('ledger', name);
  const url = server.href;
  const pageStore = s3.url(bucket, name);
  return {
    double,
    s3,
    folder: folder.path,
    pageStore,
    host(hostName) {
      const home = join(folder.path, `${name}-${hostName}`);
      const stateFolder = join(home, 'pageledger');
      const notices: string[] = [];
      const environment = {
        XDG_STATE_HOME: home,
        AWS_ACCESS_KEY_ID: TEST_ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY: TEST_SECRET,
      };
      const onNotice = (text: string): void => void notices.push(text);
      return {
        options: { url, pageStore, stateFolder, onNotice },
        notices,
        stateFolder,
        commands: new SharedCommands({ url, pageStore, environment }),
      };
    },
    another: () => worldOn(servers),
    async remove() {
      await double?.stop();
      await s3.remove();
      await folder.remove();
    },
  };
}

/**
 * Starts the servers; `double`: the log is on the double, also where there is a real server. The
 * process's own AWS credentials become those of the test's object store.
 */
export async function startSharedWorld(log: 'any' | 'double' = 'any'): Promise<SharedWorld> {
  process.env['AWS_ACCESS_KEY_ID'] = TEST_CREDENTIALS.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = TEST_CREDENTIALS.secretAccessKey;
  const s3 = await startS3Server();
  const bucket = await s3.makeBucket();
  const isReal = log === 'any' && REAL_SERVER !== null;
  const double = isReal ? null : await startEventStoreDouble();
  return worldOn({ double, s3, folder: await makeTemporaryFolder(), bucket });
}
