// When what is read out of memory was another, held against looking at every moment.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Past } from '../../../../domain/ports/past.ts';
import {
  lastChange,
  nextChange,
  valuesBetween,
  type Watched,
} from '../../../../domain/use-cases/travel/changes.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';

const FRAMES = 6;

/** What frames hold from a capture on, where it differs: a byte at the page's beginning. */
type Writes = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** A past of captures 1 to `last`, some forgotten; pages begin as zeros. */
function madePast(writes: Writes, of: { readonly last: number; readonly forgotten: number[] }) {
  const looked: number[] = [];
  const captures = Array.from({ length: of.last }, (_, i) => i + 1);
  const byteAt = (capture: number, frame: number): number => {
    for (let at = capture; at >= 1; at -= 1) {
      const byte = writes.get(at)?.get(frame);
      if (byte !== undefined) return byte;
    }
    return 0;
  };
  const past: Past = {
    moments: captures.filter((capture) => !of.forgotten.includes(capture)),
    memoryAt: (capture) => {
      looked.push(capture);
      return Promise.resolve({
        frames: FRAMES,
        has: (frame: number) => frame < FRAMES,
        read: (frames: readonly number[]) => {
          const pages = new Uint8Array(frames.length * PAGE_BYTES);
          for (const [i, frame] of frames.entries()) pages[i * PAGE_BYTES] = byteAt(capture, frame);
          return Promise.resolve(pages);
        },
      });
    },
    writesOf: (frame) =>
      Promise.resolve(captures.filter((at) => at === 1 || writes.get(at)?.has(frame) === true)),
  };
  return { past, looked };
}

/** Frame 0 says in which other frame the value lies; a frame that is none says nothing. */
const pointed = (past: Past): Watched<number | null> => ({
  past,
  look: async (memory) => {
    const [to] = await memory.read([0]);
    if (!memory.has(to!)) return null;
    return (await memory.read([to!]))[0]!;
  },
  isSame: (a, b) => a === b,
});

const written = (...all: [capture: number, frame: number, byte: number][]): Writes => {
  const writes = new Map<number, Map<number, number>>();
  for (const [capture, frame, byte] of all)
    writes.set(capture, (writes.get(capture) ?? new Map<number, number>()).set(frame, byte));
  return writes;
};

describe('a value', () => {
  const writes = written([1, 0, 2], [3, 2, 7], [5, 3, 1], [6, 2, 7], [8, 0, 3], [9, 0, 9]);
  const { past, looked } = madePast(writes, { last: 10, forgotten: [] });

  test('was another before its page was written, or before the way to it was', async () => {
    const last = await lastChange(pointed(past), 9);
    expect([last?.before.moment, last?.before.value]).toEqual([7, 1]);
    expect([last?.after.moment, last?.after.value]).toEqual([8, null]);
    const earlier = await lastChange(pointed(past), 7);
    expect([earlier?.before.moment, earlier?.after.moment]).toEqual([6, 7]);
    const first = await lastChange(pointed(past), 6);
    expect([first?.before.value, first?.after.value, first?.after.moment]).toEqual([0, 7, 2]);
    expect(await lastChange(pointed(past), 1)).toBeNull();
  });

  test('is not looked for where nothing was written that it comes from', async () => {
    looked.length = 0;
    await lastChange(pointed(past), 6);
    expect(looked).toEqual([7, 5, 2]);
  });

  test('becomes another at the first moment that has the write', async () => {
    const next = await nextChange(pointed(past), 0);
    expect([next?.before.moment, next?.after.moment, next?.after.value]).toEqual([1, 2, 7]);
    expect(await nextChange(pointed(past), 8)).toBeNull();
  });

  test('is written between moments where captures are forgotten', async () => {
    const some = madePast(writes, { last: 10, forgotten: [3, 4, 8] }).past;
    const next = await nextChange(pointed(some), 0);
    expect(some.moments[next!.after.moment]).toBe(5);
    const last = await lastChange(pointed(some), some.moments.length - 1);
    expect([last?.before.value, last?.after.value]).toEqual([7, null]);
    expect(some.moments[last!.after.moment]).toBe(9);
  });
});

