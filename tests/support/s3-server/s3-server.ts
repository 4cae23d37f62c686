// A real S3 server for tests: where none can be started, the tests that need it are skipped, and their
// name says why.

import { describe } from '@jest/globals';
import { whyNoS3 } from './s3-process.ts';

export * from './s3-process.ts';

/** Tests against a real S3 server; counted as skipped, with the reason, where there is none. */
export function describeWithS3(name: string, tests: () => void): void {
  const reason = whyNoS3();
  const suite = reason === null ? describe : describe.skip;
  suite(reason === null ? name : `${name} (skipped: ${reason})`, () => {
    tests();
  });
}
