// From where a log is read on: near the place that is asked for, however long the log.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  Checkpoints,
  decodedCheckpoints,
} from '../../../../adapters/stores/event-log-embedded/read-starts.ts';
import { StreamHeads } from '../../../../adapters/stores/event-log-embedded/stream-heads.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const headsAt = (position: number): StreamHeads =>
  new StreamHeads(
    position,
    new Map([
      [
        'vm-a',
        { revision: position, hash: new Uint8Array(32).fill(7), position: 0, end: position },
      ],
    ]),
  );

/** What a fold adds that comes to these places. */
function checkpointsAt(places: readonly number[]): Checkpoints {
  const checkpoints = new Checkpoints();
  for (const place of places) checkpoints.add(headsAt(place));
  return checkpoints;
}

const startBefore = (checkpoints: Checkpoints, place: number): number =>
  checkpoints.before(place, () => true)?.position ?? 0;

describe('checkpoints', () => {
  test('let a read begin no further back than the log goes on behind its place', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 300 * KIB }), { minLength: 2, maxLength: 400 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (steps, where) => {
          let end = 0;
          const places = steps.map((step) => (end += step));
          const checkpoints = checkpointsAt(places);
          const place = Math.floor(where * end);
          const back = place - startBefore(checkpoints, place);
          // A step is what the fold came on at once: nothing in it can be begun at.
          expect(back).toBeLessThanOrEqual(Math.max(256 * KIB, end - place) + 300 * KIB);
        },
      ),
    );
  });

  test('become few in a long log, and are never further apart than 32 MiB', () => {
    const places = Array.from({ length: 4000 }, (_, i) => (i + 1) * 256 * KIB);
    const checkpoints = checkpointsAt(places);
    const starts = new Set(places.map((place) => startBefore(checkpoints, place)));
    expect(starts.size).toBeLessThan(60);
    for (const place of places)
      expect(place - startBefore(checkpoints, place)).toBeLessThanOrEqual(32 * MIB);
  });

  test('are handed out with those before them, and taken again', () => {
    const places = Array.from({ length: 100 }, (_, i) => (i + 1) * 256 * KIB);
    const bytes = checkpointsAt(places).encodedTo(headsAt(30 * MIB));
    const [last, ...earlier] = decodedCheckpoints(bytes);
    expect(last).toEqual(headsAt(30 * MIB));
    expect(earlier.length).toBeGreaterThan(5);
    const again = checkpointsAt(earlier.toReversed().map(({ position }) => position));
    for (const { position } of earlier) expect(startBefore(again, position)).toBe(position);
  });

  test('of damaged bytes are none', () => {
    const bytes = checkpointsAt([256 * KIB, MIB, 3 * MIB]).encodedTo(headsAt(4 * MIB));
    for (let length = 1; length < bytes.length; length += 1) {
      const cut = decodedCheckpoints(bytes.subarray(0, length));
      expect(cut.length).toBeLessThan(decodedCheckpoints(bytes).length);
    }
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Uint8Array.from(bytes);
      flipped[at]! ^= 1;
      expect(decodedCheckpoints(flipped)).toEqual([]);
    }
  });

  test('that are many streams long are handed out in part', () => {
    const wide = new Map(
      Array.from({ length: 1000 }, (_, i) => [
        `vm-${i}`,
        { revision: 1, hash: new Uint8Array(32), position: 0, end: 1 },
      ]),
    );
    const checkpoints = new Checkpoints();
    for (let i = 1; i <= 20; i += 1) checkpoints.add(new StreamHeads(i * 512 * KIB, wide));
    const bytes = checkpoints.encodedTo(new StreamHeads(11 * MIB, wide));
    expect(bytes.length).toBeLessThan(200 * KIB);
    expect(decodedCheckpoints(bytes)[0]!.position).toBe(11 * MIB);
  });
});
