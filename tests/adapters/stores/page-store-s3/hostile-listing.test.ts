// What is believed of listings by a server that answers as no object store does.

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { S3PageStore } from '../../../../adapters/stores/page-store-s3/page-store-s3.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import { gather } from '../../../support/outcomes.ts';
import { scriptedStores } from '../../../support/packs/scripted-store.ts';
import type { Script, ScriptedStores } from '../../../support/packs/scripted-store.ts';

let stores: ScriptedStores;
beforeEach(() => {
  stores = scriptedStores();
});
afterEach(() => stores.close());

describe('a listing', () => {
  const page = (keys: readonly string[], next: string | null): string => {
    const contents = keys.map(
      (key) =>
        `<Contents><Key>${key}</Key><LastModified>2026-11-21T10:00:00Z</LastModified><Size>5</Size></Contents>`,
    );
    const end =
      next === null
        ? '<IsTruncated>false</IsTruncated>'
        : `<IsTruncated>true</IsTruncated><NextContinuationToken>${next}</NextContinuationToken>`;
    return `<ListBucketResult>${end}${contents.join('')}</ListBucketResult>`;
  };
  const name = (digit: string): string => digit.repeat(64);
  const keyOf = (digit: string): string => `p/packs/${digit}${digit}/${name(digit)}`;
  const listed = async (store: S3PageStore): Promise<string[]> =>
    (await gather(store.list())).map((entry) => entry.name);
  const failed = async (store: S3PageStore): Promise<string> => {
    try {
      await gather(store.list());
    } catch (thrown) {
      if (isLedgerError(thrown)) return `${thrown.code}: ${thrown.message}`;
      throw thrown;
    }
    return 'it succeeded';
  };

  test('goes on where it says, and passes over what is no pack of ours', async () => {
    const asked: (string | undefined)[] = [];
    const { store } = await stores.before((request, response, number) => {
      asked.push(request.url);
      response.writeHead(200);
      response.end(
        number === 0
          ? page([keyOf('0'), 'p/packs/00/x', `p/packs/01/${name('0')}`, 'p/packs/'], 't+/= ')
          : page([keyOf('a')], null),
      );
    });
    expect(await listed(store)).toEqual([name('0'), name('a')]);
    const query = 'list-type=2&max-keys=1000&prefix=p%2Fpacks%2F';
    expect(asked).toEqual([
      `/bucket?${query}`,
      `/bucket?continuation-token=t%2B%2F%3D%20&${query}`,
    ]);
  });

  test.each<[string, Script, string]>([
    ['that goes round in circles', (_, r) => r.end(page([keyOf('0')], 'again')), 'goes back'],
    [
      'that goes on for ever without a pack',
      (_, r) => r.end(page([], 'again')),
      'listings without',
    ],
    ['that is garbage', (_, r) => r.end('<<<'), 'no ListBucketResult'],
    [
      'with a document type',
      (_, r) =>
        r.end(
          `<!DOCTYPE l [<!ENTITY a "${'a'.repeat(1000)}">]>${page(['&a;'.repeat(1000)], null)}`,
        ),
      'no ListBucketResult',
    ],
    [
      'that is cut short',
      (_, r) => r.end(page([keyOf('0')], null).slice(0, -9)),
      'no ListBucketResult',
    ],
    [
      'that never ends',
      (_, r) => {
        const timer = setInterval(() => r.write('<Contents>'.repeat(100_000)), 1);
        r.on('close', () => {
          clearInterval(timer);
        });
      },
      'more than',
    ],
  ])(
    '%s is not believed',
    async (_name, answer, why) => {
      const { store } = await stores.before(answer);
      const failure = await failed(store);
      expect(failure).toContain('STORE_UNREACHABLE');
      expect(failure).toContain(why);
    },
    20_000,
  );

  test('that is cut off on the way is asked for again, and nothing is doubled', async () => {
    const script: Script = (_, response, number) => {
      if (number === 1) response.destroy();
      else response.end(number === 0 ? page([keyOf('0')], 'x') : page([keyOf('1')], null));
    };
    const { store } = await stores.before(script, { patienceMs: 5000 });
    expect(await listed(store)).toEqual([name('0'), name('1')]);
  });
});
