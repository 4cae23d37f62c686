// What `compact` did, as a row.

import type { CompactedLedger } from '../../wiring/forget/compact.ts';
import { isoTime, type Row } from './row.ts';

/**
 * Bytes that there are fewer now; below 0: that there are more, as what is to be deleted waits. Of a dry
 * run, about what there would be once all that it would empty has gone.
 */
export const givenBackBytesOf = (
  { rewritten, deleted, writtenBytes }: CompactedLedger,
  isDryRun: boolean,
): number =>
  deleted.bytes - (isDryRun ? rewritten.bytesAfter - rewritten.bytesBefore : writtenBytes);

export const compactRow = (compacted: CompactedLedger, isDryRun: boolean): Row => {
  const { rewritten, released, deleted, unreadable, laidOut, laidOutAnew } = compacted;
  return {
    rewrittenPacks: rewritten.packs,
    rewrittenPages: rewritten.pages,
    bytesBefore: rewritten.bytesBefore,
    bytesAfter: rewritten.bytesAfter,
    releasedPages: released,
    deletedPacks: deleted.packs,
    deletedBytes: deleted.bytes,
    writtenBytes: compacted.writtenBytes,
    givenBackBytes: givenBackBytesOf(compacted, isDryRun),
    leftPacks: compacted.left.packs,
    leftBytes: compacted.left.bytes,
    leftCheckpoints: compacted.leftCheckpoints,
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
    stopped: compacted.isStopped,
    dryRun: isDryRun,
  };
};
