// Gives space back: deletes packs in which nothing lies any more, once nobody can come who has not seen
// that, and packs that no event names, which crashes and given-up captures leave.
//
// The order counts. What is there is listed first; then it is asked who records; then the log is read
// to its head. So a recorder that had begun before what emptied a pack was appended is either found
// running, or all that it committed is known; and one that begins later sees everything.

import { deletableAtMs } from '../../store.ts';
import { run } from '../../ports/run.ts';
import type { PackEntry, PageStore } from '../../ports/page-store.ts';

/** Orphans are deleted after this time also while somebody records: no capture takes that long. */
const ORPHAN_MS = 24 * 3_600_000;
/** A grace from which on nobody comes any more who looked before it began and commits after. */
const SAFE_GRACE_MS = 600_000;

export interface DeletionPorts {
  readonly store: PageStore;
  readonly clock: () => number;
  /** Folds what the log holds beyond what is known. */
  readonly catchUp: () => Promise<void>;
  /** Whether anybody may be recording on this host. */
  readonly isRecorded: () => Promise<boolean>;
  /** Whether others than this host's processes may record. */
  readonly isShared: boolean;
  /** A pack that events name: since when nothing lies in it, or null; undefined: no event names it. */
  readonly emptiedAtMs: (name: string) => number | null | undefined;
}

/** What was given back, and what will be. */
export interface Deleted {
  readonly packs: number;
  readonly bytes: number;
  readonly waitingPacks: number;
  readonly waitingBytes: number;
  /** When the last of those may go; null: when nobody records. */
  readonly waitingUntilMs: number | null;
}

export interface DeletionRequest {
  readonly graceMs: number;
  readonly isDryRun: boolean;
}

async function listed(store: PageStore): Promise<PackEntry[]> {
  const packs: PackEntry[] = [];
  for await (const pack of store.list()) packs.push(pack);
  return packs;
}

/** Deletes what may be deleted now. */
export async function deletePacks(
  ports: DeletionPorts,
  { graceMs, isDryRun }: DeletionRequest,
): Promise<Deleted> {
  const { store, clock, catchUp, isRecorded, isShared } = ports;
  const packs = await listed(store);
  const isBusy = await isRecorded();
  await catchUp();
  const now = clock();
  const mayBeUnseen = isBusy && graceMs < SAFE_GRACE_MS;
  const whenOf = ({ name, writtenAtMs }: PackEntry): number | null | undefined => {
    const emptiedAtMs = ports.emptiedAtMs(name);
    if (emptiedAtMs === null) return undefined;
    if (emptiedAtMs === undefined) return isBusy || isShared ? writtenAtMs + ORPHAN_MS : now;
    return deletableAtMs({ emptiedAtMs }, { graceMs, mayBeUnseen });
  };
  const done = { packs: 0, bytes: 0 };
  const waiting = { packs: 0, bytes: 0, untilMs: 0 as number | null };
  for (const pack of packs) {
    const atMs = whenOf(pack);
    if (atMs === undefined) continue;
    const isDue = atMs !== null && atMs <= now;
    const count = isDue ? done : waiting;
    count.packs += 1;
    count.bytes += pack.sizeBytes;
    if (!isDue)
      waiting.untilMs =
        atMs === null || waiting.untilMs === null ? null : Math.max(waiting.untilMs, atMs);
    if (!isDue || isDryRun) continue;
    await run(store.delete(pack.name));
  }
  return {
    ...done,
    waitingPacks: waiting.packs,
    waitingBytes: waiting.bytes,
    waitingUntilMs: waiting.packs === 0 ? null : waiting.untilMs,
  };
}
