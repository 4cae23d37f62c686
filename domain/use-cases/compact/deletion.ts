// Gives space back: deletes packs in which nothing lies any more, once nobody can come who has not seen
// that, and packs that no event names, which crashes and given-up captures leave.
//
// The order counts. What is there is listed first; then it is asked who records; then the log is read
// to its head. So a recorder that had begun before what emptied a pack was appended is either found
// running, or all that it committed is known; and one that begins later sees everything.

import * as either from 'fp-ts/lib/Either.js';
import { deletableAtMs } from '../../store.ts';
import { run } from '../../ports/run.ts';
import type { PackEntry, PageStore } from '../../ports/page-store.ts';
import { isLedgerError } from '../../values/ledger-error.ts';

/** What no event names is deleted after this time: no capture takes that long. */
export const ORPHAN_MS = 24 * 3_600_000;

export interface DeletionPorts {
  readonly store: PageStore;
  readonly clock: () => number;
  /** Folds what the log holds beyond what is known. */
  readonly catchUp: () => Promise<void>;
  /** Whether anybody may be recording on this host. */
  readonly isRecorded: () => Promise<boolean>;
  /** A pack that events name: since when nothing lies in it, or null: it is needed; undefined: none names it. */
  readonly emptiedAtMs: (name: string) => number | null | undefined;
  /** Says beside the packs which event the log must have, before any that it names is deleted. */
  readonly markDeletion: () => Promise<void>;
  /** Why events may be missing from the log, so that what none names may be needed; null: none are. */
  readonly doubt: () => Promise<string | null>;
}

/** What was given back, and what will be. */
export interface Deleted {
  readonly packs: number;
  readonly bytes: number;
  readonly waitingPacks: number;
  readonly waitingBytes: number;
  /** When the last of those may go; null: when what is in doubt was seen to. */
  readonly waitingUntilMs: number | null;
  /** Why packs that no event names stay although they are old enough; null: none do. */
  readonly doubt: string | null;
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

/** How long the store has had a pack, by its own clock; 0 where that cannot be told. */
async function agesIn(store: PageStore): Promise<(pack: PackEntry) => number> {
  const now = await store.now()();
  return ({ writtenAtMs }) => (either.isRight(now) ? now.right - writtenAtMs : 0);
}

/** When a pack may go, by this host's clock: null: it is not known; undefined: never. */
type WhenOf = (pack: PackEntry) => number | null | undefined;

/** Marks a deletion; false: there is no room for the mark. */
async function isMarked({ markDeletion }: DeletionPorts): Promise<boolean> {
  try {
    await markDeletion();
    return true;
  } catch (thrown) {
    if (isLedgerError(thrown) && thrown.code === 'DISK_FULL') return false;
    throw thrown;
  }
}

/**
 * Deletes packs. Before any that events name the deletion is marked; on a full disk as soon as those
 * that went have made room for it.
 */
async function deleteAll(ports: DeletionPorts, packs: readonly PackEntry[]): Promise<void> {
  const isOrphan = ({ name }: PackEntry): boolean => ports.emptiedAtMs(name) === undefined;
  const named = packs.filter((pack) => !isOrphan(pack));
  for (const { name } of packs.filter(isOrphan)) await run(ports.store.delete(name));
  let isDone = named.length === 0;
  for (const { name } of named) {
    isDone ||= await isMarked(ports);
    await run(ports.store.delete(name));
  }
  if (!isDone) await ports.markDeletion();
}

/** Deletes what may be deleted now, or only counts it. */
async function deleteDue(
  ports: DeletionPorts,
  packs: readonly PackEntry[],
  of: { readonly whenOf: WhenOf; readonly now: number; readonly isDryRun: boolean },
): Promise<Omit<Deleted, 'doubt'>> {
  const done = { packs: 0, bytes: 0 };
  const due: PackEntry[] = [];
  const waiting = { packs: 0, bytes: 0, untilMs: 0 as number | null };
  for (const pack of packs) {
    const atMs = of.whenOf(pack);
    if (atMs === undefined) continue;
    const isDue = atMs !== null && atMs <= of.now;
    const count = isDue ? done : waiting;
    count.packs += 1;
    count.bytes += pack.sizeBytes;
    if (!isDue)
      waiting.untilMs =
        atMs === null || waiting.untilMs === null ? null : Math.max(waiting.untilMs, atMs);
    else due.push(pack);
  }
  if (!of.isDryRun) await deleteAll(ports, due);
  return {
    ...done,
    waitingPacks: waiting.packs,
    waitingBytes: waiting.bytes,
    waitingUntilMs: waiting.packs === 0 ? null : waiting.untilMs,
  };
}

/**
 * Deletes what may be deleted now. What no event names is judged by its age where it lies, and stays
 * for as long as the log may have lost the event that does.
 */
export async function deletePacks(
  ports: DeletionPorts,
  { graceMs, isDryRun }: DeletionRequest,
): Promise<Deleted> {
  const { store, clock, catchUp, isRecorded } = ports;
  const packs = await listed(store);
  const isBusy = await isRecorded();
  await catchUp();
  const now = clock();
  const orphans = packs.filter(({ name }) => ports.emptiedAtMs(name) === undefined);
  const ageOf = orphans.length === 0 ? () => 0 : await agesIn(store);
  const isOld = (pack: PackEntry): boolean => ageOf(pack) >= ORPHAN_MS;
  const doubt = orphans.some(isOld) ? await ports.doubt() : null;
  const whenOf: WhenOf = (pack) => {
    const emptiedAtMs = ports.emptiedAtMs(pack.name);
    if (emptiedAtMs === null) return undefined;
    if (emptiedAtMs !== undefined)
      return deletableAtMs({ emptiedAtMs }, { graceMs, mayBeUnseen: isBusy });
    if (!isOld(pack)) return now + ORPHAN_MS - ageOf(pack);
    return doubt === null ? now : null;
  };
  return { ...(await deleteDue(ports, packs, { whenOf, now, isDryRun })), doubt };
}
