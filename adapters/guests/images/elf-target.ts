// An ELF core of a guest as a target, for debuggers of its kernel: a file that is filled in place behind
// its head, or a pipe. The head has the registers of the CPUs where the capture has them. Memory is all RAM, a segment for each stretch of guest-physical addresses; what is
// zero stays a hole of the file.

import type { OpenFile } from '../../files/file-port.ts';
import type { FilledTarget, RestoredGuest, RunTarget } from '../../../domain/ports/guests.ts';
import { mainPagesOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ByteSink } from '../byte-sink.ts';
import { cpusOf } from '../qemu/cpu-state.ts';
import { elfHead } from './elf-head.ts';
import { cpuNotes } from './elf-notes.ts';
import { rawPipeTarget } from './raw-target.ts';

/** What stands in a core before the memory of a guest. */
const headOf = ({ memoryMap, device }: RestoredGuest): Uint8Array =>
  elfHead({
    notes: cpuNotes(device === null ? [] : cpusOf(device, 'the capture')),
    // Nobody knows here where the guest itself sees them: at their own addresses, as before paging.
    segments: memoryMap.ranges.map(({ address, offset, length }) => ({
      virtual: BigInt(address),
      physical: address,
      offset,
      length,
    })),
  });

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
