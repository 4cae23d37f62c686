// Segments of the page index: each covers a stretch of the log with three sorted runs (versions of
// pages, holdings of contents, identifiers of contents). Segments of one level are merged into one of
// the next when there are FANOUT of them, so a history of any length has few.

import type { BlockFiles, StateFiles } from '../../domain/ports/derived-files.ts';
import { StateUnfit } from '../models/state-bytes.ts';
import { HOLDING_WORDS, joinedHoldings } from './holding-records.ts';
import { IDENTIFIER_WORDS, VERSION_WORDS } from './recent-events.ts';
import type { Records } from './record-block.ts';
import { mergedRuns } from './run-merge.ts';
import { runBlocks, SortedRun, type RunId } from './sorted-run.ts';

/** Where the index keeps its files, among the state files. */
export const INDEX_PREFIX = 'page-index/';
/** Segments of a level that become one of the next. */
const FANOUT = 8;

const RUN_WIDTHS = {
  versions: VERSION_WORDS,
  holdings: HOLDING_WORDS,
  identifiers: IDENTIFIER_WORDS,
} as const;

export type RunName = keyof typeof RUN_WIDTHS;
const RUN_NAMES: readonly RunName[] = ['versions', 'holdings', 'identifiers'];

/** A segment as the list of them says. */
export interface Segment {
  /** Commits of the stretch lie after `from`, up to `to`. */
  readonly from: bigint;
  readonly to: bigint;
  readonly level: number;
  /** Numbers of contents that came with it: from `contents[0]` to before `contents[1]`. */
  readonly contents: readonly [number, number];
}

export interface SegmentPorts {
  readonly files: StateFiles;
  readonly blocks: BlockFiles;
  /** What the ledger and its past are known by. */
  readonly id: RunId;
}

const runName = ({ from, to }: Segment, run: RunName): string =>
  `${INDEX_PREFIX}${from}-${to}/${run}`;

/** Keeps the runs of a segment. False: one of them could not be kept. */
export async function saveSegment(
  { blocks, id }: SegmentPorts,
  segment: Segment,
  records: (run: RunName) => AsyncIterable<Records> | Iterable<Records>,
): Promise<boolean> {
  for (const run of RUN_NAMES) {
    const of = { width: RUN_WIDTHS[run], id };
    if (!(await blocks.save(runName(segment, run), runBlocks(records(run), of)))) return false;
  }
  return true;
}

/** The open runs of segments. */
export class OpenRuns {
  readonly #ports: SegmentPorts;
  readonly #open = new Map<string, SortedRun>();

  constructor(ports: SegmentPorts) {
    this.#ports = ports;
  }

  /** A run, open until `close`. StateUnfit where it is absent or another one. */
  async of(segment: Segment, run: RunName): Promise<SortedRun> {
    const name = runName(segment, run);
    const open = this.#open.get(name);
    if (open !== undefined) return open;
    const file = await this.#ports.blocks.open(name);
    if (file === null) throw new StateUnfit(`${name} is not there`);
    try {
      const { id } = this.#ports;
      const opened = await SortedRun.open(file, { width: RUN_WIDTHS[run], id });
      this.#open.set(name, opened);
      return opened;
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  async drop(segment: Segment): Promise<void> {
    for (const run of RUN_NAMES) {
      const name = runName(segment, run);
      await this.#open.get(name)?.close();
      this.#open.delete(name);
      await this.#ports.files.drop(name);
    }
  }

  async close(): Promise<void> {
    for (const run of this.#open.values()) await run.close();
    this.#open.clear();
  }
}

/** The last FANOUT segments, where they are of one level; null: there is nothing to merge. */
function mergeable(segments: readonly Segment[]): readonly Segment[] | null {
  const last = segments.slice(-FANOUT);
  const isLevel = last.length === FANOUT && last.every(({ level }) => level === last[0]!.level);
  return isLevel ? last : null;
}

/**
 * Merges what is due. Gives the segments there are then, and those that are no longer among them,
 * whose files are still there. Amortised O(log segments) a record; memory: a block a run.
 */
export async function mergeSegments(
  ports: SegmentPorts,
  runs: OpenRuns,
  segments: readonly Segment[],
): Promise<{ readonly segments: readonly Segment[]; readonly merged: readonly Segment[] }> {
  let now = segments;
  const gone: Segment[] = [];
  for (let due = mergeable(now); due !== null; due = mergeable(now)) {
    const first = due[0]!;
    const last = due.at(-1)!;
    const whole: Segment = {
      from: first.from,
      to: last.to,
      level: first.level + 1,
      contents: [first.contents[0], last.contents[1]],
    };
    const open = new Map<RunName, readonly SortedRun[]>();
    for (const run of RUN_NAMES) {
      const opened: SortedRun[] = [];
      for (const segment of due) opened.push(await runs.of(segment, run));
      open.set(run, opened);
    }
    const records = (run: RunName): AsyncIterable<Records> => {
      const sources = open.get(run)!.map((opened) => opened.all());
      const merged = mergedRuns(sources, RUN_WIDTHS[run]);
      return run === 'holdings' ? joinedHoldings(merged) : merged;
    };
    if (!(await saveSegment(ports, whole, records))) break;
    gone.push(...due);
    now = [...now.slice(0, -FANOUT), whole];
  }
  return { segments: now, merged: gone };
}
