// Going on in a new segment: the last one is ended by a record of its own, and behind that nothing
// counts, whoever wrote it. So of several processes that append and end at once all know the same
// end, by the order of the bytes. The end is durable before the next segment is made.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { LogFold } from './log-fold.ts';
import { encodeSeal } from './record-layout.ts';
import { encodeEnd } from './segment-header.ts';
import type { Segments } from './segments.ts';

/** How far the log was read. */
export interface CaughtUp {
  readonly fold: LogFold;
  readonly position: number;
  /** All bytes before this place were looked at. */
  readonly seen: number;
}

/** Time for an append that is being written to become whole. */
const SETTLE_MS = 20;
const ATTEMPTS_MAX = 16;

/** Format of the segment that is appended to. */
export async function segmentFormat(segments: Segments): Promise<1 | 2> {
  const { last } = segments;
  return last === null ? 2 : (await segments.opened(last)).format.format;
}

/** Whether the log ends with bytes that are nothing yet, or for ever. */
async function endsInDoubt(segments: Segments, fold: LogFold): Promise<boolean> {
  const { last } = segments;
  if (last === null) return false;
  const { format } = await segments.opened(last);
  return fold.readTo > Math.max(fold.state.position, last.start + format.startBytes);
}

/**
 * Whether the next append needs a new segment: somebody ended the last one, or it is large, or it ends
 * with bytes that nobody can read, behind which a record would be in doubt.
 */
export async function mustRoll(
  segments: Segments,
  fold: LogFold,
  segmentBytesMax: number,
): Promise<boolean> {
  if (fold.sealedAt !== null) return true;
  const { last } = segments;
  if (last === null || (await segmentFormat(segments)) === 1) return false;
  return fold.readTo - last.start >= segmentBytesMax || (await endsInDoubt(segments, fold));
}

const settle = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, SETTLE_MS);
  });

/** Ends the last segment, unless somebody else does, and makes the next. */
export async function rollSegment(
  segments: Segments,
  request: {
    readonly catchUp: () => Promise<CaughtUp>;
    readonly isAskedFor: boolean;
    readonly segmentBytesMax: number;
  },
): Promise<void> {
  const { catchUp, isAskedFor, segmentBytesMax } = request;
  const ended = segments.last;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const { fold, seen } = await catchUp();
    if (fold.sealedAt !== null) {
      await segments.create(fold.sealedAt);
      await catchUp();
      return;
    }
    if (segments.last?.start !== ended?.start) return;
    if (!isAskedFor && !(await mustRoll(segments, fold, segmentBytesMax))) return;
    if (isAskedFor || !(await endsInDoubt(segments, fold))) {
      await appendEnd(segments, seen);
      continue;
    }
    await settle();
    const again = await catchUp();
    const isNeeded = await mustRoll(segments, again.fold, segmentBytesMax);
    if (isNeeded && again.fold.sealedAt === null) await appendEnd(segments, again.seen);
  }
  throw new LedgerError(
    'IO_FAILED',
    `found no end of the segment ${segments.path} after ${ATTEMPTS_MAX} attempts to write one; see to the device`,
    { file: segments.path },
  );
}

async function appendEnd(segments: Segments, seen: number): Promise<void> {
  const { format, marker } = await segments.opened(segments.last!);
  const file = await segments.writable();
  await file.append(format.format === 1 ? encodeEnd() : encodeSeal({ marker, seen }));
  await file.sync();
}
