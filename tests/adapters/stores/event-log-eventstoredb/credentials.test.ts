// A server that asks who one is, over TLS; and that no error, fact, cause, notice or log line shows a
// password.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  openEventStoreLog,
  type EventStoreLog,
} from '../../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import type { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { NO_STREAM } from '../../../../domain/ports/event-log.ts';
import { selfSigned } from '../../../support/eventstoredb-double/self-signed.ts';
import { eventsOf, makeEvents, streamOf } from '../../../support/logs/log-events.ts';
import { failureOf, gather, valueOf } from '../../../support/outcomes.ts';
import { LEDGER, ServerLogs, withServerLogs } from '../../../support/logs/server-logs.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

// A server on a busy machine takes its time; what hangs does not end at all.
jest.setTimeout(300_000);

const USER = 'operator';
const SECRET = `pw-${randomBytes(8).toString('hex')}/@:%`;
const APPENDER = fileURLToPath(
  new URL('../../../support/logs/server-log-appender.js', import.meta.url),
);

const fill = (log: EventStoreLog, expectedRevision = NO_STREAM) =>
  log.append({ stream: 'vm-a', expectedRevision, events: makeEvents(1) });

const as = (user: string, password: string): string =>
  `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;

function expectNoSecret(shown: unknown): void {
  const all = typeof shown === 'string' ? shown : inspect(shown, { depth: 20, showHidden: true });
  expect(all).not.toContain(SECRET);
  expect(all).not.toContain(encodeURIComponent(SECRET));
  expect(all).not.toContain(Buffer.from(`${USER}:${SECRET}`).toString('base64'));
}

describe('a server over TLS that asks who one is', () => {
  let folder: TemporaryFolder;
  let logs: ServerLogs;
  /** Its URL for a user, trusting its certificate. */
  let urlFor: (user: string) => string;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const tls = selfSigned();
    const file = join(folder.path, 'ca.pem');
    await writeFile(file, tls.certificate);
    logs = await ServerLogs.start({ tls, credentials: { username: USER, password: SECRET } });
    const { port } = logs.double;
    urlFor = (user) =>
      `esdb://${user}127.0.0.1:${port}/?tls=true&tlsCAFile=${encodeURIComponent(file)}`;
  });
  afterAll(async () => {
    await logs.close();
    await folder.remove();
  });

  test('takes the ledger’s user and password for everything that is asked', async () => {
    const log = await logs.open({ url: urlFor(as(USER, SECRET)) });
    await valueOf(fill(log));
    expect(await eventsOf(log)).toHaveLength(1);
    expect(await streamOf(log, 'vm-a')).toHaveLength(1);
    expect(await valueOf(log.streamRevision('vm-a'))).toBe(0);
    expect(logs.double.calls('batchAppend')).toBe(0);
  });

  test.each([
    ['a wrong password', () => urlFor(as(USER, 'wrong'))],
    ['a wrong user', () => urlFor(as('nobody', SECRET))],
    ['no user', () => urlFor('')],
  ])('refuses %s, which is LOG_REFUSED at once', async (_, url) => {
    const log = await logs.open({ url: url() });
    const failures = [
      await failureOf(fill(log)),
      await failureOf(log.head()),
      await failureOf(log.streamRevision('vm-a')),
    ];
    for (const failure of failures) {
      expect(failure.code).toBe('LOG_REFUSED');
      expect(failure.message).toContain(
        "check user and password (or certificates) in the ledger's",
      );
      expectNoSecret(failure);
    }
    await expect(eventsOf(log)).rejects.toMatchObject({ code: 'LOG_REFUSED' });
    const flow = log.subscribe({ from: 0n, signal: new AbortController().signal });
    await expect(gather(flow)).rejects.toMatchObject({ code: 'LOG_REFUSED' });
    expect(logs.notices).toEqual([]);
  });

  test('and whose certificate is not known is not spoken to: LOG_REFUSED at once', async () => {
    const { port } = logs.double;
    const log = await logs.open({ url: `esdb://${as(USER, SECRET)}127.0.0.1:${port}/?tls=true` });
    const failure = await failureOf(log.head());
    expect(failure.code).toBe('LOG_REFUSED');
    expect(failure.message).toMatch(/certificate/u);
    expectNoSecret(failure);
    expect(logs.notices).toEqual([]);
  });

  test('has a certificate in a file; one that cannot be read is named', async () => {
    const url = 'esdb://127.0.0.1:1/?tlsCAFile=/no/such/ca.pem';
    const failure = await failureOf(openEventStoreLog({ url, ledger: LEDGER }));
    expect(failure.code).toBe('IO_FAILED');
    expect(failure.message).toContain('/no/such/ca.pem');
  });
});

describe('a password', () => {
  test('stands in no message, fact, cause or notice', async () => {
    await withServerLogs(async (logs) => {
      const { faults, port, records } = logs.double;
      const url = `esdb://${as(USER, SECRET)}127.0.0.1:${port}?tls=false`;
      const log = await logs.open({ url, limits: { giveUpAfterMs: 30 } });
      await valueOf(fill(log));
      const failures: LedgerError[] = [];
      for (const code of [status.UNAUTHENTICATED, status.UNAVAILABLE, status.UNKNOWN]) {
        for (const method of ['append', 'read', 'subscribe'] as const)
          faults.fail({ method, status: code, count: 1000 });
        for (const request of [fill(log, 0), log.head(), log.streamRevision('vm-a')])
          failures.push(await failureOf(request));
        faults.clear();
      }
      records.tombstone(`${LEDGER}.vm-a`);
      failures.push(await failureOf(fill(log, 0)));
      await log.close();
      failures.push(await failureOf(log.head()));
      expect(logs.notices).not.toEqual([]);
      for (const shown of [...failures, ...logs.notices]) expectNoSecret(shown);
      expect(new Set(failures.map(({ code }) => code))).toEqual(
        new Set(['LOG_REFUSED', 'LOG_UNREACHABLE', 'LOG_DAMAGED', 'LEDGER_CLOSED']),
      );
    });
  });

  test('stands in no line that the client prints, not even where it is asked to tell everything', async () => {
    await withServerLogs(async ({ double }) => {
      const url = `esdb://${as(USER, SECRET)}127.0.0.1:${double.port}/?tls=false`;
      const child = spawn(process.execPath, [APPENDER, url, LEDGER, '1', '1'], {
        env: { ...process.env, DEBUG: 'esdb*' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [told, printed] = await Promise.all([text(child.stdout), text(child.stderr)]);
      expect(told).toBe('[[0]]');
      expect(printed).toContain('esdb:command');
      expectNoSecret(printed);
    });
  });
});
