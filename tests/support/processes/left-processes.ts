// Where tests run. Once the tests of a file are over, every process that they started and that still runs is
// ended: a `beforeAll` that failed leaves guests and commands that no `afterAll` knows of.

import { TestEnvironment } from 'jest-environment-node';
import { endProcessesOf } from './processes.ts';

export default class extends TestEnvironment {
  override async teardown(): Promise<void> {
    if (process.platform === 'linux') endProcessesOf(process.pid);
    await super.teardown();
  }
}
