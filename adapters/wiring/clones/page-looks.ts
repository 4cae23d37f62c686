// Clones over one base are looked at now and then: which pages each has of it, and which are its own. What is
// news of that is said where they are known, some seconds at a time, never a fault at a time; where it cannot
// be, as in a ledger that cannot be written or is of a format that does not know it, nothing is said, and the
// guests run on.

import { MAPPED_PAGE, mappedPagesOf, OWN_PAGE } from '../../guests/qemu/mapped-pages.ts';
import { formatOfType } from '../../../domain/events/control.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import {
  countsOfClone,
  decideLook,
  sumOfFetches,
  type BaseFile,
  type FetchCounts,
  type HostMemory,
  type SeenClone,
} from '../../../domain/host-memory.ts';
import { hasFormat } from '../../../domain/ledger.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { rangesWhere } from '../../../domain/values/page-ranges.ts';
import { blockLayoutOf } from '../../../domain/values/raw-layout.ts';
import { Turn } from '../../../domain/values/turn.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';
import type { CloneBase } from './clone-base.ts';

/** The file that clones map, and which pages of their VM it has. */
export interface LookedFile {
  readonly base: BaseFile;
  readonly gfn: number;
  readonly pages: number;
}

/** Looks at a clone, by its lease and its process; null: it has ended, or may not be looked into. */
export type CloneLook = (clone: string, process: number) => SeenClone | null;

/** Looks at what the kernel has mapped of a file for a clone. */
export const lookOver =
  ({ base, gfn, pages }: LookedFile): CloneLook =>
  (clone, process) => {
    const states = mappedPagesOf(process, base.file, pages);
    if (states === null) return null;
    const mapped = rangesWhere(states, MAPPED_PAGE, gfn);
    return { clone, base, mapped, own: rangesWhere(states, OWN_PAGE, gfn) };
  };

/** Where what was seen of clones is said. */
export interface LookTeller {
  /** What became of them, as it was said so far. */
  readonly memory: HostMemory;
  /** Says what is news of clones that were looked at together; a LedgerError, or a refusal: nothing can be. */
  say(seen: readonly SeenClone[]): Promise<unknown>;
}

/** Most of what happens does so in a guest's first seconds. */
const FIRST_LOOK_MS = 1_000;
const EVERY_MS = 10_000;
/** Looks come further apart as clones grow old: what is said of them grows with the logarithm of their age. */
const AGE_PART = 64;
const YOUNG_PART = 4;

/** How long clones of an age, in milliseconds, are left alone. */
const restBetweenLooks = (ageMs: number): number =>
  Math.max(
    Math.min(EVERY_MS, Math.max(FIRST_LOOK_MS, ageMs / YOUNG_PART)),
    Math.floor(ageMs / AGE_PART),
  );

export class PageLooks {
  readonly #lookAt: CloneLook;
  readonly #teller: LookTeller;
  /** Their processes, by their leases. */
  readonly #clones = new Map<string, number>();
  /** What each had fetched when it was seen last. */
  readonly #counts = new Map<string, FetchCounts>();
  readonly #startedMs = performance.now();
  readonly #turn = new Turn();
  #timer: NodeJS.Timeout | null = null;
  #isOff = false;

  /** Looks at clones, once there are some. */
  constructor(lookAt: CloneLook, teller: LookTeller) {
    this.#lookAt = lookAt;
    this.#teller = teller;
  }

  /** Looks at clones of a point, for the ledger that it is of. */
  static ofPoint(ledger: Ledger, point: VmPoint, { block, path, point: of }: CloneBase): PageLooks {
    const { vm } = point.entry;
    const [piece] = accepted(blockLayoutOf(memoryMapOf(point), { vm, block })).pieces;
    const base = { vm: of.entry.vm, capture: of.row.capture, file: path };
    const { gfn, pages } = piece!;
    const looks = new PageLooks(lookOver({ base, gfn, pages }), {
      get memory() {
        return ledger.state.hostMemory;
      },
      say: (seen) =>
        ledger.decide(pointsStream(vm), () =>
          decideLook(ledger.state.hostMemory)({ _tag: 'NoteLook', vm, seen }),
        ),
    });
    const { facts } = ledger.state.catalogue;
    looks.#isOff = ledger.mode === 'read' || !hasFormat(facts, formatOfType('PageFetched'));
    return looks;
  }

  /** What became of the clones of hosts, as it was said last. */
  get memory(): HostMemory {
    return this.#teller.memory;
  }

  /** What all of them fetched, as far as it was seen. */
  get fetched(): FetchCounts {
    return sumOfFetches(this.#counts.values());
  }

  /** Looks at one more, by its lease; null: nobody is told of it. */
  add(clone: string | null, process: number | undefined): void {
    if (clone === null || process === undefined) return;
    this.#clones.set(clone, process);
    if (this.#timer === null) this.#lookLater();
  }

  #lookLater(): void {
    const rest = restBetweenLooks(performance.now() - this.#startedMs);
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => {
        if (this.#timer !== null) this.#lookLater();
      });
    }, rest);
    this.#timer.unref();
  }

  /** Looks once more; then no more. */
  async end(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#look();
  }

  #look(): Promise<void> {
    return this.#turn.run(async () => {
      if (this.#isOff) return;
      const seen = [...this.#clones].flatMap(
        ([clone, process]) => this.#lookAt(clone, process) ?? [],
      );
      try {
        await this.#teller.say(seen);
        for (const { clone } of seen) this.#counts.set(clone, countsOfClone(this.memory, clone));
      } catch (thrown) {
        if (!isLedgerError(thrown) && !isRefused(thrown)) throw thrown;
        this.#isOff = true;
      }
    });
  }
}
