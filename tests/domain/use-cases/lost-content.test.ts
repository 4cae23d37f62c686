// What a repair looks for: by identifier, each until it is found.

import { describe, expect, test } from '@jest/globals';
import { LostContent } from '../../../domain/use-cases/repair/lost-content.ts';
import { holdingOfContent, holdingOfPattern } from '../../../domain/values/holding.ts';

const identifier = (...bytes: readonly number[]): Uint8Array => {
  const made = new Uint8Array(32);
  made.set(bytes);
  return made;
};
const [A, B] = [identifier(1), identifier(1, 0, 0, 0, 0, 0, 0, 0, 7)];
const content = (number: number, of: Uint8Array) => ({
  holding: holdingOfContent(number),
  identifier: of,
  vm: 'web',
});

describe('lost content', () => {
  test('is found by its identifier, once, and by no other', () => {
    const lost = new LostContent([content(4, A), content(9, B)]);
    const rows = new Uint8Array(64);
    rows.set(B, 32);
    expect([lost.isContentLost(rows, 0), lost.isContentLost(rows, 1)]).toEqual([false, true]);
    expect(lost.takeContent(rows, 1)).toEqual([holdingOfContent(9)]);
    expect(lost.takeContent(rows, 1)).toEqual([]);
    expect([lost.hasContents, lost.isFound]).toEqual([true, false]);
    expect(lost.takeContent(A, 0)).toEqual([holdingOfContent(4)]);
    expect([lost.hasContents, lost.isFound]).toEqual([false, true]);
  });

  test('of a VM that shares nothing may be several of one identifier', () => {
    const lost = new LostContent([content(4, A), content(9, A)]);
    expect(lost.takeContent(A, 0)).toEqual([holdingOfContent(4), holdingOfContent(9)]);
    expect(lost.isFound).toBe(true);
  });

  test("is no pattern, whose identifier is its VM's own", () => {
    const lost = new LostContent([{ holding: holdingOfPattern(2), identifier: A, vm: 'db' }]);
    expect([...lost.patternVms]).toEqual(['db']);
    expect(lost.takeContent(A, 0)).toEqual([]);
    expect(lost.takePattern(A)).toEqual([holdingOfPattern(2)]);
    expect(lost.isFound).toBe(true);
  });
});
