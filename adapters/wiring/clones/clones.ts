// Clones, joined: guests that map one file of a point's memory and live on from it, each by itself; and
// who runs, as the ledger and this host know it.

import { resolve } from 'node:path';
import { holderOf } from '../../files/processes.ts';
import { deviceSectionsOf, runStateOf } from '../../guests/qemu/device-sections.ts';
import { privatePagesOf } from '../../guests/qemu/private-pages.ts';
export { privatePagesOf };
import { countsOfClone, type FetchCounts } from '../../../domain/host-memory.ts';
import { decideClones, type CloneKind } from '../../../domain/clones.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import type { Holder } from '../../../domain/values/lease.ts';
import { pagesIn } from '../../../domain/values/page-ranges.ts';
import { replayClones, type ReplayedHost } from '../../../projections/questions/clone-replay.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import { drawLease, endHold, leasesOf, readUnheld, type Lease } from '../points/leases.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { inBase, type CloneBase } from './clone-base.ts';
import { startOver, type GuestOver } from './guest-over.ts';
import { deviceStateOf, requireDeviceState, restorePoint } from '../restore/restore.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** A clone that was started. */
export interface StartedClone extends GuestOver {
  /** Its lease, by which it is named; null: the ledger cannot be written, and does not know of it. */
  readonly id: string | null;
  /** Pages that it was sent, as its base has them otherwise, or not at all. */
  readonly sentPages: number;
}

/** A clone that runs, as far as the ledger knows. */
export interface Clone extends Lease {
  readonly block: string | null;
  readonly qmp: string | null;
  /** Pages that it dropped so far. */
  readonly dropped: number;
  /** Pages that it fetched, that left, and that it fetched again. */
  readonly fetched: FetchCounts;
  /** Pages that it has of its own, as is seen here or its host told; null: that is not known. */
  readonly privatePages: number | null;
}

/** Says that a point lies ready for clones. Nothing comes of it where the ledger cannot be written. */
export async function publishMaster(
  ledger: Ledger,
  { point, block, path }: CloneBase,
): Promise<void> {
  const { vm } = point.entry;
  const { capture } = point.row;
  await readUnheld(ledger, null, () =>
    ledger.decide(pointsStream(vm), () => {
      const { held, state } = ledger.vm(vm);
      const master = { vm, capture, newest: state.captures, block, to: path };
      return decideClones(held)({ _tag: 'PublishMaster', ...master });
    }),
  );
}

/** Says that a clone runs. */
async function begin(
  ledger: Ledger,
  point: VmPoint,
  of: {
    readonly lease: string;
    readonly holder: Holder;
    readonly block: string | null;
    readonly qmp: string;
    readonly kind: CloneKind;
  },
): Promise<string> {
  const { vm } = point.entry;
  const { capture } = point.row;
  const { lease, holder, block, qmp, kind } = of;
  const clone = { vm, capture, lease, kind, block, qmp } as const;
  await ledger.decide(pointsStream(vm), () => {
    const { held, state } = ledger.vm(vm);
    const here = ledger.state.catalogue.facts.ledger?.id ?? '';
    const command = { ...clone, holder, ledger: here, newest: state.captures };
    return decideClones(held)({ _tag: 'StartClone', ...command });
  });
  return lease;
}

/** The same; null where the ledger cannot be written. */
export const beginClone = (...of: Parameters<typeof begin>): Promise<string | null> =>
  readUnheld(of[0], null, () => begin(...of));

/** Whether a guest ran where it was captured: one of which that is not said did. */
async function wasRunning(ledger: Ledger, point: VmPoint): Promise<boolean> {
  const device = await deviceStateOf(ledger, point);
  const label = `the device state of ${point.entry.vm}@${point.row.capture}`;
  return (runStateOf(device, deviceSectionsOf(device, label)) ?? 'running') === 'running';
}

/**
 * Starts a guest from a point over a base, which somebody holds until the clone does. What of the point
 * is otherwise than in the base is sent. The guest is the caller's.
 */
