import { expect, test } from '@jest/globals';
import { SpareRooms } from '../../../domain/values/spares.ts';

const rooms = (max = Infinity): SpareRooms<Uint8Array> =>
  new SpareRooms({ max, stepBytes: 100, make: (lengthBytes) => new Uint8Array(lengthBytes) });

test('a room is made in steps, and is the next one where that fits', () => {
  const made = rooms();
  const room = made.take(101);
  expect(room).toHaveLength(200);
  made.giveBack(room);
  expect(made.take(200)).toBe(room);
});

test('a room that is too small for the next is let go of', () => {
  const made = rooms();
  made.giveBack(made.take(100));
  const room = made.take(101);
  expect(room).toHaveLength(200);
  made.giveBack(room);
  expect(made.take(1)).toBe(room);
});

test('no more are kept than are wanted', () => {
  const made = rooms(1);
  const [one, other] = [made.take(100), made.take(100)];
  made.giveBack(one);
  made.giveBack(other);
  expect(made.take(100)).toBe(one);
  expect(made.take(100)).not.toBe(other);
});
