import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RecentMap } from '../../../domain/values/recent-map.ts';

describe('a map of recent things', () => {
  test('lets go of what was used least recently, and says what it was', () => {
    const recent = new RecentMap<string, number>({ max: 2 });
    expect(recent.set('a', 1)).toEqual([]);
    expect(recent.set('b', 2)).toEqual([]);
    expect(recent.get('a')).toBe(1);
    expect(recent.set('c', 3)).toEqual([2]);
    expect([...recent.keys()]).toEqual(['a', 'c']);
    expect(recent.get('b')).toBeUndefined();
  });

  test('counts what entries weigh, also when one is put in again or taken out', () => {
    const recent = new RecentMap<string, string>({ max: 4, weigh: (text) => text.length });
    recent.set('a', 'xx');
    recent.set('a', 'x');
    recent.set('b', 'xxx');
    expect(recent.size).toBe(2);
    expect(recent.delete('b')).toBe('xxx');
    expect(recent.set('c', 'xxx')).toEqual([]);
    expect(recent.set('d', 'xxxx')).toEqual(['x', 'xxx']);
  });

  test('keeps the newest, however much it weighs', () => {
    const recent = new RecentMap<string, string>({ max: 1, weigh: (text) => text.length });
    recent.set('a', 'x');
    expect(recent.set('b', 'xxx')).toEqual(['x']);
    expect(recent.get('b')).toBe('xxx');
    recent.clear();
    expect(recent.set('c', 'x')).toEqual([]);
  });

  test('holds the last uses of any sequence of them', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9)), fc.integer({ min: 1, max: 5 }), (uses, max) => {
        const recent = new RecentMap<number, number>({ max });
        for (const key of uses) if (recent.get(key) === undefined) recent.set(key, key);
        const lastFirst = [...new Set(uses.toReversed())].slice(0, max);
        expect([...recent.values()]).toEqual(lastFirst.toReversed());
      }),
    );
  });
});
