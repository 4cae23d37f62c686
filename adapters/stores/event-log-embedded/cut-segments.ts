// Letting go of the beginnings of streams: every ended segment that has records of them is replaced by
// what is left of it (left-segment.ts). The new file is whole and durable before it takes the name, so
// a crash leaves the one or the other; and segments are replaced from the first on, so that what is
// left of a stream is always its end. Nothing that counts for nothing is kept: lost races, the torn ends
// of crashes and the segments' own ends go as well, so what is left counts by its chain alone. A file of
// which nothing is left is removed in the end, where others say of each of its streams what went later.

import { join } from 'node:path';
import { writeWhole } from '../../files/whole-file.ts';
import { lastRevision, type Frame } from './frame.ts';
import { encodeLeft, type LeftStretch } from './left-segment.ts';
import type { LogReader } from './log-reader.ts';
import { encodeLeftHeader, segmentName, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { Segments } from './segments.ts';
import type { Head } from './stream-heads.ts';

/** Bytes copied at once. */
const COPY_BYTES = 1024 * 1024;

/** What becomes of a file of the log. */
interface FilePlan {
  readonly start: number;
  readonly stretches: LeftStretch[];
  readonly cuts: Map<string, Head>;
  /** Whether anything in it goes that was there. */
  hasGoing: boolean;
  /** Whether it is what is left of a segment already. */
  readonly isLeft: boolean;
}

export interface CutPlan {
  /** Of all files but the last, ascending. */
  readonly files: readonly FilePlan[];
  /** Those of them of which nothing is left, and which nothing depends on. */
  readonly empty: ReadonlySet<FilePlan>;
  /** Whether something goes that lies in the file that is appended to. */
  readonly isLastMeant: boolean;
}

function keep(plan: FilePlan, { position, end }: LeftStretch): void {
  const last = plan.stretches.at(-1);
  if (last?.end === position) plan.stretches[plan.stretches.length - 1] = { ...last, end };
  else plan.stretches.push({ position, end });
}

/** The records of an append, or what is left of one: in format 1 each event is one. */
function* recordsOf(frames: readonly Frame[]): Generator<readonly Frame[]> {
  let at = 0;
  while (at < frames.length) {
    const { recordPosition } = frames[at]!;
    let to = at + 1;
    while (to < frames.length && frames[to]!.recordPosition === recordPosition) to += 1;
    yield frames.slice(at, to);
    at = to;
  }
}

function take(plan: FilePlan, frames: readonly Frame[], cuts: ReadonlyMap<string, number>): void {
  const first = frames[0]!;
  // An append goes whole, or stays.
  const goes = lastRevision(first) < (cuts.get(first.stream) ?? 0);
  for (const record of recordsOf(frames)) {
    const last = record.at(-1)!;
    const { recordPosition: position } = last;
    if (!goes) {
      keep(plan, { position, end: last.end });
      continue;
    }
    plan.hasGoing = true;
    const { revision, hash, end } = last;
    plan.cuts.set(first.stream, { revision, hash, position, end });
  }
}

/** What is left of each file when streams begin with these revisions. O(log). */
export async function planCut(
  reader: LogReader,
  segments: Segments,
  cuts: ReadonlyMap<string, number>,
): Promise<CutPlan> {
  const starts = segments.fileStarts;
  const plans = starts.map((start): FilePlan => {
    const left = segments.leftOf(start);
    const before = new Map(left?.cuts);
    return { start, stretches: [], cuts: before, hasGoing: false, isLeft: left !== null };
  });
  const fold = reader.foldAll();
  let at = 0;
  for (let judged = await fold.next(); judged !== null; judged = await fold.next()) {
    const { position } = judged.frames[0]!;
    while (at + 1 < plans.length && plans[at + 1]!.start <= position) at += 1;
    if (judged.isAccepted) take(plans[at]!, judged.frames, cuts);
  }
  const files = plans.slice(0, -1);
  return { files, empty: emptyIn(files), isLastMeant: plans.at(-1)?.hasGoing ?? false };
}

/** Files of which nothing is left, each stream's last record that is gone being told of by another. */
function emptyIn(files: readonly FilePlan[]): ReadonlySet<FilePlan> {
  const tellers = new Map<string, FilePlan>();
  for (const file of files)
    for (const [stream, { revision }] of file.cuts)
      if (revision >= (tellers.get(stream)?.cuts.get(stream)?.revision ?? -1))
        tellers.set(stream, file);
  const needed = new Set(tellers.values());
  return new Set(
    files.filter((file, i) => {
      const isEmpty = file.stretches.length === 0 && (file.hasGoing || file.isLeft);
      return i > 0 && isEmpty && !needed.has(file);
    }),
  );
}

/** Whether a file is to be replaced: also so that it says where it ends itself, where the next one goes. */
const isReplaced = (file: FilePlan, next: FilePlan | undefined, { empty }: CutPlan): boolean =>
  file.hasGoing || (!file.isLeft && next !== undefined && empty.has(next));

async function* copyOf(
  segments: Segments,
  stretches: readonly LeftStretch[],
): AsyncGenerator<Uint8Array> {
  for (const { position, end } of stretches)
    for (let at = position; at < end;) {
      const bytes = new Uint8Array(Math.min(COPY_BYTES, end - at));
      const got = await segments.read(bytes, at);
      if (got === 0) throw segments.endsEarly(at);
      yield bytes.subarray(0, got);
      at += got;
    }
}

async function* partsOf(segments: Segments, plan: FilePlan): AsyncGenerator<Uint8Array> {
  const { start, stretches, cuts } = plan;
  const table = encodeLeft({ stretches, cuts });
  const startBytes = SEGMENT_HEADER_BYTES + 2 * table.length;
  yield encodeLeftHeader({ start, marker: await segments.markerOf(start), startBytes });
  yield table;
  yield table;
  yield* copyOf(segments, stretches);
}

/** Replaces the files of which something goes, one after another, and removes those that nothing is left of. */
export async function cutSegments(segments: Segments, plan: CutPlan): Promise<void> {
  for (const [i, file] of plan.files.entries()) {
    if (!isReplaced(file, plan.files[i + 1], plan)) continue;
    await writeWhole({
      files: segments.files,
      path: join(segments.folder, segmentName(file.start)),
      parts: partsOf(segments, file),
      as: 'durable',
      existing: 'replace',
    });
    await segments.replaced(file.start);
  }
  for (const { start } of plan.empty) await segments.remove(start);
}
