// Checkpoints laid out anew, joined: once it is known what guests asked for that ran from a point, what
// they asked for together lies together, in that order. Only compaction does so. What lay there before
// goes as what no event names, a day after it was written at the soonest: readers may hold its map.

import { pointsStream } from '../../../domain/events/streams.ts';
import { decidePoints } from '../../../domain/points.ts';
import { plainStorageEnds } from '../../../domain/use-cases/layout/storage-block-numbers.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { CheckpointRow } from '../../../projections/models/vm-entry.ts';
import { layOutPoint } from './checkpoint-layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { readPoint } from './point-reader.ts';
import { tracedSets } from './requests.ts';
import { tableOf, type VmPoint } from '../ledger/vm-point.ts';

/** So many times as many pages as it was laid out by are a reason to lay a checkpoint out anew. */
const GROWTH = 1.25;

/** A checkpoint that a trace has come of since it was laid out. */
interface Traced {
  readonly point: VmPoint;
  readonly checkpoint: CheckpointRow;
  /** Sets of pages that guests asked for together, and all of them. */
  readonly together: readonly Uint32Array[];
  readonly pages: number;
}

/** A checkpoint that was laid out anew; of a dry run, one that would be. */
export interface LaidOutAnew {
  readonly vm: string;
  readonly name: string;
  /** Pages that guests asked for. */
  readonly traced: number;
  /** What was copied, and the storage blocks that lie in the way of who asks as they did. Null: a dry run. */
  readonly made: {
    readonly pages: number;
    readonly bytes: number;
    readonly readsBefore: number;
    readonly reads: number;
  } | null;
}

/** Checkpoints to be laid out anew, each point once: by the name that it is read by. */
function* tracedOf(ledger: Ledger): Generator<Traced> {
  for (const entry of ledger.vms()) {
    const named = new Map<number, CheckpointRow>();
    for (const row of entry.checkpoints) if (row.layout !== null) named.set(row.capture, row);
    for (const [capture, checkpoint] of named) {
      const row = entry.capture(capture);
      if (row === undefined) continue;
      const point = { entry, row };
      const together = tracedSets(ledger, point, entry.pagesAt(capture));
      const pages = new Set(together.flatMap((set) => [...set])).size;
      if (pages > 0 && pages >= GROWTH * (checkpoint.traced ?? 0))
        yield { point, checkpoint, together, pages };
    }
  }
}

/** Lays a checkpoint out by its trace; null: that would make no reads fewer. */
async function layOut(
  ledger: Ledger,
  traced: Traced,
  signal: AbortSignal | undefined,
): Promise<LaidOutAnew | null> {
  const { point, together, pages: asked } = traced;
  const { vm } = point.entry;
  const { name, capture } = traced.checkpoint;
  const table = await tableOf(ledger, point, { isWhole: true });
  const { locator, storageEnds } = await readPoint(ledger, { point, table });
  const before = { locator, endsOf: storageEnds(plainStorageEnds) };
  // What was copied by then is taken back.
  const onPages = (): void => signal?.throwIfAborted();
  const made = await layOutPoint(ledger, point, { together, before, onPages });
  const { layout, pages, readsBefore, reads } = made;
  if (layout.map === null) return null;
  try {
    await ledger.decide(pointsStream(vm), () =>
      decidePoints(ledger.vm(vm).points)({
        _tag: 'LayOutAnew',
        vm,
        name,
        capture,
        traced: asked,
        layout,
      }),
    );
  } catch (thrown) {
    await made.takeBack();
    throw thrown;
  }
  return { vm, name, traced: asked, made: { pages, bytes: layout.bytes, readsBefore, reads } };
}

/**
 * Lays out anew, one after the other, the checkpoints that a trace has come of since they were laid out.
 * What cannot be stays as it was, and somebody is told. `left`: those that it was stopped before.
 */
export async function layOutAnew(
  ledger: Ledger,
  { isDryRun, signal }: { readonly isDryRun: boolean; readonly signal?: AbortSignal },
): Promise<{ readonly laidOutAnew: readonly LaidOutAnew[]; readonly left: number }> {
  const all: LaidOutAnew[] = [];
  // All of them are known before the first is laid out.
  const checkpoints = Array.from(tracedOf(ledger));
  for (const [done, traced] of checkpoints.entries()) {
    const { vm } = traced.point.entry;
    const { name } = traced.checkpoint;
    const stopped = { laidOutAnew: all, left: checkpoints.length - done };
    if (signal?.aborted ?? false) return stopped;
    if (isDryRun) {
      all.push({ vm, name, traced: traced.pages, made: null });
      continue;
    }
    try {
      const made = await layOut(ledger, traced, signal);
      if (made !== null) all.push(made);
    } catch (thrown) {
      if (signal?.aborted ?? false) return stopped;
      if (!isLedgerError(thrown) && !isRefused(thrown)) throw thrown;
      ledger.tell(`checkpoint ${name} of VM ${vm} stays as it was laid out: ${thrown.message}`);
    }
  }
  return { laidOutAnew: all, left: 0 };
}
