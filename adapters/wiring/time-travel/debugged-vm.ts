// A VM that is debugged over its history: a moment of it, registers where there are some, memory by the
// addresses of whom is meant, and the way to the moment before or after a change.

import type { GuestPages } from '../../../domain/ports/guest-pages.ts';
import {
  firstFrom,
  lastChange,
  nextChange,
  type Changed,
} from '../../../domain/use-cases/travel/changes.ts';
import { RecentMap } from '../../../domain/values/recent-map.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { lastWhere } from '../../../domain/values/sorted-search.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';
import type { PageDifference } from '../../../projections/questions/diff.ts';
import { diffOf } from '../questions/pages.ts';
import type { GuestPoint } from '../guest/guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { cpusAt } from '../guest/recorded-cpus.ts';
import { labelOf } from '../ledger/vm-point.ts';
import {
  bytesAt,
  physicalAt,
  spaceOf,
  type AddressSpace,
  type KnownKernel,
} from './address-space.ts';
import { findBytes, type Found } from './find.ts';
import type { LedgerPast } from './ledger-past.ts';
import { possibleWriters, type PossibleWriters } from './writers.ts';
import { Standing } from './standing.ts';
import { VmOverTime, type Bytes, type Stretch, type WatchWays } from './vm-over-time.ts';

/** Captures whose registers are kept. */
const KEPT_CPUS_MAX = 64;

/** Registers of a guest's CPUs, and the capture that has them. */
export interface RecordedCpus {
  readonly cpus: readonly X86Cpu[];
  readonly capture: number;
}

/** Bytes, by whose addresses. */
export interface WatchedBytes {
  readonly stretch: Stretch;
  readonly space: AddressSpace;
}

/**
 * A VM that stands at a capture, which is held by a lease until `end`: at first where it was opened, later
 * where it has stayed for a second. Moments are indexes among the captures that are kept.
 */
