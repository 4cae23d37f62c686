// Bytes and texts from outside that are nearly right, in front of every parser: each gives a value or
// a clear error, soon and in little memory. No broken invariant, nothing unexpected.
//
// PAGELEDGER_MUTATIONS: how many for each parser, of files of memory a third as many; PAGELEDGER_SEED: the
// seed they are drawn by; PAGELEDGER_PARSERS: which parsers, as an expression for their names.

import { expect, test } from '@jest/globals';
import { runSpoiled } from '../support/spoiled/spoiled-run.ts';
import { withTemporaryFolder } from '../support/disks/temporary-folder.ts';

const MUTATIONS = Number(process.env['PAGELEDGER_MUTATIONS'] ?? 100);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_268);
const PARSERS = new RegExp(process.env['PAGELEDGER_PARSERS'] ?? '^', 'u');
/** What a parser may take in memory beyond what was there, whatever it reads. */
const MEMORY_BYTES_MAX = 512 * 2 ** 20;

test(`every parser takes ${MUTATIONS} spoiled inputs (PAGELEDGER_SEED=${SEED})`, async () => {
  await withTemporaryFolder(async (folder) => {
    const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
    const request = { mutations: MUTATIONS, seed: SEED, of: PARSERS, folder, tell };
    const parsers = await runSpoiled(request);
    expect(parsers.flatMap(({ faults }) => faults)).toEqual([]);
    for (const { memoryBytes } of parsers) expect(memoryBytes).toBeLessThan(MEMORY_BYTES_MAX);
  });
}, 3_600_000);
