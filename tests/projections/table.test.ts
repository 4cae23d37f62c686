// The one fold of page events into a page table, on histories that were made by hand.

import { describe, expect, test } from '@jest/globals';
import { UNKNOWN } from '../../domain/values/holding.ts';
import { decodeBatches } from '../../projections/commits.ts';
import { applyTold, applyWrites, unknownTable, type PageTable } from '../../projections/table.ts';
import { HandMadeLedger } from '../support/hand-made-captures.ts';

const PAGES = 40;

/** A VM of four captures, each with a few pages of its own, and the events of each. */
async function history() {
  const ledger = new HandMadeLedger();
  const pages = Array.from({ length: PAGES }, (_, gfn) => gfn % 7);
  for (let capture = 1; capture <= 4; capture += 1) {
    for (let gfn = capture; gfn < PAGES; gfn += 9) pages[gfn] = 100 * capture + (gfn % 2);
    await ledger.record({ vm: 'a', pages: [...pages] });
  }
  const { contents, tables, catalogue } = ledger.state;
  const entry = catalogue.vms.get('a')!;
  const captures = await Promise.all(
    entry.captures.map(async (row) => decodeBatches(await tables.events('a', row)).batches),
  );
  return { contents, captures, entry, tables };
}

describe('the fold of page events into a table', () => {
  test('gives the memory at each capture, from nothing known at the start', async () => {
    const { contents, captures, entry, tables } = await history();
    const table = unknownTable(PAGES);
    expect(new Set(table)).toEqual(new Set([UNKNOWN]));
    for (const [i, batches] of captures.entries()) {
      applyWrites(table, contents, { batches, isWiped: false });
      expect(table).toEqual(await tables.at(entry, contents, entry.captures[i]!));
    }
  });

  test.each([false, true])('tells of just the pages that change; wiped: %s', async (isWiped) => {
    const { contents, captures } = await history();
    const [first, ...others] = captures;
    const table = unknownTable(PAGES);
    applyWrites(table, contents, { batches: first!, isWiped: false });
    const told: PageTable = table.slice();
    const plain = table.slice();
    for (const batches of others) {
      const writes = { batches, isWiped };
      applyWrites(plain, contents, writes);
      let changes = 0;
      applyTold(table, contents, writes, (gfn, old, next) => {
        expect(told[gfn]).toBe(old);
        expect(next).not.toBe(old);
        told[gfn] = next;
        changes += 1;
      });
      expect(changes).toBeGreaterThan(0);
      expect([table, told]).toEqual([plain, plain]);
    }
    expect(table.includes(UNKNOWN)).toBe(isWiped);
  });

  test('passes over rows beyond the memory', async () => {
    const { contents, captures } = await history();
    const table = new Uint32Array(3).fill(UNKNOWN);
    applyWrites(table, contents, { batches: captures[0]!, isWiped: false });
    expect(table.includes(UNKNOWN)).toBe(false);
    expect(table).toHaveLength(3);
  });
});
