// From what a user says to what the catalogue has: a VM by its name, a capture by a point of it. What
// is lost is told as lost, rather than answered with something else than is meant.

import * as either from 'fp-ts/lib/Either.js';
import { accepted } from '../../domain/ports/run.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { InstantContext } from '../../domain/values/instant.ts';
import { parsePoint, type Point } from '../../domain/values/point.ts';
import { refuse } from '../../domain/values/refused.ts';
import type { Catalogue } from '../models/catalogue.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';

/** The VMs that anything is known of, in the order in which they came. */
export const knownVms = (catalogue: Catalogue): readonly VmEntry[] =>
  [...catalogue.vms.values()].filter(
    ({ state, rows }) => rows.length > 0 || state.registered !== null,
  );

/** The VM of a name. Refused where the ledger has none; LOG_DAMAGED where nothing of it can be read. */
export function vmNamed(catalogue: Catalogue, name: string): VmEntry {
  const entry = catalogue.vms.get(name);
  if (entry === undefined) throw refuse({ _tag: 'VmUnknown', vm: name });
  if (entry.state.registered !== null || entry.rows.length > 0) return entry;
  if (entry.lostTail === null) throw refuse({ _tag: 'VmUnknown', vm: name });
  throw new LedgerError(
    'LOG_DAMAGED',
    `nothing of VM ${name} can be read: ${entry.lostTail}; run \`pageledger verify\`, and restore the log from a copy`,
    { vm: name },
  );
}

/** The point that a text names. */
export const pointNamed = (text: string, context: InstantContext): Point =>
  accepted(parsePoint(text, context));

/**
 * The capture that a point names, though it may have been forgotten. Where commits of the VM are lost,
 * a point that may mean one of them is POINT_DAMAGED rather than an earlier capture than the user means.
 */
export function captureNamed(entry: VmEntry, text: string, context: InstantContext): CaptureRow {
  const point = pointNamed(text, context);
  const row = entry.find(point);
  const doubt = entry.doubt(point, either.isRight(row) ? row.right : undefined);
  if (doubt !== null)
    throw new LedgerError(
      'POINT_DAMAGED',
      `${text} of VM ${entry.vm} is not known: ${doubt}; name a capture that \`pageledger captures --vm ${entry.vm}\` lists, as @N, and run \`pageledger verify\``,
      { vm: entry.vm, point: text },
    );
  return accepted(row);
}

/** The same of a capture that can be restored: refused where it was forgotten. */
export function keptCaptureNamed(
  entry: VmEntry,
  text: string,
  context: InstantContext,
): CaptureRow {
  const point = pointNamed(text, context);
  // What is known of one that is before history is that it was forgotten.
  if (point._tag === 'capture' && entry.isGone(point.capture))
    throw refuse(entry.forgottenRefusal(point.capture));
  const row = captureNamed(entry, text, context);
  const { capture } = row;
  if (entry.isForgotten(capture)) throw refuse(entry.forgottenRefusal(capture));
  return row;
}
