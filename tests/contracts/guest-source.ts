// What every source of a guest's memory does (domain/ports/guests.ts, GuestSource): a function of a
// factory, run for each kind of source.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { GuestCapture, GuestSource } from '../../domain/ports/guests.ts';
import { mayHaveDevice } from '../../domain/values/capture-mode.ts';
import { pageCountOf } from '../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { bytesOfImage, pagesThatDiffer } from '../support/guest/images.ts';
import { valueOf } from '../support/outcomes.ts';

export interface GuestSourceWorld {
  readonly source: GuestSource;
  /** What its pages hold; null where only the guest knows, as it runs. */
  readonly pages: Uint8Array | null;
  close(): Promise<void>;
}

/** Runs the contract on a source; to be called inside a `describe`. */
export function guestSourceContract(
  factory: () => Promise<GuestSourceWorld>,
  timeoutMs = 20_000,
): void {
  let world: GuestSourceWorld;
  let first: GuestCapture;
  beforeAll(async () => {
    world = await factory();
    first = await valueOf(world.source.capture());
  }, timeoutMs);
  afterAll(async () => {
    world.source.close();
    await world.close();
  }, timeoutMs);

  test('has as many pages at hand as its memory map says', () => {
    const { image, memoryMap } = first;
    expect(image.pageCount).toBe(pageCountOf(memoryMap));
    expect(bytesOfImage(image).length).toBe(image.pageCount * PAGE_BYTES);
    expect(image.zeros?.length ?? image.pageCount).toBe(image.pageCount);
  });

  test('brings a device state in modes that have one, and only then', () => {
    expect(first.device !== null).toBe(mayHaveDevice(first.mode));
    expect(first.device?.sections.length).not.toBe(0);
  });

  test('says when it was, what it is of, and how long the guest stood still', () => {
    expect(Number.isInteger(first.timeMs)).toBe(true);
    expect(first.source).not.toBe('');
    expect(first.pauseMs ?? 0).toBeGreaterThanOrEqual(0);
  });

  test(
    'gives its memory, and gives it again',
    async () => {
      const { pages } = world;
      const before = pages ?? bytesOfImage(first.image);
      const again = await valueOf(world.source.capture());
      expect(again.memoryMap).toEqual(first.memoryMap);
      const differing = pagesThatDiffer(bytesOfImage(again.image), before);
      // A guest that runs goes on meanwhile, and keeps most of what it had.
      const changedMax = pages === null ? again.image.pageCount / 2 : 0;
      expect(differing.length).toBeLessThanOrEqual(changedMax);
    },
    timeoutMs,
  );
}
