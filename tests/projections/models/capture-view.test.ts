import { expect, test } from '@jest/globals';
import { FIRST_CONTENT } from '../../../domain/values/holding.ts';
import { LayeredCaptureView } from '../../../projections/models/capture-view.ts';
import { HandMadeLedger, identifierOf } from '../../support/hand-made-captures.ts';
import { NONE_LARGE } from '../../support/ledgers/naive-ledger.ts';

test('a capture does not take what was committed and folded since it began for its own', async () => {
  const ledger = new HandMadeLedger();
  await ledger.record({ vm: 'a', pages: [1, 2] });
  const { state } = ledger;
  await state.catchUp({ heavy: true });
  const { contents, sharing, losses } = state;
  const known = (await state.currentTable(state.catalogue.vms.get('a')!))!;
  const models = { contents, sharing, losses, isLinked: true };
  const view = new LayeredCaptureView({ ...models, known, pages: 2, regions: NONE_LARGE });
  // Another recorder's commit is folded in the middle: its contents get the numbers 2 and 3.
  await ledger.record({ vm: 'b', pages: [3, 4, 4] });
  await state.catchUp({ heavy: true });
  expect(contents.count).toBe(4);
  expect(view.find(identifierOf(3), 0, 0)).toBe(-1);
  const stored = view.store(identifierOf(5), 0, 0);
  expect(stored).toBe(FIRST_CONTENT + 2);
  expect(view.find(identifierOf(5), 0, 0)).toBe(stored);
  expect(view.reference(stored)).toEqual({ _tag: 'pending', kind: 'content', number: 0 });
  expect(view.holders(FIRST_CONTENT + 3)).toBe(0);
  expect(view.find(identifierOf(1), 0, 0)).toBe(FIRST_CONTENT);
  expect(view.holders(FIRST_CONTENT)).toBe(1);
});
