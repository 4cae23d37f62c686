// What every target of a restored guest does (domain/ports/guests.ts, GuestTarget): a function of a
// factory, run for each kind of target.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeMemory } from '../../adapters/files/memory-file.ts';
import type { GuestTarget, RestoredGuest } from '../../domain/ports/guests.ts';
import type { DeviceState } from '../../domain/values/device-state.ts';
import { mainPagesOf } from '../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { pagesThatDiffer } from '../support/guest/images.ts';

export interface WholeGuest extends RestoredGuest {
  readonly device: DeviceState;
  readonly pages: Uint8Array;
}

export interface GuestTargetWorld {
  readonly guest: WholeGuest;
  /**
   * Makes a target, lets `restore` use it, and gives the pages that are there then; null where nobody
   * could take what is there for whole.
   */
  restored(restore: (target: GuestTarget) => Promise<void>): Promise<Uint8Array | null>;
  close(): Promise<void>;
}

const RUN_PAGES = 16;

/** Runs of pages that are not all zeros, ascending. */
function* runsOf(pages: Uint8Array): Generator<{ firstPage: number; pages: Uint8Array }> {
  for (let at = 0; at < pages.length; at += RUN_PAGES * PAGE_BYTES) {
    const run = pages.subarray(at, at + RUN_PAGES * PAGE_BYTES);
    if (run.some((byte) => byte !== 0)) yield { firstPage: at / PAGE_BYTES, pages: run };
  }
}

/** Gives a target the pages that it takes. */
async function give(target: GuestTarget, guest: WholeGuest): Promise<void> {
  const count =
    target.takes === 'guest' ? guest.pages.length / PAGE_BYTES : mainPagesOf(guest.memoryMap);
  const wanted = guest.pages.subarray(0, count * PAGE_BYTES);
  if (target._tag === 'runs') {
    await target.begin(guest);
    for (const run of runsOf(wanted)) await target.write(run);
    return;
  }
  const { file, offsetBytes: from } = await target.begin(guest);
  for (const run of [...runsOf(wanted)].toReversed()) {
    const offsetBytes = from + run.firstPage * PAGE_BYTES;
    const lengthBytes = run.pages.length;
    expect(writeMemory(file, { bytes: run.pages, at: 0, lengthBytes, offsetBytes })).toBe(
      lengthBytes,
    );
  }
}

/** Runs the contract on a kind of target; to be called inside a `describe`. */
export function guestTargetContract(
  factory: () => Promise<GuestTargetWorld>,
  timeoutMs = 20_000,
): void {
  let world: GuestTargetWorld;
  beforeAll(async () => {
    world = await factory();
  }, timeoutMs);
  afterAll(() => world.close(), timeoutMs);

  test(
    'has every page that it was given, and zeros elsewhere',
    async () => {
      const { guest } = world;
      const there = await world.restored(async (target) => {
        await give(target, guest);
        await target.done();
      });
      expect(there).not.toBeNull();
      expect(pagesThatDiffer(there!, guest.pages.subarray(0, there!.length))).toEqual([]);
    },
    timeoutMs,
  );

  test(
    'that never heard that it is done is not taken for whole',
    async () => {
      const there = await world.restored((target) => give(target, world.guest));
      expect(there).toBeNull();
    },
    timeoutMs,
  );
}
