// What pages cost that guests held to be free: asked of each guest at its captures.

import { OWNERS, pageOwners } from '../../../domain/guest/page-owners.ts';
import { checkMoment } from '../../../projections/models/beginning.ts';
import {
  freeReport,
  type FreePagesOf,
  type FreeReport,
} from '../../../projections/questions/free-pages.ts';
import type { Moment } from '../../../projections/questions/moment.ts';
import { whatIf, type WhatIf } from '../../../projections/questions/what-if.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { KernelChoice } from './stand-ins.ts';
import { GuestReasons, VmKernels } from './vm-kernels.ts';

const FREE = OWNERS.indexOf('free');

/** Asks guests which of their pages are free, and why some do not say. */
function freePages(
  ledger: Ledger,
  choice: KernelChoice,
): { readonly of: FreePagesOf; readonly reasons: GuestReasons } {
  const reasons = new GuestReasons();
  const vms = new Map<string, VmKernels>();
  const of: FreePagesOf = async ({ entry, row }) => {
    if (entry.isForgotten(row.capture)) return null;
    const kernels = vms.get(entry.vm) ?? new VmKernels(ledger, entry, choice);
    vms.set(entry.vm, kernels);
    const guest = await reasons.unlessGuest(entry.vm, () => kernels.at(row));
    if (guest === null) return null;
    const { memory, kernel, symbols, layouts } = guest;
    return reasons.unlessGuest(entry.vm, async () => {
      const owners = await pageOwners(kernel.memory, symbols, { layout: layouts().pages });
      const free = new Uint8Array(memory.table.length);
      for (let gfn = 0; gfn < free.length; gfn += 1) {
        const frame = memory.frameOf(gfn);
        if (frame !== null && owners[frame] === FREE) free[gfn] = 1;
      }
      return free;
    });
  };
  return { of, reasons };
}

/** What guests say, and why some do not. */
interface Told<A> {
  readonly found: A;
  readonly reasons: readonly string[];
}

/**
 * What pages cost at a moment that guests hold to be free there. Cost: for each VM asked what owners of
 * its pages cost.
 */
export async function freePagesAt(
  ledger: Ledger,
  at: Moment & { readonly vm: string | null },
  choice: KernelChoice = { kernel: null },
): Promise<Told<FreeReport>> {
  checkMoment(ledger.state.catalogue, at);
  const { of: freePagesOf, reasons } = freePages(ledger, choice);
  const found = await freeReport(ledger.state, { ...at, freePagesOf });
  return { found, reasons: reasons.all };
}

/** What other settings would have cost, and what free pages did; each kept capture's guest is asked. */
export async function whatIfOfFree(
  ledger: Ledger,
  choice: KernelChoice = { kernel: null },
): Promise<Told<readonly WhatIf[]>> {
  const { of: freePagesOf, reasons } = freePages(ledger, choice);
  const { state, replay } = ledger;
  return { found: await whatIf({ state, replay, freePagesOf }), reasons: reasons.all };
}
