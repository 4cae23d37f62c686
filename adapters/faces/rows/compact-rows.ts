// What `compact` did, as a row.

import type { Compacted } from '../../../domain/use-cases/compact/compact.ts';
import { isoTime, type Row } from './row.ts';

export const compactRow = (
  { rewritten, released, deleted, unreadable, isStopped }: Compacted,
  isDryRun: boolean,
): Row => ({
  rewrittenPacks: rewritten.packs,
  rewrittenPages: rewritten.pages,
  bytesBefore: rewritten.bytesBefore,
  bytesAfter: rewritten.bytesAfter,
  releasedPages: released,
  deletedPacks: deleted.packs,
  deletedBytes: deleted.bytes,
  waitingPacks: deleted.waitingPacks,
  waitingBytes: deleted.waitingBytes,
  waitingUntil: deleted.waitingUntilMs === null ? null : isoTime(deleted.waitingUntilMs),
  doubt: deleted.doubt,
  unreadablePacks: unreadable.packs,
  unreadableBytes: unreadable.bytes,
  stopped: isStopped,
  dryRun: isDryRun,
});
