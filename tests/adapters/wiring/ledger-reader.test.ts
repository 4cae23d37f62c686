// A ledger that is read by few calls: what it gives goes through JSON, no size is believed before it was
// checked, and what is asked after it was closed is refused.

import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { isLedgerError, openReader, PAGE_BYTES, type LedgerReader } from '../../../index.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { makeImage } from '../../support/images.ts';
import { recordImage, withLedger } from '../../support/ledgers/recorded-images.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 40;
const image = makeImage({ seed: 3, pages: PAGES });

const whole = async <A>(rows: AsyncIterable<A>): Promise<A[]> => {
  const all: A[] = [];
  for await (const row of rows) all.push(row);
  return all;
};

const CALLS: readonly ((reader: LedgerReader) => Promise<unknown>)[] = [
  (reader) => reader.vms(),
  (reader) => reader.captures('web'),
  (reader) => reader.classes('web@1'),
  (reader) => whole(reader.changes()),
  (reader) => whole(reader.changes({ pages: true })),
];

const codeOf = async (asked: Promise<unknown>): Promise<unknown> =>
  asked.catch((thrown: unknown) => {
    if (isRefused(thrown)) return thrown.refusal._tag;
    return isLedgerError(thrown) ? thrown.code : thrown;
  });

test('rows go through JSON, sizes are checked, and nothing is answered after it was closed', () =>
  withTemporaryFolder(async (folder) => {
    const url = join(folder, 'ledger');
    await withLedger({ url, mode: 'create' }, (ledger) =>
      recordImage(ledger, { vm: 'web', image, folder }),
    );
    const reader = await openReader(url);
    for (const call of CALLS) {
      const rows = await call(reader);
      expect(rows).toEqual(JSON.parse(JSON.stringify(rows)));
      expect(rows).not.toEqual([]);
    }
    const length = image.length;
    expect(Buffer.from(await reader.read('web@1', { page: 0, pages: PAGES })).equals(image)).toBe(
      true,
    );
    const within = await reader.read('web@1', { address: 100, length: length - 200 });
    expect(Buffer.from(within).equals(image.subarray(100, length - 100))).toBe(true);
    for (const at of [
      { page: 1, pages: 2 ** 40 },
      { page: PAGES },
      { page: 2 ** 50 },
      { address: length - PAGE_BYTES, length: 2 ** 50 },
    ])
      expect(await codeOf(reader.read('web@1', at))).toMatch(
        /^(?:GfnOutOfRange|AddressUnmapped)$/u,
      );
    await reader.close();
    await reader.close();
    const asked = [...CALLS, (of: LedgerReader) => of.read('web@1', { page: 0 })];
    for (const call of asked) expect(await codeOf(call(reader))).toBe('LEDGER_CLOSED');
  }));
