// A real guest for tests: QEMU, busybox and a kernel of this machine. Where one of them is missing,
// the tests that need it are skipped and their name says why.

import { existsSync } from 'node:fs';
import { describe } from '@jest/globals';
import {
  ensureTools,
  programPath,
  QEMU_PROGRAM,
} from '../../../adapters/guests/demo-guest/tools.ts';
import type { GuestTools } from '../../../adapters/guests/demo-guest/tools.ts';
import { IS_LONG } from '../long-run.ts';

export type FoundTools =
  | { readonly tools: GuestTools; readonly reason: null }
  | { readonly tools: null; readonly reason: string };

/** The tools, or why there are none. Only a kernel is fetched; programs are not installed here. */
export async function findTools(): Promise<FoundTools> {
  for (const name of [QEMU_PROGRAM, 'busybox']) {
    if (programPath(name) === null) return { tools: null, reason: `${name} is not installed` };
  }
  const found = await ensureTools()();
  return found._tag === 'Right'
    ? { tools: found.right, reason: null }
    : { tools: null, reason: found.left.message };
}

/** The same where points can be mounted too, as clones need it. */
export async function findMountTools(): Promise<FoundTools> {
  return existsSync('/dev/fuse') && programPath('nbdfuse') !== null
    ? findTools()
    : { tools: null, reason: 'nbdfuse is not installed, or there is no /dev/fuse' };
}

/** What was found, in the long run; for tests of several guests that take minutes, else nothing. */
export const inLongRun = (found: FoundTools): FoundTools =>
  IS_LONG ? found : { tools: null, reason: 'the long run takes them' };

/** Tests against a real QEMU; counted as skipped, with the reason, where there is none. */
export function describeWithQemu(
  name: string,
  found: FoundTools,
  tests: (tools: GuestTools) => void,
): void {
  const { tools, reason } = found;
  const suite = tools === null ? describe.skip : describe;
  const title = tools === null ? `${name} (skipped: ${reason})` : name;
  suite(title, () => {
    tests(tools ?? NO_TOOLS);
  });
}

const NO_TOOLS: GuestTools = { qemu: '', busybox: '', kernel: '' };

/** Long enough for a guest to start on a busy machine. */
export const GUEST_TIMEOUT_MS = 900_000;
