// An ELF core of a guest as a target, for debuggers of its kernel: a file that is filled in place behind
// its head, or a pipe. The head has the registers of the CPUs where the capture has them. Memory is all
// RAM, a segment for each stretch of guest-physical addresses; what is zero stays a hole of the file.

import type { OpenFile } from '../../files/file-port.ts';
import type {
  FilledTarget,
  GuestKernel,
  RestoredGuest,
  RunTarget,
} from '../../../domain/ports/guests.ts';
import { mainPagesOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ByteSink } from '../byte-sink.ts';
import { cpusOf } from '../qemu/cpu-state.ts';
import { elfHead, type Segment } from './elf-head.ts';
import { notesOf } from './elf-notes.ts';
import { rawPipeTarget } from './raw-target.ts';

/** All RAM by the addresses that the kernel works with; where nothing is known of one, by its own. */
const ramOf = ({ memoryMap, kernel }: RestoredGuest): readonly Segment[] =>
  memoryMap.ranges.map(({ address, offset, length }) => ({
    virtual: BigInt(address) + (kernel?.directMap ?? 0n),
    physical: address,
    offset,
    length,
  }));

/** The kernel's image by its own addresses, as far as it lies in one piece; in RAM, so it is there twice. */
function imageIn(ram: readonly Segment[], kernel: GuestKernel | undefined): readonly Segment[] {
  if (kernel === undefined) return [];
  const { virtual, physical, length: wanted } = kernel.image;
  const around = ram.find(
    (each) => physical >= each.physical && physical < each.physical + each.length,
  );
  if (around === undefined) return [];
  const within = physical - around.physical;
  const length = Math.min(wanted, around.length - within);
  return [{ virtual, physical, offset: around.offset + within, length }];
}

/** What stands in a core before the memory of a guest. */
function headOf(guest: RestoredGuest): Uint8Array {
  const { device, kernel } = guest;
  const cpus = device === null ? [] : cpusOf(device, 'the capture');
  const ram = ramOf(guest);
  return elfHead({
    notes: notesOf(cpus, kernel ?? null),
    segments: [...imageIn(ram, kernel), ...ram],
  });
}

/** Fills a fresh file, which stays its opener's to sync and to close. */
export const elfFileTarget = (file: OpenFile): FilledTarget => ({
  _tag: 'filled',
  takes: 'RAM at addresses',
  begin: async (guest) => {
    const head = headOf(guest);
    await file.truncate(head.length + mainPagesOf(guest.memoryMap) * PAGE_BYTES);
    await file.write(head, 0);
    return { file: file.memory, offsetBytes: head.length };
  },
  done: async () => undefined,
});

/** Writes to a pipe; what was cut is shorter than its head says. */
export function elfPipeTarget(sink: ByteSink): RunTarget {
  const memory = rawPipeTarget(sink);
  return {
    ...memory,
    takes: 'RAM at addresses',
    begin: async (guest) => {
      await sink(headOf(guest));
      await memory.begin(guest);
    },
  };
}
