// What a QEMU that maps its guest's memory from a file has of its own of it: pages that the guest wrote, as
// the kernel counts them for each mapping.

import { readFileSync } from 'node:fs';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { optionsOf, propertiesOf } from './qemu-options.ts';

const KIB = 1024;
/** A mapping begins with its addresses, its rights, and ends with its file. */
const MAPPING = /^[0-9a-f]+-[0-9a-f]+ ([rwxps-]{4}) [0-9a-f]+ \S+ \d+ *(.*)$/u;
const ANONYMOUS = /^Anonymous: +(\d+) kB$/u;

/** The files that the words of a process name for its guest's memory, by the blocks that lie there. */
function memoryFiles(process: number): ReadonlyMap<string, string> {
  const words = readFileSync(`/proc/${process}/cmdline`, 'utf8').split('\0').slice(0, -1);
  return new Map(
    optionsOf(words).flatMap(({ name, value }) => {
      const properties = propertiesOf(name === 'object' ? value : '');
      const path = properties.get('mem-path');
      return path === undefined ? [] : [[properties.get('id') ?? '', path] as const];
    }),
  );
}

/** The file that a QEMU maps a block of its guest's memory from; null: none, or it has ended. */
export function memoryFileOf(process: number, block: string): string | null {
  try {
    return memoryFiles(process).get(block) ?? null;
  } catch {
    return null;
  }
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
    const files = new Set(memoryFiles(process).values());
    return privatePagesIn(readFileSync(`/proc/${process}/smaps`, 'utf8'), files);
  } catch {
    return null;
  }
}
