// The URL of a ledger on a server, and what is shown of it.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  isServerUrl,
  parseConnectionString,
  parseLedgerUrl,
  placeOf,
  withoutSecrets,
} from '../../../../adapters/stores/event-log-eventstoredb/ledger-url.ts';
import { isRefused } from '../../../../domain/values/refused.ts';
import { triesOf } from '../../../support/long-run.ts';

const SECRET = 'pAss-w0rd';

/** The message of the refusal; what is not refused is thrown. */
function refusalOf(text: string): string {
  try {
    parseLedgerUrl(text);
  } catch (thrown) {
    if (isRefused(thrown)) return thrown.message;
    throw thrown;
  }
  throw new TypeError(`it was taken: ${text}`);
}

describe('the URL of a ledger on a server', () => {
  test.each([
    ['esdb://host', 'esdb://host', 'pageledger'],
    ['esdb://host/?ledger=prod', 'esdb://host', 'prod'],
    ['esdb://host:1234?tls=false&ledger=a-b_C9', 'esdb://host:1234/?tls=false', 'a-b_C9'],
    [
      'esdb://h/?LEDGER=x&tls=true&tlsCAFile=%2Fa%20b',
      'esdb://h/?tls=true&tlsCAFile=%2Fa%20b',
      'x',
    ],
    ['esdb+discover://cluster.example/?ledger=x', 'esdb+discover://cluster.example', 'x'],
    ['kurrentdb://u:p@a,b:2114/?ledger=x', 'esdb://u:p@a,b:2114', 'x'],
    ['kdb+discover://a?ledger=x', 'esdb+discover://a', 'x'],
  ])('%s is taken apart into connection and ledger', (url, connectionString, ledger) => {
    expect(isServerUrl(url)).toBe(true);
    expect(parseLedgerUrl(url)).toEqual({ connectionString, ledger });
  });

  test.each([
    `esdb://admin:${SECRET}`,
    `esdb://admin:${SECRET}/?ledger=x`,
    `esdb+discover://admin:${SECRET} 127.0.0.1:1`,
    `esdb://admin:a/${SECRET}`,
    `esdb://admin:a,${SECRET}/?tls=no`,
  ])('%s, which lost its @HOST, is refused without its password', (url) => {
    expect(refusalOf(url)).not.toContain(SECRET);
    expect(withoutSecrets(url)).not.toContain(SECRET);
  });

  test('hosts and ports are shown, also where there is no user', () => {
    for (const url of ['esdb://one:1,two:2/?ledger=x', 'esdb://[::1]:9'])
      expect(withoutSecrets(url)).toBe(url);
  });

  test('a connection string says where, as whom and how', () => {
    const settings = parseConnectionString(
      'esdb://us%40er:p%3Aa:%2F@one,two:2114,[::1]:9/?tls=true&tls_ca_file=/ca.pem&keepAliveInterval=20000&nodePreference=Leader&connectionName=me',
    );
    expect(settings).toEqual({
      isDiscovered: false,
      endpoints: [
        { address: 'one', port: 2113 },
        { address: 'two', port: 2114 },
        { address: '[::1]', port: 9 },
      ],
      credentials: { username: 'us@er', password: 'p:a:/' },
      isTls: true,
      numbers: { keepAliveInterval: 20_000 },
      texts: { tlsCAFile: '/ca.pem', connectionName: 'me' },
    });
    expect(placeOf(settings)).toBe('esdb://one:2113,two:2114,[::1]:9');
  });

  test.each([
    ['/a/folder', 'no scheme'],
    ['http://host', 'no scheme'],
    ['esdb://', 'no HOST'],
    ['esdb://host:99999', 'a port'],
    ['esdb://host:abc', 'no HOST or HOST:PORT'],
    ['esdb://user@host', 'USER:PASSWORD'],
    ['esdb+discover://a,b', 'more than one host'],
    ['esdb://host/?ledger=', 'KEY=VALUE'],
    ['esdb://host/?ledger=a.b', 'ledger name'],
    [`esdb://host/?ledger=${'x'.repeat(65)}`, 'ledger name'],
    ['esdb://host/?tls=maybe', 'true or false'],
    ['esdb://host/?tls=%E0%A4', 'percent-encoding'],
    ['esdb://host/?colour=red', 'an unknown parameter colour'],
    ['esdb://host/?keepAliveInterval=soon', 'milliseconds'],
    ['esdb://host/?userCertFile=/a', 'userKeyFile'],
    // What would lose or miss events, or is silently without effect.
    ['esdb://host/?nodePreference=follower', 'leader'],
    ['esdb://host/?throwOnAppendFailure=false', 'throwOnAppendFailure'],
    ['esdb://host/?tlsVerifyCert=false', 'tlsCAFile'],
  ])('%s is refused, and what is wrong with it is said', (url, reason) => {
    expect(refusalOf(url)).toContain(reason);
  });

  test('a refusal never shows the password, wherever it was mistyped', () => {
    const wrong = [
      `esdb://user:${SECRET}@host:port/?tls=false`,
      `esdb://user:${SECRET}@host/?colour=red`,
      `esdb://user:${SECRET}@host/?ledger=.`,
      `esdb://user:${SECRET}@a@b:0`,
      `esdb://user:x?${SECRET}=1@host`,
      `esdb://user:x/${SECRET}@host:0`,
      `esdb:/user:${SECRET}@host`,
      `user:${SECRET}@host`,
      `http://user:${SECRET}@host`,
      `esdb://user:%${SECRET}@host`,
    ];
    for (const url of wrong) expect(refusalOf(url)).not.toContain(SECRET);
  });

  test('what is shown of any text holds nothing of what stands before an @', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        const text = `esdb://u:${before}${SECRET}@${after}`;
        expect(withoutSecrets(text)).not.toContain(SECRET);
      }),
    );
    expect(withoutSecrets(`esdb://u:${SECRET}@host:1/?tls=false`)).toBe(
      'esdb://***@host:1/?tls=false',
    );
    expect(withoutSecrets('esdb://host:1/?tls=false')).toBe('esdb://host:1/?tls=false');
  });

  test('any text is taken or refused, and nothing else', () => {
    const pieces = fc.constantFrom(
      'esdb',
      '+discover',
      '://',
      '@',
      ':',
      ',',
      '/',
      '?',
      '&',
      '=',
      '%',
    );
    const text = fc.array(fc.oneof(pieces, fc.string({ maxLength: 4 })), { maxLength: 12 });
    fc.assert(
      fc.property(text, (parts) => {
        const url = `esdb://${parts.join('')}`;
        try {
          const { connectionString } = parseLedgerUrl(url);
          expect(parseLedgerUrl(connectionString).connectionString).toBe(connectionString);
        } catch (thrown) {
          if (!isRefused(thrown)) throw thrown;
        }
      }),
      { numRuns: triesOf(500) },
    );
  });
});
