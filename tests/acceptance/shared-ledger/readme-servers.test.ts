// What README says of one ledger on many hosts is run as it stands there, by a shell: against the double
// and a real S3 server in the place of those that its first line starts, whose own settings are compared.

import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { COMMAND_LINE } from '../../support/command-line.ts';
import { makeImage } from '../../support/images.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../support/eventstoredb-double/eventstoredb-double.ts';
import {
  describeWithS3,
  S3_TIMEOUT_MS,
  startS3Server,
  TEST_ACCESS_KEY,
  TEST_SECRET,
  type S3Server,
} from '../../support/s3-server/s3-server.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const read = (file: string): string => readFileSync(join(sourceRoot(), file), 'utf8');
const README = read('README.md');
const SECTION = README.split(/^## /mu).find((text) => text.startsWith('One ledger, many hosts\n'))!;
/** What stands in fences, in their order: commands to try, keys, a copy. */
const FENCES = [...SECTION.matchAll(/^```(?:sh)?\n(.*?)^```$/gmsu)].map(([, body]) => body!);
const START = 'docker compose up --detach --wait\n';

test('README begins with what docker-compose.yml starts, and names what that makes', () => {
  expect(FENCES[0]!.startsWith(START)).toBe(true);
  const compose = read('docker-compose.yml');
  const settings = new Map(
    [...compose.matchAll(/^ +([A-Z][A-Z0-9_]+): '?(.*?)'?$/gmu)].map(([, name, value]) => [
      name!,
      value!.replace(/^\$\{\w+:-(.*)\}$/u, '$1'),
    ]),
  );
  const said = FENCES[0]!;
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
    expect(said).toContain(`${name}=${settings.get(name)}`);
  expect(said).toContain(`'s3://${settings.get('S3_BUCKET')}/`);
  for (const port of ['2113', '8333']) {
    expect(said).toContain(`//127.0.0.1:${port}`);
    expect(compose).toContain(`'127.0.0.1:${port}:${port}'`);
  }
  // Its earlier images make no bucket of that name.
  const [, major, minor] = /chrislusf\/seaweedfs:(\d+)\.(\d+)/u.exec(compose)!;
  expect(Number(major) * 1000 + Number(minor)).toBeGreaterThanOrEqual(4023);
});

describeWithS3('what README says of servers', () => {
  let folder: TemporaryFolder;
  let s3: S3Server;
  let double: EventStoreDouble;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    s3 = await startS3Server();
    double = await startEventStoreDouble();
    await s3.raw.request({ method: 'PUT', path: '/pageledger' });
    writeFileSync(join(folder.path, 'web.raw'), makeImage({ seed: 9, pages: 64 }));
    const program = join(folder.path, 'bin', 'pageledger');
    mkdirSync(join(folder.path, 'bin'));
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${COMMAND_LINE}' "$@"\n`);
    chmodSync(program, 0o755);
  }, S3_TIMEOUT_MS);
  afterAll(async () => {
    await double.stop();
    await s3.remove();
    await folder.remove();
  });

  /** The lines as they are run: the test's servers, and its keys. */
  const adapted = (lines: string): string =>
    lines
      .replaceAll('127.0.0.1:2113', `127.0.0.1:${double.port}`)
      .replaceAll('http://127.0.0.1:8333', s3.endpoint)
      .replace(/AWS_ACCESS_KEY_ID=\S+/u, `AWS_ACCESS_KEY_ID=${TEST_ACCESS_KEY}`)
      .replace(/AWS_SECRET_ACCESS_KEY=\S+/u, `AWS_SECRET_ACCESS_KEY=${TEST_SECRET}`);

  /** What a host of that name prints for these lines; a failure bears what was said. */
  async function shell(host: string, lines: string): Promise<string> {
    const { PAGELEDGER: _, ...environment } = process.env;
    const { stdout } = await promisify(execFile)('/bin/sh', ['-eu', '-c', adapted(lines)], {
      cwd: folder.path,
      env: {
        ...environment,
        PATH: `${join(folder.path, 'bin')}:${environment['PATH']}`,
        XDG_STATE_HOME: join(folder.path, host),
      },
    });
    return stdout;
  }

  const exported = (): string => FENCES[0]!.split('\n').find((line) => line.startsWith('export '))!;
  const pageStore = (): string => /--page-store '[^']+'/u.exec(FENCES[0]!)![0];

  test(
    'works: a ledger is made and recorded into, a second host restores and records, a copy is made',
    async () => {
      expect(await shell('one', FENCES[0]!.slice(START.length))).toMatch(
        /^web@1: 64 pages written/mu,
      );
      const restored = `${exported()}\npageledger ${pageStore()} restore --vm web --to back.raw`;
      await shell('two', restored);
      expect(readFileSync(join(folder.path, 'back.raw'))).toEqual(
        readFileSync(join(folder.path, 'web.raw')),
      );
      const lines = FENCES[1]!.trimEnd().split('\n');
      const [exporting, importing, imported] = lines.map((line) =>
        line.replace(/^(?:one|two)\$ /u, ''),
      );
      await shell('one', `${exported()}\n${exporting}`);
      expect((await shell('two', `${exported()}\n${importing}`)).trimEnd()).toBe(imported);
      const more = `${exported()}\npageledger record image --vm second web.raw`;
      expect(await shell('two', more)).toMatch(/^second@1: .*\(0 stored/mu);
      const [copy, told] = FENCES[2]!.trimEnd().split('\n');
      await shell('one', 'pageledger --ledger ./ledger record image --init --vm web web.raw');
      const copied = await shell('one', `${exported()}\n${copy!.replace(/^\$ /u, '')}`);
      const shape = told!
        .replaceAll(/[()[\]]/gu, String.raw`\$&`)
        .replaceAll(/\d+\.\d+ MiB/gu, String.raw`[\d.]+ [KM]iB`)
        .replaceAll(/\b\d+ (?!events|packs)/gu, String.raw`\d+ `)
        .replaceAll(/\b\d+ (event|pack)s/gu, String.raw`(?:1 $1|\d+ $1s)`)
        .replace(/[0-9a-f]{64}/u, '[0-9a-f]{64}');
      expect(copied.trimEnd()).toMatch(new RegExp(`^${shape}$`, 'u'));
    },
    S3_TIMEOUT_MS,
  );
});