describe('a capture whose memory is lost', () => {
  const writes = written([1, 1, 1], [3, 1, 5], [5, 1, 5], [5, 2, 1], [7, 1, 9]);
  const lostAt = (lost: readonly number[]) => {
    const passed: number[] = [];
    const watched: Watched<number> = {
      past: madePast(writes, { last: 8, forgotten: [] }).past,
      isSame: (a, b) => a === b,
      look: async (memory, capture) => {
        const [byte] = await memory.read([1]);
        if (lost.includes(capture)) throw new RangeError('lost');
        return byte!;
      },
      passesOver: (thrown, capture) => {
        passed.push(capture);
        return thrown instanceof RangeError;
      },
    };
    return { watched, passed };
  };

  test('is passed over, both ways, and told of', async () => {
    const { watched, passed } = lostAt([3, 4]);
    const last = await lastChange(watched, 5);
    expect([last?.before.moment, last?.before.value]).toEqual([1, 1]);
    expect([last?.after.moment, last?.after.value]).toEqual([4, 5]);
    expect(passed).toEqual([4]);
    const next = await nextChange(watched, 0);
    expect([next?.before.moment, next?.before.value]).toEqual([1, 1]);
    expect([next?.after.moment, next?.after.value]).toEqual([4, 5]);
    expect(passed).toEqual([4, 3]);
  });

  test('at which a search begins counts for nothing', async () => {
    const { watched } = lostAt([7, 8]);
    const last = await lastChange(watched, 7);
    expect([last?.before.value, last?.after.value, last?.after.moment]).toEqual([1, 5, 2]);
    expect(await nextChange(watched, 6)).toBeNull();
    expect(await nextChange(lostAt([1, 2, 3, 4]).watched, 0)).toMatchObject({
      before: { value: 5, moment: 5 },
      after: { value: 9, moment: 6 },
    });
  });

  test('ends a search that does not pass over it', async () => {
    const { watched } = lostAt([3, 4]);
    const { passesOver: _passesOver, ...strict } = watched;
    await expect(lastChange(strict, 5)).rejects.toThrow('lost');
    await expect(nextChange({ ...watched, passesOver: () => false }, 0)).rejects.toThrow('lost');
  });
});

test('all changes of random pasts are found, both ways', async () => {
  const frame = fc.integer({ min: 0, max: FRAMES - 1 });
  const writesOf = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 12 }), frame, fc.integer({ min: 0, max: 7 })), {
      maxLength: 30,
    })
    .map((all) => written(...all));
  const forgotten = fc.uniqueArray(fc.integer({ min: 1, max: 11 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(writesOf, forgotten, async (writes, gone) => {
      const watched = pointed(madePast(writes, { last: 12, forgotten: gone }).past);
      const { moments } = watched.past;
      const all = await Promise.all(
        moments.map(async (capture) => watched.look(await watched.past.memoryAt(capture), capture)),
      );
      const changes = moments.flatMap((_, i) => (i > 0 && all[i] !== all[i - 1] ? [i] : []));
      const to = moments.length - 1;
      const seen: number[] = [];
      for await (const { moment, value } of valuesBetween(watched, { from: 0, to })) {
        expect(value).toBe(all[moment]);
        seen.push(moment);
      }
      expect(seen).toEqual([0, ...changes]);
      const back: number[] = [];
      for (let at = to; ;) {
        const changed = await lastChange(watched, at);
        if (changed === null) break;
        expect(changed.before.moment).toBe(changed.after.moment - 1);
        back.unshift(changed.after.moment);
        at = changed.before.moment;
      }
      expect(back).toEqual(changes);
    }),
  );
});
