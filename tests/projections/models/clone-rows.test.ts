// The clones that run, as the catalogue knows them: by the events of their masters' points.

import { expect, test } from '@jest/globals';
import type { ControlEvent } from '../../../domain/events/control.ts';
import { Catalogue } from '../../../projections/models/catalogue.ts';
import { catalogueOf, catalogueText } from '../../../projections/models/catalogue-state.ts';

const HOLDER = { host: 'one', machine: 'm', boot: 'b', space: 's', process: 42, started: 7 };
const A = '00000000000000aa';
const B = '00000000000000bb';

const leased = (lease: string, ledger = 'here'): ControlEvent => ({
  type: 'PointLeased',
  data: { vm: 'web', capture: 3, lease, kind: 'clone', ledger, holder: HOLDER },
});
const started = (clone: string): ControlEvent => ({
  type: 'CloneStarted',
  data: { vm: 'web', capture: 3, clone, kind: 'mapped', block: 'pc.ram', qmp: '/run/q' },
});
const ended = (clone: string): ControlEvent => ({
  type: 'CloneEnded',
  data: { vm: 'web', clone, why: 'released', privatePages: 9 },
});
const unheld = (lease: string): ControlEvent => ({
  type: 'LeaseEnded',
  data: { vm: 'web', lease, why: 'ended' },
});

const created: ControlEvent = {
  type: 'LedgerCreated',
  data: { ledger: 'here', format: 4, pageStore: null },
};

/** A catalogue after events; the same once it is read back. */
function catalogueAfter(...events: readonly ControlEvent[]): Catalogue {
  const catalogue = new Catalogue();
  for (const [i, event] of [created, ...events].entries())
    catalogue.apply(
      { _tag: 'control', event, position: BigInt(i), timeMs: i, id: `${i}`, stream: 'points-web' },
      { overridden: 0, broken: 0 },
    );
  const read = catalogueOf(catalogueText(catalogue));
  expect(read.entry('web').clones).toEqual(catalogue.entry('web').clones);
  expect(read.entry('web').parked).toEqual(catalogue.entry('web').parked);
  return catalogue;
}

/** The clones that run after events, by their leases. */
const runningAfter = (...events: readonly ControlEvent[]): readonly string[] =>
  catalogueAfter(...events)
    .entry('web')
    .clones.map(({ clone }) => clone);

test('a clone runs from its beginning to its end, whatever others do', () => {
  const both = [leased(A), started(A), leased(B), started(B)];
  expect(runningAfter(...both)).toEqual([A, B]);
  expect(runningAfter(...both, ended(A), unheld(A))).toEqual([B]);
  expect(runningAfter(...both, ended(A), unheld(A), ended(B), unheld(B))).toEqual([]);
});

test('what a clone dropped is added up', () => {
  const evicted: ControlEvent = {
    type: 'PageEvicted',
    data: { vm: 'web', clone: A, dropped: 5, pages: [] },
  };
  const catalogue = catalogueAfter(leased(A), started(A), evicted, evicted);
  expect(catalogue.entry('web').clones).toMatchObject([{ clone: A, dropped: 10 }]);
});

test('a parked clone waits with what it goes on from, until it is woken', () => {
  const data = { vm: 'web', clone: A, as: 'web-a', at: 2, privatePages: 9 };
  const parked: ControlEvent = { type: 'CloneParked', data };
  const woken: ControlEvent = { type: 'CloneWoken', data: { vm: 'web', clone: A, lease: B } };
  const past = [leased(A), started(A), parked, unheld(A)];
  const entry = catalogueAfter(...past).entry('web');
  expect(entry.clones).toEqual([]);
  expect(entry.parked).toEqual([
    { clone: A, as: 'web-a', at: 2, capture: 3, privatePages: 9, timeMs: 3 },
  ]);
  expect(catalogueAfter(...past, woken).entry('web').parked).toEqual([]);
});

test('a clone ends with its lease, by whatever words', () => {
  expect(runningAfter(leased(A), started(A), unheld(A))).toEqual([]);
});

test('in a copy of the ledger no clone runs', () => {
  expect(runningAfter(leased(A, 'another'), started(A))).toEqual([]);
});
