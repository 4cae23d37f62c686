// The servers that hosts share a ledger on, for benches: a log, and a bucket of a real S3 server.

import { assert } from '../../domain/values/assert.ts';
import {
  startS3Server,
  TEST_CREDENTIALS,
  whyNoS3,
  type S3Server,
} from '../support/s3-server/s3-process.ts';
import { startLogServer, type LogServer } from './log-server.ts';

export interface Servers {
  readonly server: LogServer;
  readonly s3: S3Server;
  readonly bucket: string;
}

/** Starts both, with the bucket's credentials in the environment, does the work and ends them. */
export async function withServers<A>(work: (servers: Servers) => Promise<A>): Promise<A> {
  const why = whyNoS3();
  assert(why === null, `the bench has an S3 server: ${why}`);
  process.env['AWS_ACCESS_KEY_ID'] = TEST_CREDENTIALS.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = TEST_CREDENTIALS.secretAccessKey;
  const s3 = await startS3Server();
  try {
    const bucket = await s3.makeBucket();
    const server = await startLogServer();
    try {
      return await work({ server, s3, bucket });
    } finally {
      await server.stop();
    }
  } finally {
    await s3.remove();
  }
}
