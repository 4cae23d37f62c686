// Who holds a point, and who of them has died.

import { describe, expect, test } from '@jest/globals';
import { fateOf, type Holder, type Host, type ProcessLook } from '../../../domain/values/lease.ts';

const HERE: Host = { host: 'one', machine: 'm1', boot: 'b1', space: 'pid:[1]' };
const HOLDER: Holder = { ...HERE, process: 42, started: 700 };

/** A host on which some processes run. */
const running =
  (processes: Readonly<Record<number, number | null>>): ProcessLook =>
  (process) =>
    process in processes ? { started: processes[process]! } : null;
const ALIVE = running({ 42: 700 });
const NOBODY = running({});

describe('a holder on the same start of the same system', () => {
  test.each<[string, ProcessLook, string]>([
    ['lives as long as its process does', ALIVE, 'alive'],
    ['has died when no process has its number', NOBODY, 'dead'],
    ['has died when another process has its number', running({ 42: 701 }), 'dead'],
    ['lives where nobody may know when its process started', running({ 42: null }), 'alive'],
  ])('%s', (_, look, fate) => {
    expect(fateOf(HOLDER, HERE, look)).toBe(fate);
  });

  test('lives where it did not know itself when it started', () => {
    expect(fateOf({ ...HOLDER, started: null }, HERE, ALIVE)).toBe('alive');
    expect(fateOf({ ...HOLDER, started: null }, HERE, NOBODY)).toBe('dead');
  });

  test.each([null, 'pid:[2]'])('is elsewhere where numbers mean others (%s)', (space) => {
    expect(fateOf({ ...HOLDER, space }, HERE, NOBODY)).toBe('elsewhere');
    expect(fateOf(HOLDER, { ...HERE, space }, NOBODY)).toBe('elsewhere');
  });

  test('is known whatever name and number containers of it have', () => {
    expect(fateOf(HOLDER, { ...HERE, host: 'box', machine: null }, NOBODY)).toBe('dead');
  });
});

describe('a holder of an earlier start of this host', () => {
  const before: Holder = { ...HOLDER, boot: 'b0' };

  test('has died, whoever has its number now', () => {
    expect(fateOf(before, HERE, ALIVE)).toBe('dead');
  });

  test.each<[string, Partial<Host>]>([
    ['of another name', { host: 'two' }],
    ['of another system', { machine: 'm2' }],
    ['of a system that is not told', { machine: null }],
  ])('is another host where it is %s', (_, host) => {
    expect(fateOf({ ...before, ...host }, HERE, NOBODY)).toBe('elsewhere');
    expect(fateOf(before, { ...HERE, ...host }, NOBODY)).toBe('elsewhere');
  });

  test('is not told where a start is not', () => {
    expect(fateOf({ ...HOLDER, boot: null }, HERE, NOBODY)).toBe('elsewhere');
    expect(fateOf(HOLDER, { ...HERE, boot: null }, NOBODY)).toBe('elsewhere');
  });
});
