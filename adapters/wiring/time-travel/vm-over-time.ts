// A VM over its history: memory at every kept capture by the addresses of whom is meant, and what is
// looked at in it again and again.

import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import type { Look, Watched } from '../../../domain/use-cases/travel/changes.ts';
import type { Place } from '../../../domain/use-cases/travel/place.ts';
import { evaluate, placesIn, type Predicate } from '../../../domain/use-cases/travel/predicate.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isOfPack } from '../../../domain/ports/page-store.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { describeGuest, type GuestPoint } from '../guest/guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { bytesAt, KnownKernel, type AddressSpace } from './address-space.ts';
import { LedgerPast } from './ledger-past.ts';

/** Bytes somewhere in a guest. */
export interface Stretch {
  readonly address: bigint;
  readonly length: number;
}

/** Null: some of them are not there. */
export type Bytes = Uint8Array | null;

/** How bytes are watched. */
export interface WatchWays {
  /** Ends a search. */
  readonly signal?: AbortSignal | undefined;
  /** Is told of captures that a search passes over, as what it would look at is lost there. */
  readonly onLost?: ((capture: number) => void) | undefined;
}

/** Looks after which others of the process get their turn: all that is looked at may be at hand. */
const LOOKS_AT_ONCE = 32;

/** Lets others of the process have their turn, an interrupt among them. */
const breath = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

const isLost = (thrown: unknown): boolean =>
  isOfPack(thrown) || (isLedgerError(thrown) && thrown.code === 'POINT_DAMAGED');

/** What cannot be read as it is lost is not there. */
async function unlessLost<A>(look: () => Promise<A>): Promise<A | null> {
  try {
    return await look();
  } catch (thrown) {
    if (isLost(thrown)) return null;
    throw thrown;
  }
}

const areSame = (a: Bytes, b: Bytes): boolean =>
  a === b || (a !== null && b !== null && a.length === b.length && a.every((x, i) => x === b[i]));

export class VmOverTime {
  readonly past: LedgerPast;
  /** What the guest's kernel says of itself; null: nothing. */
  readonly kernel: KnownKernel | null;
  /** Why it says nothing. */
  readonly undescribed: string | null;

  private constructor(of: Pick<VmOverTime, 'past' | 'kernel' | 'undescribed'>) {
    this.past = of.past;
    this.kernel = of.kernel;
    this.undescribed = of.undescribed;
  }

  /**
   * The VM of a point, whose guest is described as it is there. Where what the guest says of itself is needed: GUEST_UNDESCRIBED, GUEST_INVALID.
   */
  static async open(
    ledger: Ledger,
    point: GuestPoint,
    description: 'needed' | 'if there' | 'not needed',
  ): Promise<VmOverTime> {
    const past = await LedgerPast.open(ledger, point.entry);
    let kernel: KnownKernel | null = null;
    let undescribed: string | null = null;
    try {
      if (description !== 'not needed')
        kernel = await KnownKernel.of(await describeGuest(ledger, point));
    } catch (thrown) {
      if (description === 'needed' || !isGuestFailure(thrown)) throw thrown;
      undescribed = thrown.message;
    }
    return new VmOverTime({ past, kernel, undescribed });
  }

  /** The same with a past of its own, which learns by itself of what is recorded and forgotten. */
  async another(ledger: Ledger): Promise<VmOverTime> {
    const past = await LedgerPast.open(ledger, ledger.vm(this.past.entry.vm));
    return new VmOverTime({ past, kernel: this.kernel, undescribed: this.undescribed });
  }

  /** Looks at bytes: null where some are not there. */
  #lookAt({ address, length }: Stretch, space: AddressSpace): Look<Bytes> {
    return async (memory) => {
      const bytes = await bytesAt(memory, { space, kernel: this.kernel }, { address, length });
      return bytes.length === length ? bytes : null;
    };
  }

  /** Bytes over the history, by the addresses of whom is meant; null where they are lost, too. */
  values(stretch: Stretch, space: AddressSpace, signal?: AbortSignal): Watched<Bytes> {
    const look = this.#lookAt(stretch, space);
    return this.#watching((...at) => unlessLost(() => look(...at)), areSame, { signal });
  }

  /** Bytes whose changes are looked for. */
  watch(stretch: Stretch, space: AddressSpace, ways: WatchWays): Watched<Bytes> {
    return this.#watching(this.#lookAt(stretch, space), areSame, ways);
  }

  #watching<A>(
    look: Look<A>,
    isSame: (a: A, b: A) => boolean,
    { signal, onLost }: WatchWays,
  ): Watched<A> {
    let looks = 0;
    return {
      past: this.past,
      isSame,
      look: async (memory, capture) => {
        looks += 1;
        if (looks % LOOKS_AT_ONCE === 0) await breath();
        signal?.throwIfAborted();
        return look(memory, capture);
      },
      passesOver: (thrown, capture) => {
        if (!isLost(thrown)) return false;
        onLost?.(capture);
        return true;
      },
    };
  }

  /** Where a place of a predicate lies; null: the kernel has no such symbol. */
  addressOf({ symbol, offset }: Place): bigint | null {
    if (symbol === null) return BigInt.asUintN(64, offset);
    const address = this.kernel?.guest.symbols.addressOf(symbol) ?? null;
    return address === null ? null : BigInt.asUintN(64, address + offset);
  }

  /** Refuses a predicate on a symbol that the kernel has not. */
  checkSymbols(predicate: Predicate): void {
    const release = this.kernel?.guest.kernel.info.release ?? '';
    for (const { symbol, offset } of placesIn(predicate))
      if (symbol !== null && this.addressOf({ symbol, offset }) === null)
        throw refuse({ _tag: 'SymbolUnknown', name: symbol, release });
  }

  /** Whether a predicate holds, over the history; null: it cannot be told. */
  watchPredicate(
    predicate: Predicate,
    space: AddressSpace,
    signal?: AbortSignal,
  ): Watched<boolean | null> {
    const look: Look<boolean | null> = (memory, capture) =>
      evaluate(predicate, async (place, length) => {
        const address = this.addressOf(place);
        if (address === null) return null;
        return unlessLost(() => this.#lookAt({ address, length }, space)(memory, capture));
      });
    return this.#watching(look, (a, b) => a === b, { signal });
  }
}
