// Spoiled bytes in front of every parser: each gives a value or a clear error, soon and in little
// memory. What came of it, in numbers.

import { StateUnfit } from '../../projections/models/state-bytes.ts';
import { Spool } from '../../adapters/guests/qemu/spool.ts';
import { clearCode } from './damaged-ledger.ts';
import { dumpParsers } from './dump-parsers.ts';
import { fileParsers } from './file-parsers.ts';
import { seededRandom } from './images.ts';
import { mutated } from './mutations.ts';
import { parsersOf, type Parser } from './parsers.ts';
import { peerParsers, SpoiledServer } from './peer-parsers.ts';
import { recordSeries } from './spoiled-series.ts';
import { thrownText } from './outcomes.ts';

/** What a parser made of its inputs. */
export interface ParserOutcome {
  readonly name: string;
  readonly inputs: number;
  readonly refused: number;
  readonly meanUs: number;
  readonly slowestMs: number;
  /** What it did that it may not. */
  readonly faults: readonly string[];
}

export interface SpoiledRun {
  readonly parsers: readonly ParserOutcome[];
  /** Most memory that was taken beyond what was there. */
  readonly memoryBytes: number;
}

interface RunRequest {
  /** How many for each parser. */
  readonly mutations: number;
  readonly seed: number;
  /** Which parsers, by their names. Absent: all. */
  readonly of?: RegExp;
  /** For files of guests' memory. */
  readonly folder: string;
  readonly tell: (sentence: string) => void;
}

const FAULTS_MAX = 3;

const isClear = (thrown: unknown): boolean =>
  clearCode(thrown) !== null || thrown instanceof StateUnfit;

/** Fails where a parser does not do with its sound examples what it does with them. */
async function checkExamples({ name, examples, parse, isRefused }: Parser): Promise<string[]> {
  const faults: string[] = [];
  for (const example of examples) {
    try {
      await parse(example);
    } catch (thrown) {
      if (isRefused !== true || !isClear(thrown))
        faults.push(`${name}, a sound example: ${thrownText(thrown)}`);
    }
  }
  return faults;
}

async function outcomeOf(parser: Parser, { mutations, seed }: RunRequest): Promise<ParserOutcome> {
  const { name, examples, parse, slowness = 1 } = parser;
  const wanted = Math.ceil(mutations / slowness);
  const random = seededRandom(seed);
  const faults = await checkExamples(parser);
  let inputs = 0;
  let refused = 0;
  let slowestMs = 0;
  const startMs = performance.now();
  for (; inputs < wanted && faults.length < FAULTS_MAX; inputs += 1) {
    const bytes = mutated(examples[inputs % examples.length]!, random);
    const beganMs = performance.now();
    try {
      await parse(bytes);
    } catch (thrown) {
      refused += 1;
      if (!isClear(thrown)) faults.push(`${name}, mutation ${inputs}: ${thrownText(thrown)}`);
    }
    slowestMs = Math.max(slowestMs, performance.now() - beganMs);
  }
  const meanUs = (1000 * (performance.now() - startMs)) / Math.max(1, inputs);
  return { name, inputs, refused, meanUs, slowestMs, faults };
}

/** Spoils the examples of every parser, the same for a seed. */
export async function runSpoiled(request: RunRequest): Promise<SpoiledRun> {
  const { folder, tell, of = /^/u } = request;
  const spool = new Spool();
  const server = await SpoiledServer.start();
  try {
    const series = await recordSeries(folder);
    const parsers = [
      ...parsersOf({ ...series, spool }),
      ...(await fileParsers()),
      ...peerParsers({ folder, server }),
      ...dumpParsers(folder),
    ].filter(({ name }) => of.test(name));
    const before = process.memoryUsage.rss();
    let memoryBytes = 0;
    const outcomes: ParserOutcome[] = [];
    for (const parser of parsers) {
      const outcome = await outcomeOf(parser, request);
      const { name, inputs, refused, meanUs, slowestMs } = outcome;
      tell(
        `${name}: ${inputs} inputs, ${refused} refused, ${Math.round(meanUs)} us each, at most ${Math.round(slowestMs)} ms`,
      );
      outcomes.push(outcome);
      memoryBytes = Math.max(memoryBytes, process.memoryUsage.rss() - before);
    }
    return { parsers: outcomes, memoryBytes };
  } finally {
    await server.close();
    spool.close();
  }
}
