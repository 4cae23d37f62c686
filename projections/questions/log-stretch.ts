// A stretch of the log as changes, no more of it read than is asked for: from one position to another,
// and of one VM its own streams alone, from the places that the catalogue knows.
//
// Cost: without a VM, O(bytes between the positions). Of a VM, the stretches of the log in which its
// captures were written, and the whole of its (short) streams beside that: of points, of restores, of
// migrations, of large pages. Bounds in time are no bounds here: clocks do not order the log.

import { isLedgerError } from '../../domain/values/ledger-error.ts';
import { run } from '../../domain/ports/run.ts';
import {
  NO_STREAM,
  type EventLog,
  type LogItem,
  type Position,
  type StoredEvent,
} from '../../domain/ports/event-log.ts';
import {
  largeStream,
  migrationsStream,
  pointsStream,
  restoresStream,
  vmStream,
} from '../../domain/events/streams.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import { CommitAssembler, type Change } from '../commits.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { readingStart } from './reading-start.ts';

/** Positions between two captures that are read rather than sought past. */
const GAP_MAX = 4n * 1024n * 1024n;

export interface Stretch {
  readonly vm: string | null;
  /** Both included; null: no bound. */
  readonly from: Position | null;
  readonly to: Position | null;
}

export interface StretchPorts {
  readonly log: EventLog;
  readonly state: LedgerState;
}

/** All changes of a stretch up to `end`. */
async function* ofAll(
  { log, state }: StretchPorts,
  { from, to }: Stretch,
  end: Position,
): AsyncGenerator<Change> {
  const start = from === null ? state.start : readingStart(state, from);
  const until = to === null || to >= end ? end : to + 1n;
  if (start.next >= until) return;
  const assembler = new CommitAssembler(log, start);
  for await (const { items } of log.read({ from: start.next, until }))
    yield* await assembler.take(items);
}

/** Consecutive events of a VM's stream, and a place where they begin. */
interface VmStretch {
  readonly fromPosition: Position;
  readonly fromRevision: number;
  endRevision: number;
  endPosition: Position;
}

/** Where reading behind a commit begins: with it, so that it is found, unless it is gone. */
function startAfter(
  before: Pick<CaptureRow, 'position' | 'revision'> | null,
  gone: VmEntry['gone'],
): Pick<VmStretch, 'fromPosition' | 'fromRevision'> {
  if (before === null) return { fromPosition: 0n, fromRevision: 0 };
  const { position: fromPosition, revision } = before;
  return { fromPosition, fromRevision: before === gone ? revision + 1 : revision };
}

/** What of a VM's stream is read for the captures from `from` to `to`; their events are in order. */
function piecesOf(entry: VmEntry, { from, to }: Stretch, start: Position): VmStretch[] {
  const pieces: VmStretch[] = [];
  let before: Pick<CaptureRow, 'position' | 'revision'> | null = entry.gone;
  for (const row of entry.captures) {
    // Events between two commits are up to the later one: also those before it that are wanted.
    const isBeyond = to !== null && before !== null && before.position >= to;
    const isWanted = (from === null || row.position >= from) && row.position > start && !isBeyond;
    if (isWanted) {
      const { firstRevision, count, fromPosition } = row.range;
      // Events between two captures are found from the commit before them, whose place is known.
      const isRight = count > 0 && firstRevision === (before?.revision ?? -1) + 1;
      const first: Omit<VmStretch, 'endRevision' | 'endPosition'> = isRight
        ? { fromPosition, fromRevision: firstRevision }
        : startAfter(before, entry.gone);
      const last = pieces.at(-1);
      const end = { endRevision: row.revision, endPosition: row.position };
      if (last !== undefined && first.fromPosition - last.endPosition <= GAP_MAX)
        Object.assign(last, end);
      else pieces.push({ ...first, ...end });
    }
    before = row;
  }
  return pieces;
}

/** The piece after the last commit, where the stream goes on. */
async function tailOf(
  log: EventLog,
  entry: VmEntry,
  to: Position | null,
): Promise<VmStretch | null> {
  const last = entry.rows.last ?? entry.gone;
  if (last !== null && to !== null && to <= last.position) return null;
  const revision = await run(log.streamRevision(vmStream(entry.vm)));
  const { fromRevision } = startAfter(last, entry.gone);
  if (revision === NO_STREAM || revision <= (last?.revision ?? -1)) return null;
  const fromPosition = last?.position ?? 0n;
  return { fromPosition, fromRevision, endRevision: revision, endPosition: fromPosition };
}

