import { describe, expect, test } from '@jest/globals';
import { Limiter } from '../../../domain/values/limiter.ts';

/** After everything that only waits for promises. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Takes places and says who has one. */
function takers(limiter: Limiter): {
  readonly inside: string[];
  readonly take: (name: string, weight?: number) => void;
} {
  const inside: string[] = [];
  const take = (name: string, weight?: number): void => {
    void limiter.enter(weight).then(() => inside.push(name));
  };
  return { inside, take };
}

describe('a limiter', () => {
  test('lets so many through at once, and the next as one leaves', async () => {
    const limiter = new Limiter(2);
    const { inside, take } = takers(limiter);
    for (const name of ['a', 'b', 'c', 'd']) take(name);
    await settled();
    expect(inside).toEqual(['a', 'b']);
    limiter.leave();
    await settled();
    expect(inside).toEqual(['a', 'b', 'c']);
  });

  test('keeps the order of asking, so that the heavy ones come to their turn', async () => {
    const limiter = new Limiter(10);
    const { inside, take } = takers(limiter);
    take('six', 6);
    take('five', 5);
    take('one', 1);
    await settled();
    expect(inside).toEqual(['six']);
    limiter.leave(6);
    await settled();
    expect(inside).toEqual(['six', 'five', 'one']);
  });

  test('lets what is heavier than all through alone', async () => {
    const limiter = new Limiter(10);
    const { inside, take } = takers(limiter);
    take('huge', 25);
    take('one', 1);
    await settled();
    expect(inside).toEqual(['huge']);
    limiter.leave(25);
    await settled();
    expect(inside).toEqual(['huge', 'one']);
  });

  test('gives the place back of work that fails', async () => {
    const limiter = new Limiter(1);
    await expect(limiter.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await limiter.run(() => Promise.resolve('yes'))).toBe('yes');
  });

  test('refuses to give back what nobody took', () => {
    expect(() => new Limiter(1).leave()).toThrow('entered');
  });
});
