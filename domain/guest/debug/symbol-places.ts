// Where a kernel's symbols stand in a file of them, and how far each reaches, which the kernel does not
// say: up to the next one in its image.

import type { KernelSymbols } from '../kallsyms.ts';
import { IMAGE_BASE } from '../vmcoreinfo.ts';

/** From there on a kernel's modules lie. */
const IMAGE_END = IMAGE_BASE + 0x4000_0000n;

/** What a symbol stands for. */
export interface SymbolPlace {
  readonly address: bigint;
  readonly bytes: number;
}

const isInImage = (address: bigint): boolean => address >= IMAGE_BASE && address < IMAGE_END;

export class SymbolPlaces {
  readonly symbols: KernelSymbols;
  /** All of them, by their addresses. */
  readonly ascending: Uint32Array;
  /** Bytes of each in the image; 0 of others. */
  readonly bytes: Uint32Array;
  readonly #offset: bigint;
  readonly #textStart: bigint;
  readonly #byName = new Map<string, number>();
  readonly #isShared = new Set<string>();

  /** `offset`: what addresses in the image are less in the file. */
  constructor(symbols: KernelSymbols, of: { readonly textStart: bigint; readonly offset: bigint }) {
    this.symbols = symbols;
    this.#offset = of.offset;
    this.#textStart = of.textStart;
    const { addresses } = symbols.columns;
    this.ascending = Uint32Array.from(addresses, (_, i) => i).toSorted((a, b) => {
      const [one, other] = [addresses[a]!, addresses[b]!];
      return one < other ? -1 : Number(one > other);
    });
    this.bytes = new Uint32Array(addresses.length);
    this.#measure();
    for (let i = 0; i < symbols.count; i += 1) {
      const { name } = symbols.at(i);
      if (this.#byName.has(name)) this.#isShared.add(name);
      else this.#byName.set(name, i);
    }
  }

  #measure(): void {
    const { addresses } = this.symbols.columns;
    let next = IMAGE_END;
    let last = IMAGE_END;
    for (const i of this.ascending.toReversed()) {
      const address = addresses[i]!;
      if (!isInImage(address)) continue;
      if (address !== last) next = last;
      last = address;
      this.bytes[i] = next === IMAGE_END ? 0 : Number(next - address);
    }
  }

  /** Whether a symbol lies in the kernel's image; others are numbers, or offsets into what a CPU has. */
  isInImage(index: number): boolean {
    return isInImage(this.symbols.columns.addresses[index]!);
  }

  /** The address of a symbol in the file. */
  address(index: number): bigint {
    return this.#inFile(this.symbols.columns.addresses[index]!);
  }

  #inFile(address: bigint): bigint {
    return isInImage(address) ? BigInt.asUintN(64, address - this.#offset) : address;
  }

  /** Where the kernel's code begins, and how far its image may reach from there. */
  get image(): SymbolPlace {
    return {
      address: this.#inFile(this.#textStart),
      bytes: Math.max(0, Number(IMAGE_END - this.#textStart)),
    };
  }

  /** The first symbol of a name; null: there is none. */
  of(name: string): SymbolPlace | null {
    const index = this.#byName.get(name);
    return index === undefined ? null : { address: this.address(index), bytes: this.bytes[index]! };
  }

  /** The one symbol of a name; null: there is none, or there are several. */
  soleOf(name: string): SymbolPlace | null {
    return this.#isShared.has(name) ? null : this.of(name);
  }
}
