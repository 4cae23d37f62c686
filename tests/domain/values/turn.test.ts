import { describe, expect, test } from '@jest/globals';
import { Turn, Turns } from '../../../domain/values/turn.ts';

/** Work that ends when it is told to. */
function held(): { readonly promise: Promise<void>; readonly release: () => void } {
  let release = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

/** After everything that only waits for promises. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a turn', () => {
  test('does one thing after another, in the order asked for', async () => {
    const turn = new Turn();
    const first = held();
    const done: string[] = [];
    const work = (name: string, before: Promise<void>) => async (): Promise<string> => {
      done.push(`${name} begins`);
      await before;
      done.push(`${name} ends`);
      return name;
    };
    const results = [turn.run(work('a', first.promise)), turn.run(work('b', Promise.resolve()))];
    await settled();
    expect(done).toEqual(['a begins']);
    first.release();
    expect(await Promise.all(results)).toEqual(['a', 'b']);
    expect(done).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  test('goes on after a failure, which only its own caller meets', async () => {
    const turn = new Turn();
    const failing = turn.run(() => Promise.reject(new Error('no')));
    const after = turn.run(() => Promise.resolve('yes'));
    await expect(failing).rejects.toThrow('no');
    expect(await after).toBe('yes');
    await turn.ended();
  });
});

describe('turns by name', () => {
  test('wait for their own name alone, and for all of them at the end', async () => {
    const turns = new Turns();
    const first = held();
    const done: string[] = [];
    const results = [
      turns.run('a', () => first.promise.then(() => void done.push('a1'))),
      turns.run('a', async () => void done.push('a2')),
      turns.run('b', async () => void done.push('b1')),
    ];
    await settled();
    expect(done).toEqual(['b1']);
    const ended = turns.ended().then(() => void done.push('all'));
    first.release();
    await Promise.all([...results, ended]);
    expect(done).toEqual(['b1', 'a1', 'a2', 'all']);
  });
});
