// Running a guest that stands in its past: to the moment at which something that is watched was another,
// or to an end of what is kept. Backwards one stops before the write, forwards behind it.

import { KERNEL_HALF, type AddressSpace } from './address-space.ts';
import type { DebuggedVm } from './debugged-vm.ts';
import type { Stretch, WatchWays } from './vm-over-time.ts';

export type Direction = 'forwards' | 'backwards';

/** Bytes that one watchpoint is of at most: a large page. */
export const WATCHED_BYTES_MAX = 2 ** 21;
export const WATCHES_MAX = 64;

/** What is met first, and the moment at which one stops for it. */
export interface Met<W extends Stretch> {
  readonly watch: W;
  readonly moment: number;
}

/**
 * Whether it is not known whose address is meant: by the page tables of a CPU it is that of whoever ran
 * there, and at the next capture it may be another's.
 */
export const isOfWhoever = (space: AddressSpace, address: bigint): boolean =>
  space.kind === 'tables' && address < KERNEL_HALF;

/** Of all that is watched, what is met first; null: nothing up to the end. */
export async function firstMet<W extends Stretch>(
  vm: DebuggedVm,
  of: {
    readonly watches: readonly W[];
    readonly space: AddressSpace;
    readonly direction: Direction;
    readonly ways: WatchWays;
  },
): Promise<Met<W> | null> {
  const { watches, space, ways } = of;
  const isBack = of.direction === 'backwards';
  let first: Met<W> | null = null;
  for (const watch of watches) {
    const watched = { stretch: watch, space };
    const changed = isBack
      ? await vm.lastChange(watched, ways)
      : await vm.nextChange(watched, ways);
    if (changed === null) continue;
    const { moment } = isBack ? changed.before : changed.after;
    const isFirst = first === null || (isBack ? moment > first.moment : moment < first.moment);
    if (isFirst) first = { watch, moment };
  }
  return first;
}

/** Goes to an end of what is kept. */
export function goToEnd(vm: DebuggedVm, direction: Direction): void {
  vm.go(direction === 'forwards' ? vm.past.moments.length - 1 : 0);
}

/** Goes one capture; false: there is none, and one stands at the end. */
export async function step(vm: DebuggedVm, direction: Direction): Promise<boolean> {
  await vm.past.catchUp();
  const to = vm.moment + (direction === 'forwards' ? 1 : -1);
  if (to >= 0 && to < vm.past.moments.length) {
    vm.go(to);
    return true;
  }
  goToEnd(vm, direction);
  return false;
}
