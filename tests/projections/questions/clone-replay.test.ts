// What clones of hosts touched, taken out of their events: each host by itself, in the order of the log, pages of
// two files never for one another.

import { expect, test } from '@jest/globals';
import type { ControlEvent } from '../../../domain/events/control.ts';
import type { PageRanges } from '../../../domain/values/page-ranges.ts';
import type { Change } from '../../../projections/commits.ts';
import { LOG_START } from '../../../projections/commits.ts';
import { replayClones } from '../../../projections/questions/clone-replay.ts';
import { leasedOn } from '../../support/hosts/cloned-host.ts';

const [A, B, C] = ['00000000000000aa', '00000000000000bb', '00000000000000cc'];

const fetched = (
  clone: string,
  of: { readonly file?: string; readonly server?: PageRanges; readonly host?: PageRanges },
): ControlEvent => ({
  type: 'PageFetched',
  data: {
    vm: 'web',
    clone,
    base: { vm: 'web', capture: 3, file: of.file ?? '/base/0' },
    server: of.server ?? [],
    host: of.host ?? [],
    own: [[90, 99]],
  },
});

/** What policies make of these events, in a memory of so many pages. */
function replayed(events: readonly ControlEvent[], capacity: number | null) {
  const replay = async (_from: unknown, consume: (change: Change) => Promise<void>) => {
    for (const [i, event] of events.entries()) {
      const at = { position: BigInt(i), timeMs: i, id: `${i}`, stream: 'points-web' };
      await consume({ _tag: 'control', event, ...at });
    }
    return LOG_START;
  };
  const state = { start: LOG_START, catalogue: { ledger: 'here' } };
  return replayClones({ state, replay }, { policies: ['best', 'lru', 'fifo'], capacity });
}

test('each host has the pages that its clones touched, its own ones left out, in the order of the log', async () => {
  const rows = await replayed(
    [
      leasedOn(A, 'one'),
      leasedOn(B, 'one'),
      leasedOn(C, 'two'),
      leasedOn('00000000000000dd', 'one', 'elsewhere'),
      fetched(A, { server: [[0, 2]] }),
      fetched(B, { server: [[3, 3]], host: [[0, 0]] }),
      fetched(C, { server: [[0, 0]] }),
      fetched(A, { server: [[1, 2]] }),
      fetched('00000000000000dd', { server: [[50, 60]] }),
    ] as const,
    3,
  );
  // On the first: 0 1 2, then 0 3, then 1 2.
  expect(
    rows.map(({ host, policy, pages, references, fetched: n }) => [
      host,
      policy,
      pages,
      references,
      n,
    ]),
  ).toEqual([
    ['one', 'best', 4, 7, 4],
    ['one', 'lru', 4, 7, 6],
    ['one', 'fifo', 4, 7, 4],
    ['two', 'best', 1, 1, 1],
    ['two', 'lru', 1, 1, 1],
    ['two', 'fifo', 1, 1, 1],
  ]);
});

test('the same page of two files is two pages', async () => {
  const rows = await replayed(
    [
      leasedOn(A, 'one'),
      fetched(A, { server: [[0, 0]] }),
      fetched(A, { server: [[0, 0]], file: '/base/1' }),
    ],
    8,
  );
  expect(rows[0]).toMatchObject({
    pages: 2,
    references: 2,
    fetched: 2,
    refetched: 0,
    isCut: false,
  });
});

test('without a size memories of three, two and one quarter of what was touched are shown', async () => {
  const rows = await replayed([leasedOn(A, 'one'), fetched(A, { server: [[0, 99]] })], null);
  expect(rows.map(({ capacity }) => capacity)).toEqual([75, 75, 75, 50, 50, 50, 25, 25, 25]);
  expect(await replayed([leasedOn(A, 'one')], null)).toEqual([]);
});
