// A set of pairs of 32-bit numbers, open addressing: 8 bytes a slot, at most 0.7 full. JavaScript's own
// sets end at 2^24 members and take seven times as much.

const CAPACITY_MIN = 1024;
const LOAD_MAX = 0.7;

const mix = (a: number, b: number): number => {
  let hash = Math.imul(a ^ (a >>> 16), 0x85eb_ca6b) ^ Math.imul(b ^ (b >>> 15), 0xc2b2_ae35);
  hash = Math.imul(hash ^ (hash >>> 13), 0x27d4_eb2f);
  return (hash ^ (hash >>> 16)) >>> 0;
};

export class PairSet {
  #slots = new Uint32Array(2 * CAPACITY_MIN);
  #capacity = CAPACITY_MIN;
  size = 0;

  /** Takes a pair in, not both 0; whether it is new. */
  add(a: number, b: number): boolean {
    if (this.size + 1 > this.#capacity * LOAD_MAX) this.#grow();
    if (!this.#put(a, b)) return false;
    this.size += 1;
    return true;
  }

  #put(a: number, b: number): boolean {
    const slots = this.#slots;
    let slot = mix(a, b) & (this.#capacity - 1);
    for (;;) {
      const at = 2 * slot;
      if (slots[at] === 0 && slots[at + 1] === 0) {
        slots[at] = a;
        slots[at + 1] = b;
        return true;
      }
      if (slots[at] === a && slots[at + 1] === b) return false;
      slot = (slot + 1) & (this.#capacity - 1);
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#capacity *= 2;
    this.#slots = new Uint32Array(2 * this.#capacity);
    for (let at = 0; at < old.length; at += 2)
      if (old[at] !== 0 || old[at + 1] !== 0) this.#put(old[at]!, old[at + 1]!);
  }
}
