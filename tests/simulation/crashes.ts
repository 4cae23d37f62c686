// A crash after every file operation of something, in each of the ways in which a disk may lose what was
// not synced, and what is wrong with what it leaves.

import type { Kept, LossyFiles } from './lossy-files.ts';
import { thrownText } from '../support/outcomes.ts';

/** A way to crash, for messages, and what it keeps after so many operations. */
type CrashKind = readonly [string, number, (count: number) => Kept];

/**
 * The kinds of crash, each with the operation at which it begins: `apart` operations apart, so that steps
 * of theirs fall between each other.
 */
export const crashKinds = (seed: number, apart = 1): readonly CrashKind[] => [
  ['loses all that was not synced', 0, () => 'none'],
  ['loses nothing', apart, () => 'all'],
  ['loses some of what was not synced', 2 * apart, (count) => ({ seed: seed * 1000 + count })],
];

/** What is wrong after a crash at each operation from `from` on, at every `step` of them. */
export async function faultsAtEveryCrash(of: {
  readonly files: LossyFiles;
  readonly from: number;
  readonly step: number;
  readonly keptAt: (count: number) => Kept;
  /** What is wrong with what these files hold, after so many operations; what it throws is as well. */
  readonly faultsAfter: (files: LossyFiles, count: number) => Promise<readonly string[]>;
}): Promise<string[]> {
  const { files, from, step, keptAt, faultsAfter } = of;
  const faults: string[] = [];
  for (let count = from; count <= files.operations.length; count += step) {
    const kept = keptAt(count);
    const found = await faultsAfter(files.afterCrash(count, kept), count).catch(
      (thrown: unknown) => [thrownText(thrown)],
    );
    for (const fault of found)
      faults.push(`after operation ${count}, kept ${JSON.stringify(kept)}: ${fault}`);
  }
  return faults;
}