/** Changes of a VM's own stream, ascending; some may lie outside the stretch. */
async function* ofRecorder(
  { log, state }: StretchPorts,
  entry: VmEntry,
  stretch: Stretch,
): AsyncGenerator<Change> {
  const assembler = new CommitAssembler(log);
  const pieces = piecesOf(entry, stretch, state.catalogue.history?.position ?? -1n);
  const tail = await tailOf(log, entry, stretch.to);
  if (tail !== null) pieces.push(tail);
  const stream = vmStream(entry.vm);
  let done = -1;
  for (const { fromRevision, fromPosition, endRevision } of pieces) {
    const count = endRevision - fromRevision + 1;
    for await (const events of log.readStream({ stream, fromRevision, count, fromPosition })) {
      const { to } = stretch;
      if (to !== null && (events[0]?.position ?? 0n) > to) return;
      const fresh = events.filter(({ revision }) => revision > done);
      done = Math.max(done, events.at(-1)?.revision ?? -1);
      yield* await assembler.take(fresh.map((event) => ({ _tag: 'event', event })));
    }
  }
}

/** The streams that tell of a VM beside its recorder's. */
const streamsBeside = (vm: string): readonly string[] => [
  pointsStream(vm),
  restoresStream(vm),
  migrationsStream(vm),
  largeStream(vm),
];

/** Changes of a stream from its first event on, which lies somewhere behind a place. */
async function* ofStream(
  { log }: StretchPorts,
  stream: string,
  fromPosition: Position,
): AsyncGenerator<Change, undefined> {
  const revision = await run(log.streamRevision(stream));
  if (revision === NO_STREAM) return undefined;
  const range = { stream, fromRevision: 0, count: revision + 1, fromPosition };
  const assembler = new CommitAssembler(log);
  for await (const events of log.readStream(range))
    yield* await assembler.take(events.map((event: StoredEvent) => ({ _tag: 'event', event })));
  return undefined;
}

/** Changes of the streams beside a VM's own where their beginnings are gone: they begin somewhere later. */
async function* ofCutStreams(
  { log, state }: StretchPorts,
  streams: ReadonlySet<string>,
): AsyncGenerator<Change, undefined> {
  const later = new CommitAssembler(log, state.start);
  const isOwn = (item: LogItem): boolean => item._tag === 'event' && streams.has(item.event.stream);
  for await (const { items } of log.read({ from: state.start.next }))
    yield* await later.take(items.filter(isOwn));
  return undefined;
}

/** Changes of a VM's streams beside its recorder's, ascending in each of the flows. */
function flowsBeside(
  ports: StretchPorts,
  { vm, checkpoints }: VmEntry,
): readonly AsyncGenerator<Change, undefined>[] {
  const streams = streamsBeside(vm);
  if (ports.state.catalogue.history !== null) return [ofCutStreams(ports, new Set(streams))];
  const near = checkpoints[0]?.position ?? 0n;
  return streams.map((stream) => ofStream(ports, stream, near));
}

/** Two ascending flows as one. */
async function* merged(
  one: AsyncGenerator<Change>,
  other: AsyncGenerator<Change, undefined>,
): AsyncGenerator<Change> {
  let next = await other.next();
  for await (const change of one) {
    while (next.done !== true && next.value.position < change.position) {
      yield next.value;
      next = await other.next();
    }
    yield change;
  }
  for (; next.done !== true; next = await other.next()) yield next.value;
}

/** Whether everything of a VM is known to stand whole in its own streams. */
const isWhole = (entry: VmEntry): boolean => entry.lostTail === null && entry.rows.areWhole();

/**
 * Changes of a stretch up to where the state is folded to, ascending. Some may lie outside it, or be
 * of other VMs: the stretch says what is looked for, not what is given.
 */
export async function* changesIn(ports: StretchPorts, stretch: Stretch): AsyncGenerator<Change> {
  const end = ports.state.next;
  const start = ports.state.catalogue.history?.position ?? -1n;
  const entry = stretch.vm === null ? undefined : ports.state.catalogue.vms.get(stretch.vm);
  if (entry === undefined || !isWhole(entry)) {
    yield* ofAll(ports, stretch, end);
    return;
  }
  let last: Position | null = null;
  try {
    const own = ofRecorder(ports, entry, stretch);
    for await (const change of flowsBeside(ports, entry).reduce(merged, own)) {
      if (change.position >= end || change.position <= start) continue;
      last = change.position;
      yield change;
    }
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
    // Damaged since it was folded: what can be read is read as without a VM.
    const after = last ?? stretch.from;
    for await (const change of ofAll(ports, { ...stretch, from: after }, end))
      if (last === null || change.position > last) yield change;
  }
}
