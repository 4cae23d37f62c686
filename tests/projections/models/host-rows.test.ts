// The hosts of the workgroup, and migrations, as the catalogue knows them.

import { expect, test } from '@jest/globals';
import type { ControlEvent } from '../../../domain/events/control.ts';
import { Catalogue } from '../../../projections/models/catalogue.ts';
import { catalogueOf, catalogueText } from '../../../projections/models/catalogue-state.ts';
import { GOLDEN_HOST_EVENTS } from '../../support/golden/golden-host-events.ts';

/** A catalogue after events, each at the position of its number; the same once it is read back. */
function catalogueAfter(...events: readonly ControlEvent[]): Catalogue {
  const catalogue = new Catalogue();
  for (const [i, event] of events.entries())
    catalogue.apply(
      { _tag: 'control', event, position: BigInt(i), timeMs: i, id: `${i}`, stream: '' },
      { overridden: 0, broken: 0 },
    );
  const read = catalogueOf(catalogueText(catalogue));
  expect(read.hosts).toEqual(catalogue.hosts);
  expect(read.migrations).toEqual(catalogue.migrations);
  return catalogue;
}

const eventOf = (type: ControlEvent['type']): ControlEvent =>
  GOLDEN_HOST_EVENTS.find((event) => event.type === type)!;
const joined = eventOf('HostJoined');
const part = (generation: number, number: number): ControlEvent => ({
  type: 'ContentsAdvertised',
  data: {
    host: 'one',
    generation,
    part: number,
    parts: 2,
    regions: 1,
    pages: 1,
    digest: 'ab'.repeat(32),
    bytes: 'AAAA',
  },
});

test('where a host says what it holds is known once it has said all', () => {
  const at = (...events: readonly ControlEvent[]) =>
    catalogueAfter(joined, ...events).hosts.get('one')!.advertisedAt;
  expect(at(part(1, 1))).toBeNull();
  expect(at(part(1, 1), part(1, 2))).toEqual({ first: 1n, last: 2n, timeMs: 2 });
  const again = [part(1, 1), part(1, 2), part(2, 1)];
  expect(at(...again)).toEqual({ first: 1n, last: 2n, timeMs: 2 });
  expect(at(...again, part(2, 2))).toEqual({ first: 3n, last: 4n, timeMs: 4 });
  expect(at(...again, part(3, 2))).toEqual({ first: 1n, last: 2n, timeMs: 2 });
});

test('a host that left holds nothing', () => {
  const { hosts } = catalogueAfter(joined, part(1, 1), part(1, 2), eventOf('HostLeft'));
  expect(hosts.get('one')).toMatchObject({ advertisedAt: null, state: { facts: null } });
});

test('the last migration of a VM is known that this ledger may not have itself', () => {
  const catalogue = catalogueAfter(...GOLDEN_HOST_EVENTS.slice(4, 8));
  expect(catalogue.vms.size).toBe(0);
  expect(catalogue.migrations.get('web-1')).toMatchObject({
    migration: 'fedcba9876543210',
    phase: 'completed',
    to: 'two',
  });
});

test('a host has what was moved to it, until it says anew what it holds', () => {
  const arrived = (...events: readonly ControlEvent[]) =>
    catalogueAfter(...GOLDEN_HOST_EVENTS.slice(4, 8), ...events).hosts.get('two')!.arrived;
  const told = (number: number): ControlEvent => {
    const event = part(1, number);
    return { ...event, data: { ...event.data, host: 'two' } } as ControlEvent;
  };
  const there = [{ vm: 'web-1', capture: 4 }];
  expect(arrived()).toEqual(there);
  // Told again it changes nothing; half of what it holds says nothing yet.
  expect(arrived(eventOf('MigrationCompleted'), told(1))).toEqual(there);
  expect(arrived(told(1), told(2))).toEqual([]);
  const { hosts } = catalogueAfter(...GOLDEN_HOST_EVENTS.slice(4, 7), eventOf('MigrationFailed'));
  expect(hosts.has('two')).toBe(false);
});

test('a catalogue without hosts is written as it was before there were any', () => {
  expect(catalogueText(new Catalogue())).not.toMatch(/hosts|migrations/u);
});
