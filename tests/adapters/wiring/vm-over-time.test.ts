// A search in a long past of which everything is at hand: whoever wants to end it gets his turn.

import { expect, test } from '@jest/globals';
import type { Ledger } from '../../../adapters/wiring/ledger/ledger.ts';
import { VmOverTime } from '../../../adapters/wiring/time-travel/vm-over-time.ts';
import { lastChange } from '../../../domain/use-cases/travel/changes.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';

const CAPTURES = 3000;

/** A VM of one page, another at each capture, though not in what is looked at. */
function writtenAgainAndAgain() {
  const counts = { written: 0, stored: 0, merged: 0, pattern: 0 };
  const captures = Array.from({ length: CAPTURES }, (_, i) => ({
    ...counts,
    capture: 1 + i,
    isWiped: false,
  }));
  const ranges = [{ address: 0, block: 'ram', offset: 0, length: PAGE_BYTES }];
  const entry = {
    vm: 'a',
    captures,
    rows: captures,
    points: {},
    keptCaptures: () => captures,
    capture: (number: number) => captures[number - 1],
    maps: [{ capture: 1, memoryMap: { blocks: [{ name: 'ram', pages: 1 }], ranges } }],
  } as unknown as VmEntry;
  const versions = captures.map(({ capture }) => ({ capture, holding: 256 + capture, kind: 0 }));
  const ledger = {
    vm: () => entry,
    pageReader: () =>
      Promise.resolve({ read: (_: unknown, into: Uint8Array) => Promise.resolve(into) }),
    pageIndex: () => ({ versions: () => Promise.resolve(versions) }),
    state: {
      next: 1n,
      contents: null,
      tables: { at: () => Promise.resolve(Uint32Array.of(256)) },
    },
  } as unknown as Ledger;
  const row = captures.at(-1) as unknown as CaptureRow;
  return VmOverTime.open(ledger, { entry, row, kernel: null }, 'not needed');
}

test('a search is ended by a signal that comes while it goes on', async () => {
  const vm = await writtenAgainAndAgain();
  const stretch = { address: 8n, length: 8 };
  const watchedBy = (signal?: AbortSignal) => vm.watch(stretch, { kind: 'physical' }, { signal });
  expect(await lastChange(watchedBy(), CAPTURES - 1)).toBeNull();
  const abort = new AbortController();
  setImmediate(() => abort.abort(new RangeError('enough')));
  await expect(lastChange(watchedBy(abort.signal), CAPTURES - 1)).rejects.toThrow('enough');
});
