// Migration streams written from pages at hand.

import type { ByteSink } from '../../../adapters/guests/byte-sink.ts';
import { streamTarget } from '../../../adapters/guests/qemu/stream-target.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { GuestTarget, Image, PageRun, RunTarget } from '../../../domain/ports/guests.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { bytesOfImage } from './images.ts';

interface GivenGuest {
  readonly device: DeviceState;
  readonly memoryMap: MemoryMap;
  /** In any order, each page at most once; a page in none of them is zero. */
  readonly runs: Iterable<PageRun>;
}

/** Restores a guest to a target, by runs. */
export async function restoreRuns(target: RunTarget, guest: GivenGuest): Promise<void> {
  await target.begin(guest);
  for (const run of guest.runs) await target.write(run);
  await target.done();
}

/** Writes a stream. */
export const writeStream = (request: GivenGuest & { readonly sink: ByteSink }): Promise<void> =>
  restoreRuns(streamTarget(request.sink), request);

/** All pages of an image, a few a run. */
export function* runsOfImage(image: Image): Generator<PageRun> {
  const bytes = bytesOfImage(image);
  const runBytes = 64 * PAGE_BYTES;
  for (let at = 0; at < bytes.length; at += runBytes)
    yield { firstPage: at / PAGE_BYTES, pages: bytes.subarray(at, at + runBytes) };
}

/** Restores what was captured to a target that takes runs. */
export async function restoreTo(
  target: GuestTarget,
  captured: Pick<GivenGuest, 'device' | 'memoryMap'> & { readonly image: Image },
): Promise<void> {
  if (target._tag !== 'runs') throw new TypeError('a target that takes runs was expected');
  await restoreRuns(target, { ...captured, runs: runsOfImage(captured.image) });
}
