// A log that is older than the last compaction (docs/backup.md): it names packs that were deleted since.
// Which event it must have is said beside the packs, and was put there before the first of them went.

import { markOf, NO_STREAM, type EventMark, type Position } from '../../domain/ports/event-log.ts';
import { STORE_STREAM } from '../../domain/events/streams.ts';
import { run } from '../../domain/ports/run.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { Ledger } from './ledger.ts';

const LOG_START: Position = 0n;

const tooOld = ({ position, id }: EventMark): LedgerError =>
  new LedgerError(
    'LOG_TOO_OLD',
    `the log is older than the last compaction: it does not have the event ${id} at position ${position}, and packs were deleted by what it says up to there, which this log may name; nothing is recorded or deleted: put back the log that has it, or the packs of the same backup, and then remove the mark ${position}-${id} in compacted/ beside the packs`,
    { position, id },
  );

/** The failure of a log that does not have what packs were deleted by; null: it has all of it. */
export async function olderThanPacks({ store, state }: Ledger): Promise<LedgerError | null> {
  for (const mark of await run((store.origin ?? store).marks())) {
    const at = { next: mark.position + 1n, last: mark, pending: [] };
    if (!(await state.isInLog(at))) return tooOld(mark);
  }
  return null;
}

/** LOG_TOO_OLD where the log does not have what packs were deleted by. */
export async function checkMarks(ledger: Ledger): Promise<void> {
  const failure = await olderThanPacks(ledger);
  if (failure !== null) throw failure;
}

/** Says beside the packs, before any of them is deleted, by which event at the latest. LOG_TOO_OLD. */
export async function markDeletion(ledger: Ledger): Promise<void> {
  await checkMarks(ledger);
  const { log, store } = ledger;
  const revision = await run(log.streamRevision(STORE_STREAM));
  if (revision === NO_STREAM) return;
  const range = { stream: STORE_STREAM, fromRevision: revision, count: 1, fromPosition: LOG_START };
  for await (const events of log.readStream(range))
    for (const event of events) await run(store.putMark(markOf(event)));
}
