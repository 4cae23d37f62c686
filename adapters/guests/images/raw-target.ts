// A raw image of memory as a target: a file that is filled in place, or a pipe. It takes main RAM only,
// as a raw image has no place for other memory and for devices.

import type { OpenFile } from '../../files/file-port.ts';
import type { FilledTarget, RunTarget } from '../../../domain/ports/guests.ts';
import { assert } from '../../../domain/values/assert.ts';
import { mainPagesOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ByteSink } from '../byte-sink.ts';

const ZEROS = new Uint8Array(1024 * 1024);

/** Fills a fresh file, which stays its opener's to sync and to close. */
export const rawFileTarget = (file: OpenFile): FilledTarget => ({
  _tag: 'filled',
  takes: 'main RAM',
  begin: async ({ memoryMap }) => {
    await file.truncate(mainPagesOf(memoryMap) * PAGE_BYTES);
    return { file: file.memory, offsetBytes: 0 };
  },
  done: async () => undefined,
});

/**
 * Writes to a pipe; zeros as well. The last page goes when all are there, so that what was cut is
 * shorter than the memory.
 */
export function rawPipeTarget(sink: ByteSink): RunTarget {
  let pages = 0;
  let next = 0;
  let last: Uint8Array | null = null;
  const zerosUpTo = async (page: number): Promise<void> => {
    for (let left = (page - next) * PAGE_BYTES; left > 0; left -= ZEROS.length)
      await sink(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
    next = page;
  };
  return {
    _tag: 'runs',
    takes: 'main RAM',
    begin: async ({ memoryMap }) => {
      pages = mainPagesOf(memoryMap);
    },
    write: async (run) => {
      const end = run.firstPage + run.pages.length / PAGE_BYTES;
      assert(run.firstPage >= next && end <= pages, 'runs ascend and lie in the memory');
      await zerosUpTo(run.firstPage);
      if (end === pages) last = run.pages.slice(-PAGE_BYTES);
      next = end === pages ? end - 1 : end;
      await sink(run.pages.subarray(0, (next - run.firstPage) * PAGE_BYTES));
    },
    done: () => (last === null ? zerosUpTo(pages) : sink(last)),
  };
}
