// What `compact` did, as a row.

import type { CompactedLedger } from '../../wiring/forget/compact.ts';
import { isoTime, type Row } from './row.ts';

export const compactRow = (
  { rewritten, released, deleted, unreadable, laidOut, laidOutAnew, isStopped }: CompactedLedger,
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
  laidOutPoints: laidOut.points,
  laidOutReadsBefore: laidOut.readsBefore,
  laidOutReads: laidOut.reads,
  laidOutAnew: laidOutAnew.map(({ vm, name, traced, made }) => ({
    vm,
    name,
    askedPages: traced,
    copiedPages: made?.pages ?? null,
    copiedBytes: made?.bytes ?? null,
    readsBefore: made?.readsBefore ?? null,
    reads: made?.reads ?? null,
  })),
  stopped: isStopped,
  dryRun: isDryRun,
});
