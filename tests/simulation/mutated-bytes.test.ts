// Bytes and texts from outside that are nearly right, in front of every parser: each gives a value or
// a clear error, soon and in little memory. No broken invariant, nothing unexpected.
//
// PAGELEDGER_MUTATIONS: how many for each parser; PAGELEDGER_SEED: the seed they are drawn by.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Spool } from '../../adapters/guests/qemu/spool.ts';
import { StateUnfit } from '../../projections/models/state-bytes.ts';
import { clearCode } from '../support/damaged-ledger.ts';
import { seededRandom } from '../support/images.ts';
import { mutated } from '../support/mutations.ts';
import { parsersOf, type Parser } from '../support/parsers.ts';
import { recordSeries } from '../support/spoiled-series.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const MUTATIONS = Number(process.env['PAGELEDGER_MUTATIONS'] ?? 300);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_268);
/** What parsers may take in memory beyond what was there, whatever they read. */
const MEMORY_BYTES_MAX = 512 * 2 ** 20;

const spool = new Spool();
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(async () => {
  spool.close();
  await folder.remove();
});

/** What a parser did that it may not; how many inputs it took and how many it refused. */
async function faultsOf({ name, examples, parse }: Parser): Promise<string[]> {
  const random = seededRandom(SEED);
  const faults: string[] = [];
  let refused = 0;
  const startMs = performance.now();
  for (let i = 0; i < MUTATIONS && faults.length < 3; i += 1) {
    const bytes = mutated(examples[i % examples.length]!, random);
    try {
      await parse(bytes);
    } catch (thrown) {
      refused += 1;
      if (clearCode(thrown) === null && !(thrown instanceof StateUnfit))
        faults.push(
          `${name}, mutation ${i}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`,
        );
    }
  }
  const us = Math.round((1000 * (performance.now() - startMs)) / MUTATIONS);
  process.stdout.write(`${name}: ${MUTATIONS} inputs, ${refused} refused, ${us} us each\n`);
  return faults;
}

test(`every parser takes ${MUTATIONS} spoiled inputs (PAGELEDGER_SEED=${SEED})`, async () => {
  const series = await recordSeries(folder.path);
  const parsers = parsersOf({ ...series, spool });
  const before = process.memoryUsage().rss;
  const faults: string[] = [];
  for (const parser of parsers) {
    for (const example of parser.examples) await parser.parse(example);
    faults.push(...(await faultsOf(parser)));
  }
  expect(faults).toEqual([]);
  expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_BYTES_MAX);
}, 3_600_000);
