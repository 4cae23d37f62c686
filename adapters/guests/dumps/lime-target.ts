// A dump of LiME as a target, for tools of forensics: all RAM by its guest-physical addresses, a header
// in front of each range (lime.ts). What is zero is written, as LiME does it.

import type { RestoredGuest, RunTarget } from '../../../domain/ports/guests.ts';
import type { PhysicalRange } from '../../../domain/values/memory-map.ts';
import type { ByteSink } from '../byte-sink.ts';
import { rawPipeTarget } from '../images/raw-target.ts';
import { LIME_HEADER_BYTES, LIME_MAGIC } from './lime.ts';

const VERSION = 1;

function headerOf({ address, length }: PhysicalRange): Uint8Array {
  const header = new Uint8Array(LIME_HEADER_BYTES);
  const view = new DataView(header.buffer);
  for (let i = 0; i < LIME_MAGIC.length; i += 1) header[i] = LIME_MAGIC.charCodeAt(i);
  view.setUint32(4, VERSION, true);
  view.setBigUint64(8, BigInt(address), true);
  view.setBigUint64(16, BigInt(address + length - 1), true);
  return header;
}

/** Takes memory in the order of its ranges, and puts their headers in between. */
function withHeaders(sink: ByteSink, { memoryMap }: RestoredGuest): ByteSink {
  const { ranges } = memoryMap;
  let range = 0;
  let at = 0;
  return async (bytes) => {
    for (let done = 0; done < bytes.length;) {
      const { offset, length } = ranges[range]!;
      if (at === offset) await sink(headerOf(ranges[range]!));
      const count = Math.min(bytes.length - done, offset + length - at);
      await sink(bytes.subarray(done, done + count));
      done += count;
      at += count;
      if (at === offset + length) range += 1;
    }
  };
}

/** Writes to a file or a pipe; what was cut is shorter than its headers say. */
export function limeTarget(sink: ByteSink): RunTarget {
  let memory: RunTarget | null = null;
  return {
    _tag: 'runs',
    takes: 'RAM at addresses',
    begin: (guest) => {
      memory = rawPipeTarget(withHeaders(sink, guest));
      return memory.begin(guest);
    },
    write: async (run) => memory?.write(run),
    done: async () => memory?.done(),
  };
}
