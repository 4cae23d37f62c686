// A real S3 server for tests and benches, from Debian's python3-swift (serve.py).

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeTemporaryFolder } from '../disks/temporary-folder.ts';
import { createRawS3, type RawS3 } from './raw-s3.ts';

/** Debian's own: its modules are not those of another Python that may come first in PATH. */
const PYTHON = '/usr/bin/python3';
/** A part of Swift's. */
const S3_API = '/usr/lib/python3/dist-packages/swift/common/middleware/s3api';

export const TEST_ACCESS_KEY = 'test:tester';
/** Looks like nothing else, so that a test can tell that it stands nowhere. */
export const TEST_SECRET = 'sEcReT-of-the-test-server';
export const TEST_CREDENTIALS = { accessKeyId: TEST_ACCESS_KEY, secretAccessKey: TEST_SECRET };

/** Long enough for a server to start, or to start again, on a busy machine. */
export const S3_TIMEOUT_MS = 300_000;

/** A server in a folder of its own. */
export interface S3Server {
  readonly endpoint: string;
  /** The server as tests reach round the store to it. */
  readonly raw: RawS3;
  /** A page store's URL in a bucket. */
  url(bucket: string, prefix?: string): string;
  /** Makes a bucket of a name that nobody had yet. */
  makeBucket(): Promise<string>;
  /** Ends all its processes at once, as a failing machine does. */
  kill(): Promise<void>;
  /** Starts it again, on the same port, with what it had. */
  start(): Promise<void>;
  /** Ends it and removes all that it had. */
  remove(): Promise<void>;
}

/** Why there is no S3 server here, or null. */
export function whyNoS3(): string | null {
  if (!existsSync(PYTHON)) return `${PYTHON} is not installed`;
  return existsSync(S3_API) ? null : 'the package python3-swift is not installed';
}

/** The sources' own folder, wherever this is compiled to. */
function scriptPath(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return join(folder, 'tests', 'support', 's3-server', 'serve.py');
}

/** A port that nobody listens on. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });

/** Starts the processes; resolves when they answer. They end with this process, however it ends. */
function spawnServer(folder: string, port: number): Promise<ChildProcess> {
  const argv = [scriptPath(), folder, String(port), TEST_ACCESS_KEY, TEST_SECRET];
  // Its standard input is what tells it that we are still there.
  const server = spawn(PYTHON, argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let told = '';
    const listen = (chunk: Buffer): void => {
      told += chunk.toString();
      if (told.includes('READY')) resolve(server);
    };
    server.stdout.on('data', listen);
    server.stderr.on('data', listen);
    server.on('error', reject);
    server.on('exit', (code) => {
      reject(new TypeError(`the S3 server ended (${String(code)}) before it answered: ${told}`));
    });
  });
}

const ended = (server: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (server.exitCode !== null || server.signalCode !== null) resolve();
    else
      server.on('exit', () => {
        resolve();
      });
  });

/** Starts an S3 server in a folder of its own. */
export async function startS3Server(): Promise<S3Server> {
  const folder = await makeTemporaryFolder();
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let server = await spawnServer(folder.path, port);
  const raw = createRawS3({ endpoint, ...TEST_CREDENTIALS });
  let buckets = 0;
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    raw.close();
    server.kill(signal);
    await ended(server);
  };
  return {
    endpoint,
    raw,
    url: (bucket, prefix = 'ledger') => `s3://${bucket}/${prefix}?endpoint=${endpoint}`,
    async makeBucket() {
      buckets += 1;
      const bucket = `bucket-${buckets}`;
      const answer = await raw.request({ method: 'PUT', path: `/${bucket}` });
      if (answer.status !== 200) throw new TypeError(`no bucket was made: ${answer.status}`);
      return bucket;
    },
    kill: () => kill('SIGKILL'),
    async start() {
      server = await spawnServer(folder.path, port);
    },
    async remove() {
      await kill('SIGTERM');
      await folder.remove();
    },
  };
}
