// The page store in a bucket of a real S3 server, also through a cache: the contract of every page
// store.

import { join } from 'node:path';
import { afterAll, beforeAll, jest } from '@jest/globals';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { cachePages } from '../../../../adapters/stores/page-store-cached/cached-pages.ts';
import { openS3PageStore } from '../../../../adapters/stores/page-store-s3/page-store-s3.ts';
import type { S3PageStore } from '../../../../adapters/stores/page-store-s3/page-store-s3.ts';
import type { PageStore } from '../../../../domain/ports/page-store.ts';
import { pageStoreContract } from '../../../contracts/page-store.ts';
import {
  describeWithS3,
  S3_TIMEOUT_MS,
  startS3Server,
  TEST_CREDENTIALS,
} from '../../../support/s3-server/s3-server.ts';
import type { S3Server } from '../../../support/s3-server/s3-server.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';

jest.setTimeout(S3_TIMEOUT_MS);

type ClosablePages = PageStore & { close(): Promise<void> };

describeWithS3('a real S3 server', () => {
  let server: S3Server;
  let bucket: string;
  beforeAll(async () => {
    server = await startS3Server();
    bucket = await server.makeBucket();
  }, S3_TIMEOUT_MS);
  afterAll(() => server.remove());
  let worlds = 0;

  /** Stores on a part of the bucket that is empty yet, each as another process has it. */
  const world = async (wrap: (store: S3PageStore, folder: string) => ClosablePages) => {
    worlds += 1;
    const url = server.url(bucket, `world-${worlds}`);
    const folder = await makeTemporaryFolder();
    const opened: ClosablePages[] = [];
    const open = (): PageStore => {
      const credentials = () => Promise.resolve(TEST_CREDENTIALS);
      const store = openS3PageStore({ url, credentials });
      opened.push(wrap(store, join(folder.path, 'cache')), store);
      return opened.at(-2)!;
    };
    return {
      store: open(),
      another: () => Promise.resolve(open()),
      async close() {
        for (const each of opened) await each.close();
        await folder.remove();
      },
    };
  };

  pageStoreContract('in a bucket', () => world((store) => store));

  pageStoreContract('in a bucket, through a cache', () =>
    world((store, folder) =>
      cachePages({ store, files: nodeFiles, folder, bytesMax: 2 ** 26, windowBytes: 16_384 }),
    ),
  );
});
