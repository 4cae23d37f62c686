// Who owned pages at many captures: of the versions of a page, of who held a content. Nothing of this fails
// for what a guest does not say: then the owner is not known, and the reasons are told once.

import type { PageOwner } from '../../../domain/guest/owner-table.ts';
import { frameOwners } from './frame-owners.ts';
import type { DescribedGuest } from './guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { KernelChoice } from './stand-ins.ts';
import { GuestReasons, VmKernels } from './vm-kernels.ts';

/** A page from a capture on. */
export interface VersionPlace {
  readonly vm: string;
  readonly capture: number;
  readonly gfn: number;
}

/** Owners of pages, in their order; null: not known, for one of these reasons. */
export interface OwnersOfVersions {
  readonly owners: readonly (PageOwner | null)[];
  readonly reasons: readonly string[];
}

/** Owners of pages, as a guest tells of them. */
async function ownersIn(
  guest: DescribedGuest,
  gfns: readonly number[],
): Promise<readonly PageOwner[]> {
  const frames = gfns.map((gfn) => guest.memory.frameOf(gfn));
  const owners = await frameOwners(
    guest,
    frames.filter((frame) => frame !== null),
  );
  return frames.map((frame) => owners.named(owners.numberOf(frame)));
}

/** Places by their VMs, and by their captures, the newest first. */
function inOrder(places: readonly VersionPlace[]): Map<string, [number, number[]][]> {
  const vms = new Map<string, Map<number, number[]>>();
  for (const [i, { vm, capture }] of places.entries()) {
    const captures = vms.get(vm) ?? new Map<number, number[]>();
    vms.set(vm, captures.set(capture, [...(captures.get(capture) ?? []), i]));
  }
  return new Map(
    [...vms].map(([vm, captures]) => [vm, [...captures].toSorted(([a], [b]) => b - a)]),
  );
}

/**
 * Who owned pages, each at a capture of its VM. Cost: for each capture its table, the descriptions of 1,024
 * pages around each that is asked about, and where one is anonymous the list of processes and the page
 * tables of those up to whose it is; and where no kernel is known, what a first question costs.
 */
export async function ownersOfVersions(
  ledger: Ledger,
  of: KernelChoice & { readonly places: readonly VersionPlace[] },
): Promise<OwnersOfVersions> {
  const owners: (PageOwner | null)[] = of.places.map(() => null);
  const reasons = new GuestReasons();
  for (const [vm, captures] of inOrder(of.places)) {
    const entry = ledger.vm(vm);
    const kernels = new VmKernels(ledger, entry, of);
    for (const [capture, numbers] of captures) {
      const row = entry.capture(capture);
      if (row === undefined || entry.isForgotten(capture)) {
        const reason = 'captures were forgotten, and with them what the guest said of itself';
        reasons.tell('forgotten', reason);
        continue;
      }
      const gfns = numbers.map((i) => of.places[i]!.gfn);
      const found = await reasons.unlessGuest(vm, async () => {
        const guest = await kernels.at(row);
        return guest === null ? null : ownersIn(guest, gfns);
      });
      for (const [at, i] of numbers.entries()) owners[i] = found?.[at] ?? null;
    }
  }
  return { owners, reasons: reasons.all };
}
