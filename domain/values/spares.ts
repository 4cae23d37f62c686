// What is used again when nobody uses it any more: memory above all, as that which was never touched costs
// more than most of what is made in it does.

/** Bytes that somebody reads. */
export interface LentBytes {
  readonly bytes: Uint8Array;
  /** Says, once, that they are read no longer: others may lie there then. */
  readonly giveBack: () => void;
}

/** Bytes that are nobody else's. */
export const ownBytes = (bytes: Uint8Array): LentBytes => ({ bytes, giveBack: () => undefined });

export class Spares<A> {
  readonly #max: number;
  readonly #free: A[] = [];

  /** Keeps at most so many while nobody uses them. */
  constructor(max: number) {
    this.#max = max;
  }

  /** One that nobody uses, as whoever had it left it; made where there is none. */
  take(make: () => A): A {
    return this.#free.pop() ?? make();
  }

  /** Takes one back that nobody uses any more. */
  giveBack(spare: A): void {
    if (this.#free.length < this.#max) this.#free.push(spare);
  }
}

export interface SpareRoomsOptions<A> {
  /** Rooms that are kept while nobody uses them, at most; absent: all. */
  readonly max?: number;
  readonly stepBytes: number;
  readonly make: (lengthBytes: number) => A;
}

/** Memory that is made in steps, so that what comes next, which is about as much, has room there too. */
export class SpareRooms<A extends { readonly byteLength: number }> {
  readonly #rooms: Spares<A>;
  readonly #options: SpareRoomsOptions<A>;

  constructor(options: SpareRoomsOptions<A>) {
    this.#rooms = new Spares(options.max ?? Infinity);
    this.#options = options;
  }

  /** Room for so many bytes at least, in which anything may lie. */
  take(lengthBytes: number): A {
    const { stepBytes, make } = this.#options;
    const made = (): A => make(Math.ceil(lengthBytes / stepBytes) * stepBytes);
    const room = this.#rooms.take(made);
    return room.byteLength < lengthBytes ? made() : room;
  }

  /** Takes one back that nobody uses any more. */
  giveBack(room: A): void {
    this.#rooms.giveBack(room);
  }
}
