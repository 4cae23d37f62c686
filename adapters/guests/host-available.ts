// How much memory this host has, and how much of it is to be had, as its kernel says.

import { readFileSync } from 'node:fs';

const KIB = 1024;

/** Bytes of a host's memory, and of these what programs may have without others being swapped out. */
export interface AvailableMemory {
  readonly bytes: number;
  readonly availableBytes: number;
}

/** What /proc/meminfo says; null: it says nothing of that kind. */
export function availableIn(meminfo: string): AvailableMemory | null {
  const bytesOf = (field: string): number | null => {
    const kib = new RegExp(`^${field}: +(\\d{1,12}) kB$`, 'mu').exec(meminfo)?.[1];
    return kib === undefined ? null : Number(kib) * KIB;
  };
  const bytes = bytesOf('MemTotal');
  const availableBytes = bytesOf('MemAvailable');
  return bytes === null || availableBytes === null ? null : { bytes, availableBytes };
}

/** The memory of this host; null: it does not say, as it is not Linux's. */
export function availableMemory(): AvailableMemory | null {
  try {
    return availableIn(readFileSync('/proc/meminfo', 'utf8'));
  } catch {
    return null;
  }
}
