// Clones that a command has started, seen to until each has ended: what they have of their own is looked
// at now and then, since nothing tells it of a guest that is no more, and what they take together is held
// to a limit where there is one.

import { once } from 'node:events';
import type { Row } from '../rows/row.ts';
import { fetchedPages } from '../rows/running-clone-rows.ts';
import { privatePagesOf, type CloneTeller, type StartedClone } from '../../wiring/clones/clones.ts';
import { DropRest } from '../../wiring/clones/drop-rest.ts';
import { HostMemory, type ClonesBudget } from '../../wiring/clones/host-memory.ts';
import type { PageLooks } from '../../wiring/clones/page-looks.ts';
import type { ParentPoint } from '../../../domain/vm.ts';

/** A clone, by its number among those started with it. */
export interface NumberedClone {
  readonly n: number;
  /** What it was started from. */
  readonly master: ParentPoint;
  readonly clone: StartedClone;
  /** Where it is said what becomes of it; null: nobody knows of it. */
  readonly teller: CloneTeller | null;
}

/** What clones may take together. */
export interface MemoryLimit {
  readonly of: ClonesBudget;
  /** Is told, once, of bytes that are missing and cannot be dropped. */
  readonly onExcess: (bytes: number) => void;
  /** Parks a clone by its name, and gives the pages that were written out; absent: nobody is parked. */
  readonly park?: (id: string) => Promise<number>;
}

const LOOK_EVERY_MS = 2_000;
const EVICT_EVERY_MS = 250;
/** How long what clones wrote has to be too much before one of them is parked. */
const PARK_AFTER_MS = 5_000;
/** How long a guest has to end once it was asked to. */
const END_MS = 10_000;

interface Seen {
  readonly teller: CloneTeller | null;
  /** Pages of its own when it was seen last; null: it was not. */
  privatePages: number | null;
  /** Pages that were dropped and are not told yet, and all that were. */
  untold: number;
  dropped: number;
}

export class RunningGuests {
  readonly #running = new Set<StartedClone>();
  readonly #seen = new Map<StartedClone, Seen>();
  readonly #ends: Promise<void>[] = [];
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #memory: HostMemory | null;
  readonly #limit: MemoryLimit | null;
  readonly #looks: PageLooks;
  #evicting: Promise<void> | null = null;
  /** Since clones dropped something; null: they have got on. */
  #rest: DropRest | null = null;
  #isExcessTold = false;
  #writtenOut = 0;
  /** Since when what clones wrote is too much; null: it is not. */
  #excessSinceMs: number | null = null;

  /** `looks` are at what each has of their base. */
  constructor(limit: MemoryLimit | null, looks: PageLooks) {
    this.#looks = looks;
    this.#limit = limit;
    this.#memory = limit === null ? null : new HostMemory(limit.of, () => looks.memory);
    this.#timers = [
      setInterval(() => this.#look(), LOOK_EVERY_MS),
      setInterval(() => void this.#evict(), EVICT_EVERY_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** Sees to one more. */
  add({ clone, teller }: NumberedClone): void {
    this.#running.add(clone);
    this.#seen.set(clone, { teller, privatePages: null, untold: 0, dropped: 0 });
    this.#ends.push(this.#untilEnded(clone));
    this.#looks.add(clone.id, clone.process.pid);
  }

  async #untilEnded(clone: StartedClone): Promise<void> {
    const { process: child } = clone;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    this.#running.delete(clone);
    await this.#tellDropped(clone);
    const { teller, privatePages } = this.#seen.get(clone)!;
    await teller?.ended(privatePages);
  }

  #look(): void {
    for (const clone of this.#running) {
      const seen = this.#seen.get(clone)!;
      seen.privatePages = privatePagesOf(clone.process.pid ?? 0) ?? seen.privatePages;
      void this.#tellDropped(clone);
    }
  }

  /** Says what a clone has dropped since that was said. */
  async #tellDropped(clone: StartedClone): Promise<void> {
    const seen = this.#seen.get(clone)!;
    if (seen.untold === 0) return;
    const dropped = seen.untold;
    seen.untold = 0;
    await seen.teller?.dropped(dropped);
  }

  /** One round at a time. */
  async #evict(): Promise<void> {
    if (this.#memory === null || this.#evicting !== null) return;
    if (this.#rest?.isOver === false) return;
    this.#rest = null;
    this.#evicting = this.#evictNow(this.#memory);
    await this.#evicting;
    this.#evicting = null;
  }

  async #evictNow(memory: HostMemory): Promise<void> {
    const accounted = [...this.#running].flatMap((clone) => {
      const { process: child, group } = clone;
      return group === null || child.pid === undefined
        ? []
        : [{ id: clone.id ?? String(child.pid), process: child.pid, group, clone }];
    });
    const { dropped, excessBytes, parks } = await memory.round(accounted);
    if (dropped.size > 0) this.#rest = new DropRest(accounted.map((each) => each.process));
    for (const { id, clone } of accounted) {
      const seen = this.#seen.get(clone)!;
      seen.untold += dropped.get(id) ?? 0;
      seen.dropped += dropped.get(id) ?? 0;
    }
    const now = performance.now();
    this.#excessSinceMs = excessBytes === 0 ? null : (this.#excessSinceMs ?? now);
    if (this.#excessSinceMs === null) return;
    if (!this.#isExcessTold) this.#limit?.onExcess(excessBytes);
    this.#isExcessTold = true;
    if (now - this.#excessSinceMs < PARK_AFTER_MS) return;
    this.#excessSinceMs = null;
    await this.#park(accounted.find(({ id }) => id === parks[0])?.clone);
  }

  /** Parks a clone that the ledger knows, where that is wanted. */
  async #park(clone: StartedClone | undefined): Promise<void> {
    const park = this.#limit?.park;
    if (clone === undefined || clone.id === null || park === undefined) return;
    this.#writtenOut += await park(clone.id);
  }

  /** Resolves when all that were added have ended. */
  get ended(): Promise<void> {
    return Promise.all(this.#ends).then(() => undefined);
  }

  /** Ends all that run still, and waits until they have. */
  async end(): Promise<void> {
    this.#look();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#evicting;
    await this.#looks.end();
    for (const { process: child } of this.#running) child.kill('SIGTERM');
    const late = setTimeout(() => {
      for (const { process: child } of this.#running) child.kill('SIGKILL');
    }, END_MS);
    try {
      await this.ended;
    } finally {
      clearTimeout(late);
    }
  }

  /** Pages that they had of their own when they were seen last, dropped, wrote out and fetched, all together. */
  get pages(): Row {
    const seen = [...this.#seen.values()];
    return {
      privatePages: seen.reduce((sum, { privatePages }) => sum + (privatePages ?? 0), 0),
      droppedPages: seen.reduce((sum, { dropped }) => sum + dropped, 0),
      writtenOutPages: this.#writtenOut,
      ...fetchedPages(this.#looks.fetched),
    };
  }
}