export async function startClone(
  ledger: Ledger,
  point: VmPoint,
  request: {
    readonly base: CloneBase;
    readonly command: readonly string[];
    readonly isDiskOk: boolean;
    /** Regions that it holds large: they are sent. Absent: none. */
    readonly large?: ReadonlySet<number>;
    /** Whether its memory is accounted for by itself. */
    readonly isAccounted: boolean;
    /** Of a parked clone: says, by the lease that it goes on by, that it is awake. Absent: it is a new one. */
    readonly wake?: (lease: string) => Promise<void>;
    readonly onStderr?: (text: string) => void;
  },
): Promise<StartedClone> {
  requireDeviceState(point);
  const { base, command, isDiskOk: diskOk, onStderr } = request;
  const { block, path } = base;
  const { elsewhere, bytes } = await inBase(ledger, point, base, request.large);
  const { wake } = request;
  const kind: CloneKind = wake === undefined ? 'mapped' : 'woken';
  const lease = drawLease();
  let id: string | null = null;
  const guest = await startOver({
    // Told before the guest can run: a crash leaves none that runs and is not known.
    async onBegun({ pid, qmpPath: qmp }) {
      // One that was parked must not run unknown: it could be woken once more.
      const say = wake === undefined ? beginClone : begin;
      id = await say(ledger, point, { lease, holder: holderOf(pid), block, qmp, kind });
    },
    ...(wake === undefined
      ? {}
      : {
          whileStanding: {
            wasRunning: await wasRunning(ledger, point),
            work: () => wake(lease),
          },
        }),
    name: lease,
    command,
    diskOk,
    isAccounted: request.isAccounted,
    mapped: { block, bytes, path },
    elsewhere,
    restore: (target) => restorePoint(ledger, point, { target, elsewhere }),
    ...(onStderr === undefined ? {} : { onStderr }),
  }).catch(async (thrown: unknown) => {
    if (id !== null) await endClone(ledger, point, { id, privatePages: null });
    throw thrown;
  });
  const sentPages = elsewhere.reduce((sum, is) => sum + 1 - is, 0);
  return { ...guest, id, sentPages };
}

/** Where it is said what becomes of a clone. */
export interface CloneTeller {
  /** It was made to drop so many pages. */
  dropped(pages: number): Promise<void>;
  /** It has ended, and had so many pages of its own when it was seen last; null: it was not. */
  ended(privatePages: number | null): Promise<void>;
}

/** Says what becomes of a clone in its ledger; null: that does not know of it. */
export const tellerOf = (ledger: Ledger, point: VmPoint, id: string | null): CloneTeller | null =>
  id === null
    ? null
    : {
        dropped: (dropped) => noteDropped(ledger, point, { id, dropped }),
        ended: (privatePages) => endClone(ledger, point, { id, privatePages }),
      };

/** Says that pages of a clone were dropped. */
async function noteDropped(
  ledger: Ledger,
  point: VmPoint,
  { id: clone, dropped }: { readonly id: string; readonly dropped: number },
): Promise<void> {
  const { vm } = point.entry;
  await readUnheld(ledger, undefined, async () => {
    await ledger.decide(pointsStream(vm), () =>
      decideClones(ledger.vm(vm).held)({ _tag: 'NoteEviction', vm, clone, dropped }),
    );
  });
}

/** Says that a clone has ended, and what it had of its own; nothing where somebody else has said so. */
export async function endClone(
  ledger: Ledger,
  point: VmPoint,
  { id, privatePages }: { readonly id: string; readonly privatePages: number | null },
): Promise<void> {
  const { vm } = point.entry;
  await readUnheld(ledger, false, () =>
    endHold(ledger, { _tag: 'EndLease', vm, lease: id, why: 'released', privatePages }),
  );
}

/** Pages of its own that a clone's host told of; null: it told none, or does not see which are. */
function ownPagesTold({ state }: Ledger, clone: string, kind: string): number | null {
  const memory = state.hostMemory.clones.get(clone);
  const isSeen = kind !== 'postcopy' && memory !== undefined && memory.file !== null;
  return isSeen ? pagesIn(memory.own) : null;
}

/** All clones that run of some VMs, oldest first of each. */
export function clonesOf(ledger: Ledger, entries: readonly VmEntry[]): readonly Clone[] {
  const rows = new Map(entries.flatMap(({ clones }) => clones.map((row) => [row.clone, row])));
  return leasesOf(entries).flatMap((lease) => {
    const row = rows.get(lease.lease);
    if (row === undefined) return [];
    const { kind, block, qmp, dropped } = row;
    const isHere = lease.fate === 'alive';
    const privatePages = isHere
      ? privatePagesOf(lease.holder.process)
      : ownPagesTold(ledger, lease.lease, kind);
    const fetched = countsOfClone(ledger.state.hostMemory, lease.lease);
    return [{ ...lease, kind, block, qmp, dropped, fetched, privatePages }];
  });
}

/** What policies would have made of what clones of each host touched. */
export function replayClonesOf(
  ledger: Ledger,
  request: Parameters<typeof replayClones>[1],
): Promise<readonly ReplayedHost[]> {
  const { state, replay } = ledger;
  return replayClones({ state, replay }, request);
}

/** The clone whose QMP socket lies there, where it runs on this host. */
export function cloneAt(ledger: Ledger, qmpPath: string): Clone | null {
  const path = resolve(qmpPath);
  const isIt = ({ qmp, fate }: Clone): boolean => qmp === path && fate === 'alive';
  return clonesOf(ledger, ledger.vms()).find(isIt) ?? null;
}
