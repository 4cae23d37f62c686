// A log that is older than the last compaction (docs/backup.md): it names packs that were deleted since.
// Which event it must have is said beside the packs, and was put there before the first of them went.
//
// Cost: one look beside the packs (a folder's names, a listing). The log is asked for a mark's event once:
// a log that has what was folded after it has it too.

import { eventAt, markOf, NO_STREAM, type EventMark } from '../../../domain/ports/event-log.ts';
import { STORE_STREAM } from '../../../domain/events/streams.ts';
import { run } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import type { LedgerLog, LedgerPages } from './ledger-parts.ts';

const tooOld = ({ position, id }: EventMark): LedgerError =>
  new LedgerError(
    'LOG_TOO_OLD',
    `the log is older than the last compaction: it does not have the event ${id} at position ${position}, and packs were deleted by what it says up to there, which this log may name; nothing is recorded, forgotten, named or deleted: put back the log that has it, or the packs of the same backup, and then remove the mark ${position}-${id} in compacted/ beside the packs`,
    { position, id },
  );

interface MarkedLedger {
  readonly log: LedgerLog;
  readonly store: LedgerPages;
  readonly state: LedgerState;
}

/** The marks of compactions beside a ledger's packs, and whether its log has what they name. */
export class CompactionMarks {
  readonly #of: MarkedLedger;
  /** Ids of marked events that the log had, in the past that is counted as `#past`. */
  readonly #known = new Set<string>();
  #past = -1;

  constructor(of: MarkedLedger) {
    this.#of = of;
  }

  /** The failure of a log that does not have what packs were deleted by; null: it has all of it. */
  async failure(): Promise<LedgerError | null> {
    const { store } = this.#of;
    for (const mark of await run((store.origin ?? store).marks()))
      if (!(await this.#isInLog(mark))) return tooOld(mark);
    return null;
  }

  /** The same, as far as it is known in time: who records, compacts or decides anything waits for it. */
  async failureWithin(msMax: number): Promise<LedgerError | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), msMax);
    });
    try {
      return await Promise.race([this.failure().catch(() => null), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** LOG_TOO_OLD where the log does not have what packs were deleted by. */
  async check(): Promise<void> {
    const failure = await this.failure();
    if (failure !== null) throw failure;
  }

  /** Says beside the packs, before any of them is deleted, by which event at the latest. LOG_TOO_OLD. */
  async markDeletion(): Promise<void> {
    await this.check();
    const { log, store } = this.#of;
    const revision = await run(log.streamRevision(STORE_STREAM));
    if (revision === NO_STREAM) return;
    const range = { stream: STORE_STREAM, fromRevision: revision, fromPosition: 0n };
    const event = await eventAt(log, range);
    if (event !== null) await run(store.putMark(markOf(event)));
  }

  async #isInLog(mark: EventMark): Promise<boolean> {
    const { state } = this.#of;
    if (this.#past !== state.pasts) this.#known.clear();
    this.#past = state.pasts;
    const isFolded = mark.position < state.next;
    if (isFolded && this.#known.has(mark.id)) return true;
    const isThere = await state.isInLog({ next: mark.position + 1n, last: mark, pending: [] });
    if (isThere && isFolded) this.#known.add(mark.id);
    return isThere;
  }
}
