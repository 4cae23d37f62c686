import { expect, test } from '@jest/globals';
import { KeptGuards } from '../../../../adapters/guests/qemu/kept-guards.ts';

test('of guards that rest, those that rested longest end, and none that was woken', () => {
  const kept = new KeptGuards(2);
  const ended: string[] = [];
  const guardOf = (name: string) => ({ close: () => void ended.push(name) });
  const [a, b, c, d] = [guardOf('a'), guardOf('b'), guardOf('c'), guardOf('d')];
  kept.rest(a);
  kept.rest(b);
  kept.wake(a);
  kept.rest(c);
  expect(ended).toEqual([]);
  kept.rest(a);
  kept.rest(d);
  expect(ended).toEqual(['b', 'c']);
});
