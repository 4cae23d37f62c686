// A fixed number of places at each of several owners, given out one at a time: from the owner with
// the least to do, and first come, first served where all are taken.

import { assert } from '../../../domain/values/assert.ts';

/** A place at an owner; `number` counts the owner's places from 0. */
export interface Ticket<Owner> {
  readonly owner: Owner;
  readonly number: number;
}

interface Waiting<Owner> {
  readonly resolve: (ticket: Ticket<Owner>) => void;
  readonly reject: (error: Error) => void;
}

/** `pending` of an owner is the measure of what it has to do. */
export class Tickets<Owner extends { readonly pending: number }> {
  readonly #free: { readonly owner: Owner; readonly tickets: Ticket<Owner>[] }[];
  readonly #waiting: Waiting<Owner>[] = [];
  #closed: Error | null = null;

  constructor({
    owners,
    perOwner,
  }: {
    readonly owners: readonly Owner[];
    readonly perOwner: number;
  }) {
    assert(owners.length > 0 && perOwner > 0, 'there is a ticket');
    this.#free = owners.map((owner) => ({
      owner,
      tickets: Array.from({ length: perOwner }, (_, number) => ({ owner, number })),
    }));
  }

  /** A place, as soon as one is free. */
  async take(): Promise<Ticket<Owner>> {
    if (this.#closed !== null) throw this.#closed;
    const free = this.#free.filter(({ tickets }) => tickets.length > 0);
    if (free.length === 0)
      return new Promise((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
      });
    let best = free[0]!;
    for (const candidate of free) if (isLess(candidate, best)) best = candidate;
    // The last one given back: its memory is likeliest to be in the cache.
    return best.tickets.pop()!;
  }

  /** Gives a place back, to the longest waiting if anybody waits. */
  give(ticket: Ticket<Owner>): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next.resolve(ticket);
      return;
    }
    this.#free.find(({ owner }) => owner === ticket.owner)!.tickets.push(ticket);
  }

  /** Fails all who wait and all who come. */
  close(error: Error): void {
    this.#closed = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

interface Load {
  readonly owner: { readonly pending: number };
  readonly tickets: readonly unknown[];
}

/** Whether the first has less to do; where both have as much, whether it has more places free. */
const isLess = (a: Load, b: Load): boolean =>
  a.owner.pending < b.owner.pending ||
  (a.owner.pending === b.owner.pending && a.tickets.length > b.tickets.length);
