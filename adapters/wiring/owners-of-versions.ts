// Who owned pages at many captures: of the versions of a page, of who held a content. The kernel is looked
// for in the newest of a VM's captures and then where it was found; only where it is not there any more,
// as before a boot, what changed is looked through. Nothing of this fails for what a guest does not say:
// then the owner is not known, and the reasons are told once.

import { isGuestFailure } from '../../domain/guest/guest-failures.ts';
import type { Kernel } from '../../domain/guest/kernel.ts';
import { FrameOwners, mappedBy, type PageOwner } from '../../domain/guest/owner-table.ts';
import { OWNERS, pageOwners } from '../../domain/guest/page-owners.ts';
import { isRefused } from '../../domain/values/refused.ts';
import type { CaptureRow, VmEntry } from '../../projections/models/vm-entry.ts';
import { kernelAmong, kernelOf, tasksIn } from './guest.ts';
import { DescriptionCache } from './kernel-description.ts';
import { KernelNotes } from './kernel-notes.ts';
import type { Ledger } from './ledger.ts';
import { PointMemory } from './point-memory.ts';

/** Captures in which a kernel is looked for in vain, one after the other, before it is given up. */
const IN_VAIN_MAX = 8;
const ANONYMOUS = OWNERS.indexOf('anonymous');

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

/** What of a guest makes a question fail, as it has its own name; null: something else does. */
function guestReason(thrown: unknown): string | null {
  if (isGuestFailure(thrown)) return thrown.code;
  if (!isRefused(thrown)) return null;
  const { _tag } = thrown.refusal;
  return _tag === 'KernelAmbiguous' || _tag === 'KernelUnknown' ? _tag : null;
}

/** The kernels of one VM's captures, asked from the newest on. */
class VmKernels {
  readonly #ledger: Ledger;
  readonly #entry: VmEntry;
  readonly #kernel: number | null;
  readonly #descriptions: DescriptionCache;
  #frames: readonly number[] | null = null;
  #inVain = 0;

  constructor(ledger: Ledger, of: { readonly entry: VmEntry; readonly kernel: number | null }) {
    this.#ledger = ledger;
    this.#entry = of.entry;
    this.#kernel = of.kernel;
    this.#descriptions = new DescriptionCache(ledger, of.entry.vm);
  }

  /** The kernel at a capture; null: it is not looked for any more. */
  async #kernelAt(row: CaptureRow, memory: PointMemory): Promise<Kernel | null> {
    const point = { entry: this.#entry, row, kernel: this.#kernel };
    this.#frames ??= await new KernelNotes(this.#ledger, point).known();
    const known = await kernelAmong(memory, { frames: this.#frames, kernel: this.#kernel });
    if (known !== null) {
      this.#inVain = 0;
      return known;
    }
    if (this.#inVain >= IN_VAIN_MAX) return null;
    this.#inVain += 1;
    const kernel = await kernelOf(this.#ledger, point, memory);
    this.#inVain = 0;
    this.#frames = [...new Set([...this.#frames, kernel.noteFrame])];
    return kernel;
  }

  /** Owners of pages at a capture; null each: the guest is not asked. Of what it does not say, it throws. */
  async owners(row: CaptureRow, gfns: readonly number[]): Promise<readonly (PageOwner | null)[]> {
    const memory = await PointMemory.open(this.#ledger, { entry: this.#entry, row });
    const kernel = await this.#kernelAt(row, memory);
    if (kernel === null) return gfns.map(() => null);
    const { symbols, layouts } = await this.#descriptions.of(kernel);
    const frames = gfns.map((gfn) => memory.frameOf(gfn));
    const wanted = frames.filter((frame) => frame !== null);
    const layout = layouts().pages;
    const owners = await pageOwners(kernel.memory, symbols, { layout, wanted });
    const anonymous = wanted.filter((frame) => owners[frame] === ANONYMOUS);
    const { reader, all } = tasksIn({ kernel, symbols, layouts });
    const tasks = anonymous.length === 0 ? [] : await all();
    const mapped = await mappedBy(kernel.memory, reader, { tasks, wanted: anonymous });
    const named = new FrameOwners({ owners, mapped, tasks });
    return frames.map((frame) => named.named(named.numberOf(frame)));
  }
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
  of: { readonly places: readonly VersionPlace[]; readonly kernel: number | null },
): Promise<OwnersOfVersions> {
  const owners: (PageOwner | null)[] = of.places.map(() => null);
  /** Of each VM the first of a kind: it is the same at one capture after another. */
  const reasons = new Map<string, string>();
  const tell = (key: string, reason: string): void => {
    if (!reasons.has(key)) reasons.set(key, reason);
  };
  for (const [vm, captures] of inOrder(of.places)) {
    const entry = ledger.vm(vm);
    const kernels = new VmKernels(ledger, { entry, kernel: of.kernel });
    for (const [capture, numbers] of captures) {
      const row = entry.capture(capture);
      if (row === undefined || entry.isForgotten(capture)) {
        tell('forgotten', 'captures were forgotten, and with them what the guest said of itself');
        continue;
      }
      try {
        const found = await kernels.owners(
          row,
          numbers.map((i) => of.places[i]!.gfn),
        );
        for (const [at, i] of numbers.entries()) owners[i] = found[at]!;
      } catch (thrown) {
        const kind = guestReason(thrown);
        if (kind === null || !(thrown instanceof Error)) throw thrown;
        tell(`${vm}/${kind}`, thrown.message);
      }
    }
  }
  return { owners, reasons: [...reasons.values()] };
}
