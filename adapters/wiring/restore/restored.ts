// What is said of memory that was given back: by whom, when and how, where the ledger can be written.

import { randomBytes } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import { formatOfType, type ControlEvent } from '../../../domain/events/control.ts';
import { encodeControls } from '../../../domain/events/envelope.ts';
import { restoresStream } from '../../../domain/events/streams.ts';
import { hasFormat } from '../../../domain/ledger.ts';
import { valueOf } from '../../../domain/ports/run.ts';
import { restoredEvent, type RestoredHow } from '../../../domain/restores.ts';
import { appendDecided } from '../../../domain/use-cases/decide.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** How memory was given back, and where it went. */
export interface Restored {
  readonly how: RestoredHow;
  /** A file, a folder, an address; absent: nothing that has a name. */
  readonly to?: string;
}

/**
 * Says that memory of a point was given back. Nothing comes of it, and nothing fails, where the ledger
 * cannot be written; a mere reading raises no ledger's format either.
 */
export async function recordRestored(
  ledger: Ledger,
  { entry: { vm }, row: { capture } }: { readonly entry: VmEntry; readonly row: CaptureRow },
  { how, to }: Restored,
): Promise<void> {
  const { facts } = ledger.state.catalogue;
  if (ledger.mode === 'read' || !hasFormat(facts, formatOfType('CheckpointRestored'))) return;
  const event = restoredEvent({ vm, capture, how, to: to ?? null });
  const { log, clock, by, marks } = ledger;
  const ports = {
    log,
    // Nothing is decided on the state, and nothing in it changes: it is not folded for this.
    catchUp: () => Promise.resolve(),
    checkPast: () => marks.check(),
    encode: (events: readonly ControlEvent[]) =>
      valueOf(encodeControls({ clock, by, randomBytes }, events)),
  };
  try {
    await appendDecided(ports, restoresStream(vm), () => either.right([event]));
  } catch (thrown) {
    if (!isLedgerError(thrown) && !isRefused(thrown)) throw thrown;
  }
}
