// What a QEMU that maps its guest's memory from a file has of its own of it: pages that the guest wrote, as
// the kernel counts them for each mapping.

import { readFileSync } from 'node:fs';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { optionsOf, propertiesOf } from './qemu-options.ts';

const KIB = 1024;
/** A mapping begins with its addresses, its rights, and ends with its file. */
const MAPPING = /^[0-9a-f]+-[0-9a-f]+ ([rwxps-]{4}) [0-9a-f]+ \S+ \d+ *(.*)$/u;
const ANONYMOUS = /^Anonymous: +(\d+) kB$/u;

/** The files that the words of a process name for its guest's memory. */
function memoryFiles(process: number): ReadonlySet<string> {
  const words = readFileSync(`/proc/${process}/cmdline`, 'utf8').split('\0').slice(0, -1);
  const paths = optionsOf(words).flatMap(({ name, value }) =>
    name === 'object' ? (propertiesOf(value).get('mem-path') ?? []) : [],
  );
  return new Set(paths);
}

/** Pages without a file behind them, in private mappings of some files, as /proc/PID/smaps says it. */
export function privatePagesIn(smaps: string, files: ReadonlySet<string>): number {
  let kib = 0;
  let isMemory = false;
  for (const line of smaps.split('\n')) {
    const mapping = MAPPING.exec(line);
    if (mapping !== null) isMemory = mapping[1]!.endsWith('p') && files.has(mapping[2]!);
    else if (isMemory) kib += Number(ANONYMOUS.exec(line)?.[1] ?? 0);
  }
  return (kib * KIB) / PAGE_BYTES;
}

/** The same of a process; null: it has ended, or may not be looked into. */
export function privatePagesOf(process: number): number | null {
  try {
    return privatePagesIn(readFileSync(`/proc/${process}/smaps`, 'utf8'), memoryFiles(process));
  } catch {
    return null;
  }
}
