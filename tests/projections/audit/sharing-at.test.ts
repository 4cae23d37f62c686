import { describe, expect, test } from '@jest/globals';
import { sharingAt } from '../../../projections/audit/sharing-at.ts';
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

const NONE = { pattern: 0, patched: 0 };

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

  test('does not count a memory that is not whole', async () => {
    const ledger = new HandMadeLedger();
    const position = await ledger.record({ vm: 'a', pages: [5] });
    const batch = ledger.store.events.find(({ type }) => type === 'PagesWritten')!;
    Object.assign(batch, { data: new Uint8Array(3) });
    await ledger.state.catchUp({ heavy: true });
    await expect(sharingAt(ledger.state, { position, vm: null })).rejects.toMatchObject({
      code: 'POINT_DAMAGED',
    });
  });
});
