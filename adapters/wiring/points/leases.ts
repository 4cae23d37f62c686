// Leases, joined: who reads a point page by page holds it, so that nobody's forgetting or compaction
// takes pages from under him. Whoever meets a lease whose holder died on this host ends it; no clock
// does.

import { randomBytes } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import { holderOf, lookUp, thisHolder, thisHost } from '../../files/processes.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import { decideClones, type EndHold } from '../../../domain/clones.ts';
import { decidePoints, withoutLeases, type PointsState } from '../../../domain/points.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { fateOf, type HolderFate, type LeaseKind } from '../../../domain/values/lease.ts';
import { refuse } from '../../../domain/values/refused.ts';
import type { LeaseRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** Bytes of a lease's name. */
const LEASE_BYTES = 8;

/** A name for a lease, which nobody else draws. */
export const drawLease = (): string => randomBytes(LEASE_BYTES).toString('hex');

/** A point that stays readable until it is released. */
export interface HeldPoint {
  /** The lease; null: the ledger cannot be written, and nothing is held. */
  readonly id: string | null;
  /** Lets the point go. May be called again, and fails nothing. */
  release(): Promise<void>;
}

/** A lease of a VM's point. */
export interface Lease extends LeaseRow {
  readonly vm: string;
  readonly fate: HolderFate;
}

/** Ends a lease, and the clone that it is of; false where somebody else has. */
export async function endHold(ledger: Ledger, command: EndHold): Promise<boolean> {
  const { vm, lease } = command;
  const ended = await ledger.decide(pointsStream(vm), () => {
    const { held } = ledger.vm(vm);
    return held.points.leases.has(lease) ? decideClones(held)(command) : either.right([]);
  });
  return ended.length > 0;
}

const end = (ledger: Ledger, of: Omit<EndHold, '_tag' | 'privatePages'>): Promise<boolean> =>
  endHold(ledger, { ...of, _tag: 'EndLease', privatePages: null });

/** Does what holds a point; where the ledger cannot be written nothing is held, and the reader reads on. */
export async function readUnheld<A>(
  ledger: Ledger,
  otherwise: A,
  hold: () => Promise<A>,
): Promise<A> {
  try {
    return await hold();
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    ledger.tellOnce(
      `who forgets or compacts does not know that points are read here, and may take their pages away: ${thrown.message}`,
    );
    return otherwise;
  }
}

/** A lease that is there, until it is released. */
function heldBy(ledger: Ledger, of: { readonly vm: string; readonly lease: string }): HeldPoint {
  let released: Promise<void> | null = null;
  const release = async (): Promise<void> => {
    try {
      await end(ledger, { ...of, why: 'released' });
    } catch (thrown) {
      // Whoever meets it once its holder has ended does so.
      if (!isLedgerError(thrown)) throw thrown;
    }
  };
  return { id: of.lease, release: () => (released ??= release()) };
}

/** Takes over a lease of a VM that somebody else took; null: it has ended. */
export const takeOver = (
  ledger: Ledger,
  of: { readonly vm: string; readonly lease: string },
): HeldPoint | null =>
  ledger.vm(of.vm).leases.some(({ lease }) => lease === of.lease) ? heldBy(ledger, of) : null;

/** For what a point is held, and by whom. */
export interface HoldOptions {
  readonly kind: LeaseKind;
  /** The number of the process of this host that needs it; absent: this one does. */
  readonly process?: number;
}

/**
 * Holds a point for a process, until it is released or the process has died: who reads it page by
 * page does so first. Each call is a lease of its own. It raises the ledger's format where releases of
 * that would not honour it. A ledger that cannot be written is read without, which is said once, and
 * for a guest also that nobody takes down what it asks for.
 * Refused where the point was forgotten meanwhile.
 */
export async function holdPoint(
  ledger: Ledger,
  { entry: { vm }, row: { capture } }: VmPoint,
  { kind, process }: HoldOptions,
): Promise<HeldPoint> {
  const lease = drawLease();
  const holder = process === undefined ? thisHolder() : holderOf(process);
  const held = { _tag: 'LeasePoint', vm, capture, lease, kind, holder } as const;
  const isHeld = await readUnheld(ledger, false, async () => {
    await ledger.decide(pointsStream(vm), () => {
      const { points, state } = ledger.vm(vm);
      const of = ledger.state.catalogue.facts.ledger?.id ?? '';
      return decidePoints(points)({ ...held, ledger: of, newest: state.captures });
    });
    return true;
  });
  if (isHeld) return heldBy(ledger, { vm, lease });
  // Where a lease cannot be written, nothing can of what comes later.
  if (kind === 'resume')
    ledger.tellOnce(
      'what guests ask for here is not recorded either, with --trace or without: no later one is given it first',
    );
  return { id: null, release: () => Promise.resolve() };
}

/** All leases that have not ended, oldest first of each VM, with what has become of their holders. */
export function leasesOf(entries: readonly VmEntry[]): readonly Lease[] {
  const here = thisHost();
  return entries.flatMap(({ vm, leases }) =>
    leases.map((row) => ({ ...row, vm, fate: fateOf(row.holder, here, lookUp) })),
  );
}

const isDead = ({ fate }: Lease): boolean => fate === 'dead';

/** The points of a VM without leases of holders that died on this host. */
export const livingPoints = (entry: VmEntry): PointsState =>
  entry.leases.length === 0
    ? entry.points
    : withoutLeases(
        entry.points,
        leasesOf([entry])
          .filter(isDead)
          .map(({ lease }) => lease),
      );

/** Ends what is held by processes that died on this host: gives these leases. */
export async function endDeadLeases(ledger: Ledger): Promise<readonly Lease[]> {
  await ledger.state.catchUp({ heavy: false });
  const ended: Lease[] = [];
  for (const lease of leasesOf(ledger.vms()).filter(isDead)) {
    const { vm, lease: id } = lease;
    if (await end(ledger, { vm, lease: id, why: 'died' })) ended.push(lease);
  }
  return ended;
}

/** Ends a lease, whoever holds it: gives it. Refused where there is none of this name. */
export async function endLease(ledger: Ledger, id: string): Promise<Lease> {
  await ledger.state.catchUp({ heavy: false });
  const lease = leasesOf(ledger.vms()).find((one) => one.lease === id);
  if (lease === undefined) throw refuse({ _tag: 'LeaseUnknown', lease: id });
  await end(ledger, { vm: lease.vm, lease: id, why: 'ended' });
  return lease;
}
