// Clones over one base are looked at now and then: which pages each has of it, and which are its own. What is
// news of that is said in the ledger, some seconds at a time, never a fault at a time; where the ledger cannot
// be written, or is of a format that does not know it, nothing is said, and the guests run on.

import { MAPPED_PAGE, mappedPagesOf, OWN_PAGE } from '../../guests/qemu/mapped-pages.ts';
import { formatOfType } from '../../../domain/events/control.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import {
  countsOfClone,
  decideLook,
  sumOfFetches,
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
  readonly #ledger: Ledger;
  readonly #base: CloneBase;
  readonly #vm: string;
  readonly #gfn: number;
  readonly #pages: number;
  /** Their processes, by their leases. */
  readonly #clones = new Map<string, number>();
  /** What each had fetched when it was seen last. */
  readonly #counts = new Map<string, FetchCounts>();
  readonly #startedMs = performance.now();
  readonly #turn = new Turn();
  #timer: NodeJS.Timeout | null = null;
  #isOff: boolean;

  /** Looks at clones of a point, once there are some. */
  constructor(ledger: Ledger, point: VmPoint, base: CloneBase) {
    this.#ledger = ledger;
    this.#base = base;
    this.#vm = point.entry.vm;
    const { block } = base;
    const [piece] = accepted(blockLayoutOf(memoryMapOf(point), { vm: this.#vm, block })).pieces;
    this.#gfn = piece!.gfn;
    this.#pages = piece!.pages;
    const { facts } = ledger.state.catalogue;
    this.#isOff = ledger.mode === 'read' || !hasFormat(facts, formatOfType('PageFetched'));
  }

  /** What became of the clones of hosts, as the ledger said it last. */
  get memory(): HostMemory {
    return this.#ledger.state.hostMemory;
  }

  /** What all of them fetched, as far as it was seen. */
  get fetched(): FetchCounts {
    return sumOfFetches(this.#counts.values());
  }

  /** Looks at one more, by its lease; null: the ledger does not know of it. */
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

  /** What a clone has; nothing where it has ended, or may not be looked into. */
  #seen(clone: string, process: number): readonly SeenClone[] {
    const { point, path: file } = this.#base;
    const states = mappedPagesOf(process, file, this.#pages);
    if (states === null) return [];
    const base = { vm: point.entry.vm, capture: point.row.capture, file };
    const mapped = rangesWhere(states, MAPPED_PAGE, this.#gfn);
    return [{ clone, base, mapped, own: rangesWhere(states, OWN_PAGE, this.#gfn) }];
  }

  #look(): Promise<void> {
    return this.#turn.run(async () => {
      if (this.#isOff) return;
      const seen = [...this.#clones].flatMap(([clone, process]) => this.#seen(clone, process));
      const look = { _tag: 'NoteLook', vm: this.#vm, seen } as const;
      try {
        await this.#ledger.decide(pointsStream(this.#vm), () => decideLook(this.memory)(look));
        for (const { clone } of seen) this.#counts.set(clone, countsOfClone(this.memory, clone));
      } catch (thrown) {
        if (!isLedgerError(thrown) && !isRefused(thrown)) throw thrown;
        this.#isOff = true;
      }
    });
  }
}
