// Parking, joined: a clone is captured for good and its process ends; it is woken over a base again, with
// the pages that it had modified out of its own capture.

import { LIVE_GUESTS } from '../../guests/sources.ts';
import { lockRecorder } from '../../stores/locks/recorder-lock.ts';
import { decideClones } from '../../../domain/clones.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import { run } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import type { ParkedRow } from '../../../projections/models/clone-rows.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';
import { openRecorder } from '../record/record.ts';
import { endHold } from '../points/leases.ts';
import { clonesOf, type Clone } from './clones.ts';
import { mappedPointOf } from './mapped-point.ts';

/** A clone that waits to be woken. */
export interface ParkedClone extends ParkedRow {
  /** Its master's VM. */
  readonly vm: string;
}

/** All clones that are parked, oldest first of each VM; none whose capture was given up since. */
export function parkedClonesOf(
  ledger: Ledger,
  entries: readonly VmEntry[],
): readonly ParkedClone[] {
  const isThere = ({ as, at }: ParkedRow): boolean =>
    ledger.state.catalogue.vms.get(as)?.isForgotten(at) === false;
  return entries.flatMap(({ vm, parked }) => parked.filter(isThere).map((row) => ({ ...row, vm })));
}

const notThere = (what: string, id: string): LedgerError =>
  new LedgerError('NOT_FOUND', `no clone ${id} ${what}: see \`pageledger clones\``, { clone: id });

/** The clone that runs on this host by a name. NOT_FOUND. */
export function cloneNamed(ledger: Ledger, id: string): Clone {
  const clone = clonesOf(ledger, ledger.vms()).find(({ lease }) => lease === id);
  if (clone?.fate === 'alive' && clone.qmp !== null) return clone;
  throw notThere('runs on this host', id);
}

/** The parked clone of a name. NOT_FOUND. */
export function parkedNamed(ledger: Ledger, id: string): ParkedClone {
  const parked = parkedClonesOf(ledger, ledger.vms()).find(({ clone }) => clone === id);
  if (parked !== undefined) return parked;
  throw notThere('is parked', id);
}

/** Letters of a clone's name that tell it from its siblings. */
const SHORT = 8;

/** The VM that a clone is parked as where nobody says: its own where it was parked before. */
export const parkedAs = ({ vm, lease, kind }: Clone): string =>
  kind === 'woken' ? vm : `${vm}-${lease.slice(0, SHORT)}`;

/**
 * The capture that a clone goes on from: the one that was taken for that, unless it stood all along since
 * the one before. Then somebody began to park it who did not live to say so, and it ran in that one.
 */
function goesOnFrom(entry: VmEntry, taken: CaptureRow): CaptureRow {
  const before = taken.written === 0 ? entry.capture(taken.capture - 1) : undefined;
  return before === undefined || entry.isForgotten(before.capture) ? taken : before;
}

/** A clone that was parked just now. */
export interface Parked {
  readonly as: string;
  /** The capture that it goes on from. */
  readonly row: CaptureRow;
  readonly privatePages: number;
}

const unparkable = ({ lease }: Clone): LedgerError =>
  new LedgerError(
    'CLONE_UNPARKABLE',
    `clone ${lease} cannot be parked, since its own pages cannot be told from its master's; it runs on: \`record qemu\` records it whole`,
    { clone: lease },
  );

/**
 * Parks a clone: its own pages and its devices are a capture of a VM, whose name it then is, and its
 * process ends. It runs on where that fails; what becomes of it meanwhile its guard sees to.
 */
export async function parkClone(
  ledger: Ledger,
  clone: Clone,
  {
    as,
    onWarning,
    signal,
  }: {
    readonly as: string;
    readonly onWarning: (sentence: string) => void;
    /** Breaks it off as long as its capture is not committed: what is recorded by then is taken back. */
    readonly signal?: AbortSignal;
  },
): Promise<Parked> {
  const { vm, capture, lease, privatePages } = clone;
  const onProgress = (): void => signal?.throwIfAborted();
  const options = { vm: as, group: null, parent: { vm, capture }, onProgress };
  const mapped = await mappedPointOf(ledger, clone, options);
  if (mapped === null) throw unparkable(clone);
  const recorder = await openRecorder(ledger, options);
  try {
    const request = { qmp: clone.qmp!, clock: ledger.clock, mapped, onDoubt: onWarning };
    const guest = await run(LIVE_GUESTS.parked(request));
    if (guest === null) throw unparkable(clone);
    try {
      const taken = await recorder.record(guest.captured).catch(async (thrown: unknown) => {
        await guest.goOn();
        throw thrown;
      });
      const row = goesOnFrom(ledger.vm(as), taken);
      await guest.stand();
      const parked = { vm, clone: lease, as, at: row.capture, privatePages: privatePages ?? 0 };
      await ledger.decide(pointsStream(vm), () =>
        decideClones(ledger.vm(vm).held)({ ...parked, _tag: 'ParkClone' }),
      );
      await guest.quit();
      return { as, row, privatePages: parked.privatePages };
    } finally {
      guest.close();
    }
  } finally {
    await recorder.close();
  }
}

/** The point that a parked clone goes on from. Refused where it was forgotten. */
export function wakingPoint(ledger: Ledger, { as, at }: ParkedClone): VmPoint {
  const entry = ledger.vm(as);
  return { entry, row: ledger.resolve(entry, `@${at}`) };
}

/**
 * Wakes a parked clone, which nobody else does meanwhile: two would be one guest that runs twice. VM_BUSY
 * where somebody does, NOT_FOUND where it is awake by now.
 */
export async function whileWaking<A>(
  ledger: Ledger,
  { clone, as }: ParkedClone,
  wake: () => Promise<A>,
): Promise<A> {
  const lock = await run(lockRecorder(ledger.locks, as));
  try {
    await ledger.state.catchUp({ heavy: false });
    await endStanding(ledger, parkedNamed(ledger, clone));
    return await wake();
  } finally {
    await lock.release();
  }
}

/**
 * Says that a parked clone goes on by another lease: its guest may run then, and not before. NOT_FOUND where
 * another host said so first.
 */
export async function noteWoken(
  ledger: Ledger,
  { vm, clone }: ParkedClone,
  lease: string,
): Promise<void> {
  const said = await ledger.decide(pointsStream(vm), () =>
    decideClones(ledger.vm(vm).held)({ _tag: 'WakeClone', vm, clone, lease }),
  );
  if (said.length === 0) throw notThere('is parked', clone);
}

/**
 * Ends guests that were started of a parked clone and never ran: whoever started them ended before it was
 * said that it is awake.
 */
async function endStanding(ledger: Ledger, { as, at }: ParkedClone): Promise<void> {
  for (const { lease, vm, capture, kind, fate, holder } of clonesOf(ledger, [ledger.vm(as)])) {
    const isIts = kind === 'woken' && vm === as && capture === at;
    if (!isIts || fate !== 'alive') continue;
    process.kill(holder.process, 'SIGKILL');
    const ended = { _tag: 'EndLease', vm, lease, why: 'died', privatePages: null } as const;
    await endHold(ledger, ended);
  }
}
