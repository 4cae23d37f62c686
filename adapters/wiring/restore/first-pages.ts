// Pages that a guest needs before all others when it is resumed: those that its CPUs are at, and one that
// QEMU looks at when it takes over its devices. They are read while QEMU starts, so that they are at hand
// when it is there. They are a guess: where they cannot be told or read, the guest asks for what it needs.

import { framesInUse } from '../../../domain/guest/cpu-memory.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { FILL_PAGES_MAX } from '../../../domain/use-cases/serve/page-queue.ts';
import { cpusOf } from '../../guests/qemu/cpu-state.ts';
import { PointMemory } from '../guest/point-memory.ts';
import type { PointReader } from '../../../domain/use-cases/layout/laid-out-reader.ts';
import { labelOf, type VmPoint } from '../ledger/vm-point.ts';

/** Frames that QEMU's devices of a PC look at before the guest runs: where its video's code would lie. */
const PC_FRAMES: readonly number[] = [0xc0, 0xc1, 0xc2];

/** The pages that a guest needs first, by number, those that are needed first before others. */
export async function firstPages(
  point: VmPoint,
  by: { readonly table: Uint32Array; readonly reader: PointReader; readonly device: DeviceState },
): Promise<Uint32Array> {
  const { device } = by;
  try {
    const memory = PointMemory.of(point, by);
    const cpus = cpusOf(device, labelOf(point));
    const frames = new Set([...PC_FRAMES, ...(await framesInUse(memory, cpus, FILL_PAGES_MAX))]);
    const pages = [...frames].filter((frame) => memory.has(frame)).map((f) => memory.gfnOf(f)!);
    const first = pages.slice(0, FILL_PAGES_MAX);
    await memory.pages(first);
    return Uint32Array.from(first);
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    return new Uint32Array(0);
  }
}
