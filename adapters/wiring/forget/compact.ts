// Compaction, joined.

import { randomBytes } from 'node:crypto';
import { slotAt } from '../../../domain/values/place.ts';
import { lockCompactor } from '../../stores/locks/compactor-lock.ts';
import { mayBeWritten } from '../../stores/locks/writers-presence.ts';
import { areBlocksSalted, areEventsShort, areReleasesLying } from '../../../domain/ledger.ts';
import {
  compactLedger,
  type Compacted,
  type CompactRequest,
} from '../../../domain/use-cases/compact/compact.ts';
import type { DeletionPorts } from '../../../domain/use-cases/compact/deletion.ts';
import type { CompactModels, ContentPlaces } from '../../../domain/use-cases/compact/models.ts';
import { surveyOf } from '../../../projections/compaction/survey.ts';
import { versionsOf } from '../../../projections/compaction/versions.ts';
import { laidOutReads, uncopied, type LaidOutReads } from '../points/checkpoint-layout.ts';
import { sha256 } from '../ledger/digest.ts';
import { layOutAnew, type LaidOutAnew } from '../points/layout-anew.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { endDeadLeases } from '../points/leases.ts';
import { Unreadable } from '../verify/losses.ts';
import { run } from '../../../domain/ports/run.ts';

export type { Compacted, CompactRequest } from '../../../domain/use-cases/compact/compact.ts';

/** Where the content of a ledger lies. */
export function placesOf({ state }: Ledger): ContentPlaces {
  return {
    get count() {
      return state.contents.count;
    },
    placeOf: (holding) => state.contents.placeOf(holding),
    packAt: (place) => state.contents.packAt(place),
    referenceAt: (place) => state.contents.referenceAt(place),
    reference: (holding) => state.contents.reference(holding),
    source: (holding) =>
      areEventsShort(state.catalogue.facts)
        ? state.contents.source(holding)
        : state.contents.reference(holding),
    isLarge: (holding) => state.contents.held.isLarge(holding),
    holdingOfSlot: (place) => state.contents.holdingAt(state.contents.packAt(place), slotAt(place)),
    referrers: () => state.contents.referrers(),
  };
}

function modelsOf(ledger: Ledger): CompactModels {
  const { state } = ledger;
  const unreadable = new Unreadable(ledger);
  return {
    unreadable: () => unreadable.ordinals(),
    passOver: (thrown) => unreadable.add(thrown),
    catchUp: () => state.catchUp({ heavy: false }),
    survey: () => surveyOf(state),
    vmsOf: (group) =>
      [...state.catalogue.vms.values()]
        .filter((entry) => entry.state.registered?.group === group)
        .map(({ vm }) => vm),
    laidOut: (group) => uncopied(ledger, group),
    versions: (vm) => versionsOf(state, vm),
    places: placesOf(ledger),
  };
}

/** What emptied packs wait before they are deleted, where nothing else is said. */
const SHARED_GRACE_MS = 3_600_000;

/** The grace of a ledger: none where one host has its log and its packs and knows who records. */
export const graceMsOf = (ledger: Ledger): number =>
  ledger.isShared || process.platform !== 'linux' ? SHARED_GRACE_MS : 0;

/** Why events may be missing from the log; null: it has all that were ever in it, as far as can be told. */
async function doubtOf(ledger: Ledger): Promise<string | null> {
  const { log, state } = ledger;
  if (state.catalogue.facts.ledger === null) return 'the log has no event that made the ledger';
  const tooOld = await ledger.marks.failure();
  if (tooOld !== null) return tooOld.message;
  for await (const { isNote, reason } of log.check()) if (isNote !== true) return reason;
  return null;
}

/** What deleting packs asks of a ledger, whoever does it. */
export const deletionFrom = (
  ledger: Ledger,
): Pick<DeletionPorts, 'markDeletion' | 'emptiedAtMs'> => ({
  markDeletion: () => ledger.marks.markDeletion(),
  emptiedAtMs: (pack) => {
    const { contents, catalogue } = ledger.state;
    const known = contents.named(pack);
    if (known !== undefined) return contents.emptiedAtMs(known);
    return catalogue.isOfCheckpoint(pack) ? null : undefined;
  },
});

/** What a compaction did, and what it did to the points that were laid out. */
export interface CompactedLedger extends Compacted {
  readonly laidOutAnew: readonly LaidOutAnew[];
  /** Checkpoints that it was stopped before it had laid them out anew. */
  readonly leftCheckpoints: number;
  readonly laidOut: LaidOutReads & { readonly readsBefore: number };
}

/** Rewrites what is stored smaller, and gives back what nobody needs. COMPACTION_BUSY, LOG_TOO_OLD. */
export async function compact(ledger: Ledger, request: CompactRequest): Promise<CompactedLedger> {
  const { log, store, clock, by, state, locks } = ledger;
  const lock = ledger.told(await run(lockCompactor(locks)));
  try {
    await ledger.marks.check();
    if (!request.isDryRun) await endDeadLeases(ledger);
    await state.catchUp({ heavy: false });
    const { reads: readsBefore } = await laidOutReads(ledger);
    const compacted = await compactLedger(
      {
        log,
        store,
        clock,
        by,
        sha256,
        randomBytes,
        engine: await ledger.engine(),
        pages: await ledger.pageReader(),
        models: modelsOf(ledger),
        areBlocksSalted: () => areBlocksSalted(state.catalogue.facts),
        areEventsShort: () => areEventsShort(state.catalogue.facts),
        areReleasesLying: () => areReleasesLying(state.catalogue.facts),
        isRecorded: () => mayBeWritten(locks),
        doubt: () => doubtOf(ledger),
        ...deletionFrom(ledger),
      },
      request,
    );
    // Where what is needed lies now, and in the room that was given back.
    const { laidOutAnew, left } = await layOutAnew(ledger, request);
    const copiedBytes = laidOutAnew.reduce((sum, { made }) => sum + (made?.bytes ?? 0), 0);
    return {
      ...compacted,
      writtenBytes: compacted.writtenBytes + copiedBytes,
      laidOutAnew,
      leftCheckpoints: left,
      isStopped: compacted.isStopped || left > 0,
      laidOut: { ...(await laidOutReads(ledger)), readsBefore },
    };
  } finally {
    await lock.release();
  }
}
