// Recording a live guest, a capture at every tick, and again when it comes back.

import { isLedgerError, type LedgerErrorCode } from '../../../domain/values/ledger-error.ts';
import type { GuestSource } from '../../../domain/ports/guests.ts';
import { followedRefusal, secondNameDoubt } from '../../../domain/same-guest.ts';
import { refuse } from '../../../domain/values/refused.ts';
import type { RecorderOptions } from '../../../domain/use-cases/record/recorder.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';
import { cloneAt } from '../clones/clones.ts';
import { mappedPointOf } from '../clones/mapped-point.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { atTicks, type Ending, type GuestListener, type GuestRequest } from './guest-captures.ts';
import { pauseUnless } from './guest-ticks.ts';
import { recordSources } from './record.ts';

/** How often it is looked whether a guest is there again. */
const AGAIN_MS = 1_000;
/** What a socket says behind which no guest is, or not yet. */
const NOT_THERE: readonly LedgerErrorCode[] = ['QMP_UNREACHABLE', 'QMP_LOST', 'QMP_PROTOCOL'];

const isNotThere = (thrown: unknown): boolean =>
  isLedgerError(thrown) && NOT_THERE.includes(thrown.code);

/** Refuses a guest that is followed and is another one; tells of one that another VM seems to be. */
function checkGuest(
  ledger: Ledger,
  of: {
    readonly vm: string;
    readonly argv: readonly string[] | null;
    readonly isFollowed: boolean;
  },
  { onWarning }: GuestListener,
): void {
  const { vm, argv, isFollowed } = of;
  const recorded = ledger.state.catalogue.vms.get(vm)?.state.argv ?? null;
  const refusal = isFollowed ? followedRefusal(vm, recorded, argv) : null;
  if (refusal !== null) throw refuse(refusal);
  const others = ledger
    .vms()
    .filter(({ retired }) => retired === null)
    .map((entry) => ({ vm: entry.vm, argv: entry.state.argv }));
  const doubt = secondNameDoubt(vm, argv, others, !ledger.isShared);
  if (doubt !== null) onWarning(doubt);
}

/** Records a guest as long as it is there, and says how that ended. */
async function recordWhileThere(
  ledger: Ledger,
  options: RecorderOptions,
  request: GuestRequest,
  listener: GuestListener,
): Promise<Ending> {
  const { vm } = options;
  const ending: { how: Ending | null } = { how: null };
  const told = {
    listener,
    onConnected: ({ argv = null }: GuestSource): void => {
      checkGuest(ledger, { vm, argv, isFollowed: request.isFollowed === true }, listener);
    },
    onEnding: (how: Ending): void => {
      ending.how = how;
    },
  };
  const clone = cloneAt(ledger, request.qmp);
  const mapped = clone === null ? null : await mappedPointOf(ledger, clone, options);
  const of =
    clone === null ? options : { ...options, parent: { vm: clone.vm, capture: clone.capture } };
  try {
    await recordSources(ledger, of, atTicks(ledger, vm, { ...request, mapped }, told), listener);
    return ending.how ?? 'done';
  } catch (thrown) {
    if (ending.how === 'ended') return 'ended';
    if (request.isFollowed === true && isNotThere(thrown)) return 'away';
    throw thrown;
  }
}

/**
 * Records a live guest again and again; an abort lets the capture under way finish, and a guest that shuts
 * down ends it. A guest that is followed is waited for, whether it ended or was lost, until the abort. Of
 * a clone the VM names the point that it was started from, and what it never wrote is linked to that,
 * unread.
 */
export async function recordGuest(
  ledger: Ledger,
  options: RecorderOptions,
  request: GuestRequest,
  listener: GuestListener,
): Promise<void> {
  const { signal, isFollowed = false } = request;
  let left = request.count;
  let told: 'ended' | 'away' | null = null;
  const onCapture = (row: CaptureRow): void => {
    if (left !== null) left -= 1;
    if (told !== null) listener.onGuest?.('there');
    told = null;
    listener.onCapture(row);
  };
  for (;;) {
    const asked = { ...request, count: left };
    const ending = await recordWhileThere(ledger, options, asked, { ...listener, onCapture });
    if (ending === 'done' || left === 0) return;
    if (told === null) listener.onGuest?.(ending);
    told ??= ending;
    if (!isFollowed) return;
    await pauseUnless(AGAIN_MS, signal, () => false);
    if (signal.aborted) return;
  }
}
