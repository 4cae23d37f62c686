import { describe, expect, test } from '@jest/globals';
import { sharingReport } from '../../../projections/questions/sharing-at.ts';
import { sharingAt } from '../../support/ledgers/sharing-counts.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { HandMadeLedger } from '../../support/hand-made-captures.ts';

/** a: 5 twice, 6 and zeros; b: 5, 7 and zeros; then a lets go of 6; then b is retired. */
async function makeLedger() {
  const ledger = new HandMadeLedger();
  const first = await ledger.record({ vm: 'a', pages: [5, 5, 6, 0] });
  const both = await ledger.record({ vm: 'b', pages: [5, 7, 0, 0] });
  const without = await ledger.record({ vm: 'a', pages: [5, 5, 0, 0] });
  const retired = await ledger.retire('b');
  await ledger.state.catchUp({ heavy: true });
  return { state: ledger.state, first, both, without, retired };
}

const NONE = { pattern: 0, patched: 0, unknown: 0 };

describe('sharing', () => {
  test('counts what all VMs hold at a position', async () => {
    const { state, first, both, without, retired } = await makeLedger();
    const at = (position: bigint) => sharingAt(state, { position, vm: null });
    expect(await at(first - 1n)).toEqual({
      ...NONE,
      vms: 0,
      pages: 0,
      zero: 0,
      unique: 0,
      mergedIntra: 0,
      mergedInter: 0,
    });
    expect(await at(first)).toEqual({
      ...NONE,
      vms: 1,
      pages: 4,
      zero: 1,
      unique: 2,
      mergedIntra: 1,
      mergedInter: 0,
    });
    expect(await at(both)).toEqual({
      ...NONE,
      vms: 2,
      pages: 8,
      zero: 3,
      unique: 3,
      mergedIntra: 1,
      mergedInter: 1,
    });
    expect(await at(without)).toEqual({
      ...NONE,
      vms: 2,
      pages: 8,
      zero: 4,
      unique: 2,
      mergedIntra: 1,
      mergedInter: 1,
    });
    expect(await at(retired)).toEqual({
      ...NONE,
      vms: 1,
      pages: 4,
      zero: 2,
      unique: 1,
      mergedIntra: 1,
      mergedInter: 0,
    });
  });

  test('counts of one VM what it alone holds, what others hold too, and its further copies', async () => {
    const { state, both, retired } = await makeLedger();
    expect(await sharingAt(state, { position: both, vm: 'a' })).toEqual({
      ...NONE,
      vms: 1,
      pages: 4,
      zero: 1,
      unique: 1,
      mergedIntra: 1,
      mergedInter: 1,
    });
    expect(await sharingAt(state, { position: both, vm: 'b' })).toEqual({
      ...NONE,
      vms: 1,
      pages: 4,
      zero: 2,
      unique: 1,
      mergedIntra: 0,
      mergedInter: 1,
    });
    expect(await sharingAt(state, { position: retired, vm: 'b' })).toMatchObject({
      vms: 0,
      pages: 0,
    });
  });

  test('counts pages as unknown whose events are damaged, and those of other VMs as ever', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [5] });
    const batch = ledger.store.events.find(({ type }) => type === 'PagesWritten')!;
    Object.assign(batch, { data: new Uint8Array(3) });
    const position = await ledger.record({ vm: 'b', pages: [6, 0] });
    await ledger.state.catchUp({ heavy: true });
    const report = (vm: string | null) => sharingReport(ledger.state, { position, vm });
    const whole = { pages: 2, zero: 1, unique: 1, unknown: 0 };
    expect(await report(null)).toMatchObject({ ...whole, pages: 3, unknown: 1, damagedVms: ['a'] });
    expect(await report('a')).toMatchObject({ pages: 1, unique: 0, unknown: 1, damagedVms: ['a'] });
    expect(await report('b')).toMatchObject({ ...whole, damagedVms: ['a'] });
  });

  test('of one VM tells what would be private without it, and whom it shares with', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [1, 2, 3, 3, 4, 0] });
    await ledger.record({ vm: 'b', pages: [1, 2, 2, 9, 0, 0] });
    await ledger.record({ vm: 'c', pages: [1, 3, 8, 0, 0, 0] });
    const position = await ledger.record({ vm: 'd', pages: [7, 7, 7, 7, 7, 7] });
    await ledger.state.catchUp({ heavy: true });
    const report = (vm: string) => sharingReport(ledger.state, { position, vm });
    // Without a, only c holds 3, once; b holds 2 twice, and 1 is held by b and c.
    expect((await report('a')).vm).toEqual({
      leftPrivate: 1,
      sharedWith: [
        { vm: 'b', contents: 2 },
        { vm: 'c', contents: 2 },
      ],
    });
    expect((await report('b')).vm).toEqual({
      leftPrivate: 1,
      sharedWith: [
        { vm: 'a', contents: 2 },
        { vm: 'c', contents: 1 },
      ],
    });
    expect((await report('d')).vm).toEqual({ leftPrivate: 0, sharedWith: [] });
    const { unique, uniqueBytes } = await sharingReport(ledger.state, { position, vm: null });
    expect(unique).toBe(7);
    expect(uniqueBytes).toBe(unique * PAGE_BYTES);
  });

  test('tells how often sharing was broken in the time there was', async () => {
    const ledger = new HandMadeLedger();
    const timeMs = 1_790_000_000_000;
    const first = await ledger.record({ vm: 'a', pages: [5, 5, 5], timeMs });
    await ledger.record({ vm: 'b', pages: [5, 5, 5], timeMs });
    const last = await ledger.record({ vm: 'a', pages: [6, 7, 5], timeMs: timeMs + 30_000 });
    await ledger.state.catchUp({ heavy: true });
    const at = async (position: bigint, vm: string | null) =>
      (await sharingReport(ledger.state, { position, vm })).brokenPerMinute;
    expect(await at(first, null)).toBeNull();
    expect(await at(last, null)).toBe(4);
    expect(await at(last, 'a')).toBe(4);
    expect(await at(last, 'b')).toBeNull();
  });
});
