// The kernels in many captures of one VM. Where one was found, it is looked for first in all others; only
// where it is not there, as before a boot, what changed is looked through.

import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import type { Kernel } from '../../../domain/guest/kernel.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import { kernelAmong, kernelOf, type DescribedGuest, type GuestPoint } from './guest.ts';
import { DescriptionCache } from './kernel-description.ts';
import { KernelNotes } from './kernel-notes.ts';
import type { KernelChoice } from './stand-ins.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { PointMemory } from './point-memory.ts';

/** Captures in which a kernel is looked for in vain, one after the other, before it is given up. */
const IN_VAIN_MAX = 8;

/** What of a guest makes a question fail, as it has its own name; null: something else does. */
function guestReason(thrown: unknown): string | null {
  if (isGuestFailure(thrown)) return thrown.code;
  // A VM may have had other kernels than the one whose symbols a file lists.
  if (isLedgerError(thrown) && thrown.code === 'STAND_IN_FOREIGN') return thrown.code;
  if (!isRefused(thrown)) return null;
  const { _tag } = thrown.refusal;
  return _tag === 'KernelAmbiguous' || _tag === 'KernelUnknown' ? _tag : null;
}

/** Why guests did not say what they were asked: of each the first of a kind, as others are alike. */
export class GuestReasons {
  readonly #told = new Map<string, string>();

  /** Notes a reason of a kind. */
  tell(kind: string, reason: string): void {
    if (!this.#told.has(kind)) this.#told.set(kind, reason);
  }

  /** What was asked of a VM's guest; null where that does not say it. What else fails is thrown. */
  async unlessGuest<A>(vm: string, asking: () => Promise<A>): Promise<A | null> {
    try {
      return await asking();
    } catch (thrown) {
      const kind = guestReason(thrown);
      if (kind === null || !(thrown instanceof Error)) throw thrown;
      this.tell(`${vm}/${kind}`, thrown.message);
      return null;
    }
  }

  get all(): readonly string[] {
    return [...this.#told.values()];
  }
}

export class VmKernels {
  readonly #ledger: Ledger;
  readonly #entry: VmEntry;
  readonly #choice: KernelChoice;
  readonly #descriptions: DescriptionCache;
  #frames: readonly number[] | null = null;
  #inVain = 0;

  constructor(ledger: Ledger, entry: VmEntry, { kernel, standIns }: KernelChoice) {
    this.#ledger = ledger;
    this.#entry = entry;
    this.#choice = { kernel, standIns };
    this.#descriptions = new DescriptionCache(ledger, { vm: entry.vm, standIns });
  }

  /** Frames in which a kernel was found: before, or in the newest capture that is kept. */
  async #known(point: GuestPoint): Promise<readonly number[]> {
    const known = await new KernelNotes(this.#ledger, point).known();
    const row = this.#entry.captures.findLast(({ capture }) => !this.#entry.isForgotten(capture));
    if (known.length > 0 || row === undefined) return known;
    const newest = { ...point, row };
    const memory = await PointMemory.open(this.#ledger, newest);
    const kernel = await new GuestReasons().unlessGuest(this.#entry.vm, () =>
      kernelOf(this.#ledger, newest, memory),
    );
    return kernel === null ? [] : [kernel.noteFrame];
  }

  async #kernelIn(row: CaptureRow, memory: PointMemory): Promise<Kernel | null> {
    const { kernel: number, standIns } = this.#choice;
    const point = { entry: this.#entry, row, ...this.#choice };
    // What was told from elsewhere needs no looking for.
    if ((standIns?.vmcoreinfo ?? null) !== null) return kernelOf(this.#ledger, point, memory);
    this.#frames ??= await this.#known(point);
    const known = await kernelAmong(memory, { frames: this.#frames, kernel: number });
    if (known === null && this.#inVain >= IN_VAIN_MAX) return null;
    this.#inVain += 1;
    const kernel = known ?? (await kernelOf(this.#ledger, point, memory));
    this.#inVain = 0;
    this.#frames = [...new Set([...this.#frames, kernel.noteFrame])];
    return kernel;
  }

  /**
   * What the guest says of itself at a capture; null: it is not asked any more. GUEST_UNDESCRIBED,
   * GUEST_INVALID; refused where several kernels are there.
   */
  async at(row: CaptureRow): Promise<DescribedGuest | null> {
    const memory = await PointMemory.open(this.#ledger, { entry: this.#entry, row });
    const kernel = await this.#kernelIn(row, memory);
    return kernel === null ? null : { memory, kernel, ...(await this.#descriptions.of(kernel)) };
  }
}
