// What becomes of a guest whose capture has failed: its guard brings it to an end, or, where that has
// ended too, this program does. What failed is told with what came of that.

import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import { sentenceOf } from './failure.ts';
import type { Guard } from './guard.ts';
import { settle, type Unfinished } from './migration-control.ts';
import { connectMonitor } from './monitors.ts';
import type { Qmp } from './qmp.ts';

/** How long a guard is waited for, and how long where QEMU has not answered before. */
const GIVE_UP_TIMEOUT_MS = 30_000;
const SILENT_TIMEOUT_MS = 1_000;

export interface FailedCapture extends Unfinished {
  readonly qmp: Qmp;
  readonly guard: Guard;
}

/** Leaves a capture, and the connection with it, to who can end it well; what is to be thrown. */
export async function abandon(error: unknown, capture: FailedCapture): Promise<unknown> {
  const { qmp, guard } = capture;
  const isSilent = qmp.lost?.code === 'QMP_UNREACHABLE';
  // Both at once would take answers from each other.
  if (!guard.isGone) qmp.leave();
  const isSettled = await guard.giveUp(isSilent ? SILENT_TIMEOUT_MS : GIVE_UP_TIMEOUT_MS);
  const failure = guard.taken ?? error;
  if (isSettled) return failure;
  if (guard.isGone) return withSentence(failure, await endWithoutGuard(capture));
  const sentence =
    `QEMU does not answer: process ${guard.pid} waits for it, and lets the guest run on when it ` +
    'does';
  return withSentence(failure, { sentence, guard: guard.pid });
}

/** Does what the guard would have done; how that went. */
async function endWithoutGuard(capture: FailedCapture): Promise<{ readonly sentence: string }> {
  const { path, lost } = capture.qmp;
  try {
    const drained = capture.guard.drain();
    const qmp = lost === null ? capture.qmp : await connectMonitor({ path });
    await settle(qmp, capture, GIVE_UP_TIMEOUT_MS);
    qmp.leave();
    await drained;
    return {
      sentence: 'its guard has ended, so this program brought the guest back to what it was',
    };
  } catch (error) {
    const sentence =
      `its guard has ended, and this program cannot bring the guest back (${sentenceOf(error)}): ` +
      "if it stands, let it run with QEMU's cont";
    return { sentence };
  }
}

/** A failure, and what else there is to say. */
function withSentence(
  failure: unknown,
  { sentence, ...facts }: { readonly sentence: string; readonly guard?: number },
): unknown {
  if (!isLedgerError(failure)) return failure;
  const { code, message } = failure;
  return new LedgerError(code, `${message}; ${sentence}`, { ...failure.facts, ...facts }, failure);
}
