// What a host has for guests, as its system says: cores, memory, CPU and QEMU.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem } from 'node:os';
import { promisify } from 'node:util';
import { FEATURES_MAX } from '../../domain/events/host-codecs.ts';
import type { Hardware } from '../../domain/hosts.ts';

/** How long QEMU may take to say its version. */
const VERSION_MS_MAX = 10_000;
/** Longest model of a CPU that is told. */
const MODEL_CHARACTERS_MAX = 255;
const FEATURE = /^[a-z0-9_.-]{1,32}$/u;

/** What the kernel says of the CPUs; empty: nothing. */
function cpuText(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1');
  } catch {
    return '';
  }
}

/** The features of the first CPU that a text tells of, in the order of their names. */
function featuresIn(text: string): readonly string[] {
  const flags = /^(?:flags|Features)\s*:(.*)$/mu.exec(text)?.[1] ?? '';
  const features = new Set(flags.split(/\s+/u).filter((word) => FEATURE.test(word)));
  return [...features].toSorted().slice(0, FEATURES_MAX);
}

/** The version that QEMU says; null: it says none. */
const versionIn = (text: string): string | null =>
  /version (\d+(?:\.\d+){1,3})/u.exec(text)?.[1] ?? null;

async function qemuVersion(): Promise<string | null> {
  const run = promisify(execFile);
  try {
    const { stdout } = await run('qemu-system-x86_64', ['--version'], { timeout: VERSION_MS_MAX });
    return versionIn(stdout);
  } catch {
    // None is installed, or it cannot be run: no guest is moved here.
    return null;
  }
}

/** The hardware of this host. Memory is what guests could take now. */
export async function hardwareHere(): Promise<Hardware> {
  return {
    cores: availableParallelism(),
    memoryBytes: freemem(),
    cpu: (cpus()[0]?.model ?? '').slice(0, MODEL_CHARACTERS_MAX),
    features: featuresIn(cpuText()),
    qemu: await qemuVersion(),
  };
}
