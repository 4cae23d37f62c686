// What a process takes of its host's memory, as the kernel counts it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryHierarchy } from '../../../adapters/guests/memory-group.ts';
import { assert } from '../../../domain/values/assert.ts';

const MIB = 2 ** 20;

/** MiB that a process takes, with its part of what it shares. */
export function proportionalMib(pid: unknown): number {
  const told = readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8');
  const kib = /^Pss: +(\d+) kB$/mu.exec(told)?.[1];
  assert(kib !== undefined, 'the kernel tells what a process takes');
  return Number(kib) / 1024;
}

/** The same of its guest's memory alone: of mappings of that size, or a little more. */
export function guestMib(pid: unknown, memoryMib: number): number {
  const wanted = memoryMib * 1024;
  let kib = 0;
  let isGuest = false;
  for (const line of readFileSync(`/proc/${String(pid)}/smaps`, 'utf8').split('\n')) {
    const [, name, value] = /^(\w+): +(\d+) kB$/u.exec(line) ?? [];
    if (name === 'Size') isGuest = Number(value) >= wanted && Number(value) < wanted * 1.1;
    else if (name === 'Pss' && isGuest) kib += Number(value);
  }
  return kib / 1024;
}

/** MiB that are counted for the control group of a process, as a limit on clones counts them. */
export function accountedMib(pid: unknown): number {
  const read = (path: string): string => readFileSync(path, 'utf8');
  const groups = read(`/proc/${String(pid)}/cgroup`);
  const of = memoryHierarchy(read('/proc/self/mountinfo'), groups);
  assert(of !== null, 'the kernel accounts for memory');
  const file = of.version === 2 ? 'memory.current' : 'memory.usage_in_bytes';
  return Number(read(join(of.folder, file))) / MIB;
}
