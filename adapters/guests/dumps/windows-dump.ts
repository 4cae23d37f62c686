// Windows' full crash dumps of 64 bits: all memory that the system used, behind a header that says at
// which addresses. Numbers are little-endian.
//
//   0x0000   8  magic "PAGEDU64"
//   0x0088   4  number of runs; 0x90: pages of all of them
//   0x0098   -  runs: u64 first page, u64 pages
//   0x0f98   4  kind: 1 full
//   0x2000   -  pages of the runs, one after the other
//
// Dumps of the kernel alone (bitmap dumps) leave most pages out, and are refused.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { dumpUnfit, u64, type DumpFile } from './dump-file.ts';
import type { Dump } from './dump-source.ts';
import type { Segment } from './segments.ts';

export const WINDOWS_MAGIC = 'PAGEDU64';
const HEADER_BYTES = 0x2000;
const RUNS_AT = 0x88;
const FIRST_RUN_AT = 0x98;
const RUN_BYTES = 16;
/** As many as there is room for up to the registers. */
const RUNS_MAX = 42;
const KIND_AT = 0xf98;
const KIND_FULL = 1;

/** Runs of a full dump. */
export function readWindowsDump(file: DumpFile): Dump {
  const { label } = file;
  const view = file.view(0, HEADER_BYTES, 'the header');
  const kind = view.getUint32(KIND_AT, true);
  if (kind !== KIND_FULL)
    throw dumpUnfit(
      label,
      `is a Windows crash dump of kind ${kind}, which leaves pages out`,
      'have the system write complete memory dumps, or dump its memory as raw bytes',
    );
  const runs = view.getUint32(RUNS_AT, true);
  const damaged = 'it is damaged; copy it again';
  if (runs > RUNS_MAX) throw dumpUnfit(label, `claims ${runs} runs of memory`, damaged);
  const segments: Segment[] = [];
  let offset = HEADER_BYTES;
  for (let i = 0; i < runs; i += 1) {
    const at = FIRST_RUN_AT + i * RUN_BYTES;
    const length = u64(view, at + 8) * PAGE_BYTES;
    segments.push({ address: u64(view, at) * PAGE_BYTES, length, offset });
    offset += length;
  }
  return { segments, mode: 'core', between: 'nothing' };
}
