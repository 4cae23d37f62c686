// Spoiled bytes in front of every parser: each gives a value or a clear error, soon and in little
// memory. What came of it, in numbers.

import { StateUnfit } from '../../../projections/models/state-bytes.ts';
import { Spool } from '../../../adapters/guests/qemu/spool.ts';
import { clearCode } from './damaged-ledger.ts';
import { dumpParsers } from './dump-parsers.ts';
import { fileParsers } from './file-parsers.ts';
import { seededRandom } from '../images.ts';
import { mutated, tellingPlaces } from './mutations.ts';
import { parsersOf, type Parser } from './parsers.ts';
import { peerParsers, SpoiledServer } from './peer-parsers.ts';
import { recordSeries } from './spoiled-series.ts';
import { thrownText } from '../outcomes.ts';

/** What a parser made of its inputs. */
export interface ParserOutcome {
  readonly name: string;
  readonly inputs: number;
  readonly refused: number;
  readonly meanUs: number;
  readonly slowestMs: number;
  /** The most processor time that one took: what others do on a machine is not in it. */
  readonly busiestMs: number;
  /** Most memory that was taken beyond what was there. */
  readonly memoryBytes: number;
  /** What it did that it may not. */
  readonly faults: readonly string[];
}

/** How parsers are tried. */
interface TryRequest {
  /** How many for each parser. */
  readonly mutations: number;
  readonly seed: number;
  readonly tell: (sentence: string) => void;
}

interface RunRequest extends TryRequest {
  /** Which parsers, by their names. Absent: all. */
  readonly of?: RegExp;
  /** For files of guests' memory. */
  readonly folder: string;
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

const MIB = 2 ** 20;
/** Of so many inputs, the memory that is in use is looked at behind one. */
const LOOKED_AT = 64;

/** The most memory of this process since it began. */
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** Looks at this process's memory: the most, as far as the kernel or a look now and then tells it. */
class MemoryWatch {
  readonly #before = process.memoryUsage.rss();
  readonly #peakBefore = peakBytes();
  #most = this.#before;

  look(): void {
    this.#most = Math.max(this.#most, process.memoryUsage.rss());
  }

  /** Most bytes that were taken beyond what was there. */
  get takenBytes(): number {
    const peak = peakBytes();
    return (peak > this.#peakBefore ? peak : this.#most) - this.#before;
  }
}

async function outcomeOf(parser: Parser, { mutations, seed }: TryRequest): Promise<ParserOutcome> {
  const { name, examples, parse, slowness = 1, hasMemory } = parser;
  const wanted = Math.ceil(mutations / slowness);
  const random = seededRandom(seed);
  const telling = hasMemory === true ? examples.map(tellingPlaces) : [];
  const faults = await checkExamples(parser);
  const memory = new MemoryWatch();
  let inputs = 0;
  let refused = 0;
  let slowestMs = 0;
  let busiestMs = 0;
  const startMs = performance.now();
  for (; inputs < wanted && faults.length < FAULTS_MAX; inputs += 1) {
    const of = inputs % examples.length;
    const bytes = mutated(examples[of]!, random, telling[of]);
    const beganMs = performance.now();
    const began = process.cpuUsage();
    try {
      await parse(bytes);
    } catch (thrown) {
      refused += 1;
      if (!isClear(thrown)) faults.push(`${name}, mutation ${inputs}: ${thrownText(thrown)}`);
    }
    const { user, system } = process.cpuUsage(began);
    busiestMs = Math.max(busiestMs, (user + system) / 1000);
    slowestMs = Math.max(slowestMs, performance.now() - beganMs);
    if (inputs % LOOKED_AT === 0) memory.look();
  }
  memory.look();
  const meanUs = (1000 * (performance.now() - startMs)) / Math.max(1, inputs);
  const memoryBytes = memory.takenBytes;
  return { name, inputs, refused, meanUs, slowestMs, busiestMs, memoryBytes, faults };
}

/** Spoils the examples of each of these parsers, the same for a seed. */
export async function tryParsers(
  parsers: readonly Parser[],
  request: TryRequest,
): Promise<readonly ParserOutcome[]> {
  const outcomes: ParserOutcome[] = [];
  for (const parser of parsers) {
    const outcome = await outcomeOf(parser, request);
    const { name, inputs, refused, meanUs, busiestMs, memoryBytes } = outcome;
    request.tell(
      `${name}: ${inputs} inputs, ${refused} refused, ${Math.round(meanUs)} us each, at most ${Math.round(busiestMs)} ms of processor and ${Math.round(memoryBytes / MIB)} MiB`,
    );
    outcomes.push(outcome);
  }
  return outcomes;
}

/** Spoils the examples of every parser, the same for a seed. */
export async function runSpoiled(request: RunRequest): Promise<readonly ParserOutcome[]> {
  const { folder, of = /^/u } = request;
  const spool = new Spool();
  const server = await SpoiledServer.start();
  try {
    const series = await recordSeries(folder);
    const parsers = [
      ...parsersOf({ ...series, spool }),
      ...(await fileParsers()),
      ...peerParsers(server),
      ...dumpParsers(folder),
    ];
    return await tryParsers(
      parsers.filter(({ name }) => of.test(name)),
      request,
    );
  } finally {
    await server.close();
    spool.close();
  }
}
