// How the host holds a process's memory, as its kernel says: in large pages or small ones, and what of it
// KSM has merged.

import { readFileSync } from 'node:fs';

const KIB = 1024;

/** Bytes of a process's memory, by how its host holds them. */
export interface HostPages {
  readonly residentBytes: number;
  /** In large pages, anonymous or of shared memory. */
  readonly largeBytes: number;
  /** Merged with equal pages; null: the kernel does not say. */
  readonly mergedBytes: number | null;
}

/** What /proc/PID/smaps_rollup says; null: it says nothing of that kind. */
export function hostPagesIn(rollup: string): HostPages | null {
  const bytes = new Map<string, number>();
  for (const [, field, kib] of rollup.matchAll(/^(\w+): +(\d{1,12}) kB$/gmu))
    bytes.set(field!, Number(kib) * KIB);
  const residentBytes = bytes.get('Rss');
  if (residentBytes === undefined) return null;
  const largeBytes = (bytes.get('AnonHugePages') ?? 0) + (bytes.get('ShmemPmdMapped') ?? 0);
  return { residentBytes, largeBytes, mergedBytes: bytes.get('KSM') ?? null };
}

/** How the host holds a process's memory; null: it has ended, may not be looked into, or is not Linux's. */
export function hostPagesOf(process: number): HostPages | null {
  try {
    return hostPagesIn(readFileSync(`/proc/${process}/smaps_rollup`, 'utf8'));
  } catch {
    return null;
  }
}
