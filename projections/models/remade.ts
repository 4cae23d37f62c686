// Objects that are made of records when somebody asks for them: the same one for all who ask while
// anybody has it. Of very many, most are made never, or are let go of soon.

/** Objects that are kept though nobody has them: who asks for one often does so again. */
const RECENT = 64;
/** So many are known before those that are gone are forgotten, and twice as many as were left then. */
const KNOWN_MIN = 256;

export class Remade<A extends object> {
  readonly #make: (index: number) => A;
  readonly #known = new Map<number, WeakRef<A>>();
  #knownMax = KNOWN_MIN;
  readonly #recent: A[] = [];
  #next = 0;

  constructor(make: (index: number) => A) {
    this.#make = make;
  }

  /** The object of an index. */
  at(index: number): A {
    const known = this.#known.get(index)?.deref();
    if (known !== undefined) return known;
    const made = this.#make(index);
    this.put(index, made);
    return made;
  }

  /** Takes in that this is the object of an index, which nobody has asked for yet. */
  put(index: number, made: A): void {
    if (this.#known.size >= this.#knownMax) this.#forget();
    this.#known.set(index, new WeakRef(made));
    this.#recent[this.#next] = made;
    this.#next = (this.#next + 1) % RECENT;
  }

  /** Forgets those that are gone. */
  #forget(): void {
    for (const [index, known] of this.#known)
      if (known.deref() === undefined) this.#known.delete(index);
    this.#knownMax = Math.max(KNOWN_MIN, 2 * this.#known.size);
  }
}