export class DebuggedVm {
  readonly over: VmOverTime;
  readonly #ledger: Ledger;
  readonly #cpus = new RecentMap<number, readonly X86Cpu[]>({ max: KEPT_CPUS_MAX });
  /** Captures with a device state, ascending, of the moments that were looked through last. */
  #states: { readonly moments: readonly number[]; readonly captures: readonly number[] } = {
    moments: [],
    captures: [],
  };
  /** Registers that were looked for last, and where: a client asks again and again where it stands. */
  #found: {
    readonly capture: number;
    readonly moments: readonly number[];
    readonly cpus: RecordedCpus | null;
  } | null = null;
  #capture: number;
  #asked: AddressSpace | null = null;

  readonly #standing: Standing;

  private constructor(
    ledger: Ledger,
    of: { readonly over: VmOverTime; readonly capture: number; readonly standing: Standing },
  ) {
    this.#ledger = ledger;
    this.over = of.over;
    this.#capture = of.capture;
    this.#standing = of.standing;
  }

  /** Begins at a point, and holds the one that it stands at until `end`. */
  static async open(ledger: Ledger, point: GuestPoint): Promise<DebuggedVm> {
    const standing = await Standing.begin(ledger, point);
    try {
      const over = await VmOverTime.open(ledger, point, 'if there');
      return new DebuggedVm(ledger, { over, capture: point.row.capture, standing });
    } catch (thrown) {
      await standing.end();
      throw thrown;
    }
  }

  /** Another that stands where this one does: what the guest says of itself is not read again. */
  async another(): Promise<DebuggedVm> {
    const over = await this.over.another(this.#ledger);
    const { capture } = this;
    const at = { entry: this.past.entry, row: this.row };
    const standing = await Standing.begin(this.#ledger, at);
    return new DebuggedVm(this.#ledger, { over, capture, standing });
  }

  /** Is debugged no more: its point is held no longer. */
  end(): Promise<void> {
    return this.#standing.end();
  }

  get past(): LedgerPast {
    return this.over.past;
  }

  get kernel(): KnownKernel | null {
    return this.over.kernel;
  }

  get vm(): string {
    return this.past.entry.vm;
  }

  /**
   * The moment's index among those of the past: where its capture was forgotten meanwhile, that of the
   * next one that is kept. Refused where none is.
   */
  get moment(): number {
    const { moments, entry } = this.past;
    if (moments.length === 0)
      throw refuse({ _tag: 'NoCapture', vm: entry.vm, at: `@${this.#capture}` });
    return Math.min(firstFrom(moments, this.#capture), moments.length - 1);
  }

  get capture(): number {
    return this.past.moments[this.moment]!;
  }

  get row(): CaptureRow {
    return this.past.entry.capture(this.capture)!;
  }

  /** The address space that was asked for; null: that of the CPU which is looked at. */
  get asked(): AddressSpace | null {
    return this.#asked;
  }

  /** Whose addresses are meant from here on. Refused where a process is not there now. */
  async use(space: AddressSpace | null): Promise<void> {
    if (space?.kind === 'process') {
      const memory = await this.memory();
      const found = await this.kernel?.processIn(memory, space.pid);
      if (found === undefined || found === null) {
        const { entry } = this.past;
        const point = labelOf({ entry, row: this.row });
        throw refuse({ _tag: 'ProcessUnknown', pid: space.pid, point });
      }
    }
    this.#asked = space;
  }

  /** Goes to a moment. */
  go(moment: number): void {
    const { moments } = this.past;
    this.#capture = moments[Math.min(Math.max(moment, 0), moments.length - 1)] ?? this.#capture;
    if (moments.length > 0) this.#standing.move({ entry: this.past.entry, row: this.row });
  }

  /** Goes to the capture that a point names. Refused where it is not kept. */
  async goTo(text: string): Promise<void> {
    await this.past.catchUp();
    const { capture } = this.#ledger.resolve(this.past.entry, text);
    this.go(firstFrom(this.past.moments, capture));
  }

  /** Memory now. */
  memory(): Promise<GuestPages> {
    return this.past.memoryAt(this.capture);
  }

  async #cpusOf(row: CaptureRow): Promise<readonly X86Cpu[]> {
    const kept = this.#cpus.get(row.capture);
    if (kept !== undefined) return kept;
    const point = { entry: this.past.entry, row };
    const cpus = await cpusAt(this.#ledger, point);
    this.#cpus.set(row.capture, cpus);
    return cpus;
  }

  /** Registers now, or the newest before; null: none were recorded. */
  async cpus(): Promise<RecordedCpus | null> {
    const { capture } = this;
    const { moments } = this.past;
    if (this.#found?.capture !== capture || this.#found.moments !== moments)
      this.#found = { capture, moments, cpus: await this.#findCpus() };
    return this.#found.cpus;
  }

  async #findCpus(): Promise<RecordedCpus | null> {
    const { entry, moments } = this.past;
    if (this.#states.moments !== moments) {
      const captures = moments.filter((each) => entry.capture(each)!.hasDevice);
      this.#states = { moments, captures };
    }
    const { capture } = this;
    const { captures } = this.#states;
    for (let at = lastWhere(captures.length, (i) => captures[i]! <= capture); at >= 0; at -= 1) {
      const row = entry.capture(captures[at]!)!;
      const cpus = await this.#cpusOf(row);
      if (cpus.length > 0) return { cpus, capture: row.capture };
    }
    return null;
  }

  /** Whose addresses are meant when a CPU, by its place among them, is looked at. */
  async spaceAt(cpu: number): Promise<AddressSpace> {
    if (this.#asked !== null) return this.#asked;
    const found = await this.cpus();
    // Page tables of another moment may be somebody else's now.
    if (found !== null && found.capture === this.capture) {
      const space = spaceOf(found.cpus[cpu] ?? found.cpus[0]!);
      if (space !== null) return space;
    }
    return { kind: this.kernel === null ? 'physical' : 'kernel' };
  }

  /** Bytes now, as many as lie one after the other. */
  async read(stretch: Stretch, space: AddressSpace): Promise<Uint8Array> {
    return bytesAt(await this.memory(), { space, kernel: this.kernel }, stretch);
  }

  /** Where an address leads for the guest's hardware now; null: nowhere. */
  async physical(address: bigint, space: AddressSpace): Promise<bigint | null> {
    return physicalAt(await this.memory(), { space, kernel: this.kernel }, address);
  }

  /** The last change of bytes up to a moment; null: there was none. */
  lastChange(of: WatchedBytes, ways: WatchWays): Promise<Changed<Bytes> | null> {
    return lastChange(this.over.watch(of.stretch, of.space, ways), this.moment);
  }

  /** Who may have written bytes, as told at a moment. GUEST_INVALID. */
  async writersOf({ stretch, space }: WatchedBytes, moment: number): Promise<PossibleWriters> {
    const { past, kernel } = this;
    const capture = past.moments[moment]!;
    const row = past.entry.capture(capture)!;
    const cpus = row.hasDevice ? await this.#cpusOf(row) : [];
    const { address } = stretch;
    return possibleWriters(this.#ledger, { past, kernel, capture, address, space, cpus });
  }

  /** Pages that differ between two points, with their bytes where these are there. */
  difference(a: string, b: string): AsyncGenerator<readonly PageDifference[]> {
    const { entry } = this.past;
    const pointOf = (text: string) => ({ entry, row: this.#ledger.locate(entry, text) });
    return diffOf(this.#ledger, { a: pointOf(a), b: pointOf(b), withBytes: true });
  }

  /** Where bytes stood in the VM's memory at any time. */
  find(bytes: Uint8Array, signal: AbortSignal): Promise<Found> {
    const { entry: vm } = this.past;
    return findBytes(this.#ledger, { bytes, vm, from: null, to: null, signal });
  }

  /** The next change of bytes after now; null: there is none. */
  nextChange(of: WatchedBytes, ways: WatchWays): Promise<Changed<Bytes> | null> {
    return nextChange(this.over.watch(of.stretch, of.space, ways), this.moment);
  }
}
