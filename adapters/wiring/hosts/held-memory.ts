// What the target of a migration has of a memory that arrives: contents that are announced, and for the
// others what may be similar: the page of the same number in the VM's capture before, or in the memory of
// another VM that has most of the pages in their places. All of it is read before it is counted on: what
// cannot be read is asked for.

import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { sharedMemory } from '../../../domain/ports/guests.ts';
import { tagOf } from '../../../domain/values/regions.ts';
import {
  contentOf,
  holdingOfContent,
  isContent,
  UNKNOWN,
  ZERO,
  type Holding,
} from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { PageTable } from '../../../projections/table.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { keepSuspects } from '../verify/losses.ts';

/** Most other VMs whose memory is compared. */
const MEMORIES_MAX = 8;
/** Most packs that are named to the next recorder as doubtful. */
const SUSPECTS_MAX = 4096;

interface Memory {
  readonly table: PageTable;
  /** Pages so far that are the same in their places. */
  same: number;
}

/** The memory of a ledger that pages which come are looked up in. */
export class HeldMemory {
  readonly #ledger: Ledger;
  readonly #label: string;
  readonly #own: PageTable | null;
  /** By whose numbers the tables are. */
  readonly #contents: Ledger['state']['contents'];
  readonly #others: readonly Memory[];
  readonly #suspects = new Set<string>();
  /** Contents of these memories that are held large, which no index has, by their tags; null: not looked for yet. */
  #large: ReadonlyMap<number, number> | null = null;
  #room = new SharedArrayBuffer(0);

  private constructor(
    ledger: Ledger,
    of: {
      readonly label: string;
      readonly own: PageTable | null;
      readonly others: readonly Memory[];
    },
  ) {
    this.#ledger = ledger;
    this.#label = of.label;
    this.#own = of.own;
    this.#contents = ledger.state.contents;
    this.#others = of.others;
  }

  static async of(ledger: Ledger, vm: string, group: string): Promise<HeldMemory> {
    await ledger.state.catchUp({ heavy: true });
    let own: PageTable | null = null;
    const others: Memory[] = [];
    for (const entry of ledger.vms()) {
      if (entry.retired !== null || entry.state.registered?.group !== group) continue;
      if (entry.vm !== vm && others.length === MEMORIES_MAX) continue;
      const table = await ledger.state.currentTable(entry);
      if (table === null) continue;
      if (entry.vm === vm) own = table;
      else others.push({ table, same: 0 });
    }
    return new HeldMemory(ledger, { label: `what this ledger has of VM ${vm}`, own, others });
  }

  /** Pages of the VM's last capture; 0: there is none. */
  get ownPages(): number {
    return this.#own?.length ?? 0;
  }

  /** The content with the identifier in a row, as it is known of a page; UNKNOWN: there is none. */
  find(identifiers: Uint8Array, row: number, gfn: number): Holding {
    const small = this.#ledger.state.sharing.index.find(identifiers, row);
    const at = row * IDENTIFIER_BYTES;
    const content =
      small >= 0 ? small : this.#findLarge(identifiers.subarray(at, at + IDENTIFIER_BYTES));
    if (content < 0) return UNKNOWN;
    const holding = holdingOfContent(content);
    for (const memory of this.#others) if (memory.table[gfn] === holding) memory.same += 1;
    return holding;
  }

  /** The content that is held large with an identifier; negative: there is none. */
  #findLarge(identifier: Uint8Array): number {
    if (!this.#ledger.state.contents.held.hasLarge) return -1;
    this.#large ??= this.#largeByTag();
    const content = this.#large.get(tagOf(identifier));
    // Of two with one tag the later is known: the other is asked for.
    const own = content === undefined ? null : this.#ledger.column.read(content);
    const isIt = own !== null && identifier.every((byte, i) => own[i] === byte);
    return content !== undefined && isIt ? content : -1;
  }

  /** O(pages) of the memories that are compared. */
  #largeByTag(): ReadonlyMap<number, number> {
    const { held } = this.#ledger.state.contents;
    const byTag = new Map<number, number>();
    for (const table of [this.#own, ...this.#others.map((memory) => memory.table)])
      for (const holding of table ?? []) {
        if (!isContent(holding) || !held.isLarge(holding)) continue;
        const identifier = this.#ledger.column.read(contentOf(holding));
        if (identifier !== null) byTag.set(tagOf(identifier), contentOf(holding));
      }
    return byTag;
  }

  /** Whether the VM's last capture has this at a page. */
  isAsBefore(gfn: number, holding: Holding): boolean {
    // Numbers that were given anew since say nothing of the table.
    return this.#ledger.state.contents === this.#contents && this.#own?.[gfn] === holding;
  }

  /** What may be similar to a page; UNKNOWN: nothing is known to be. */
  similarTo(gfn: number): Holding {
    const own = this.#own?.[gfn] ?? ZERO;
    if (isContent(own)) return own;
    const best = this.#others.reduce<Memory | null>(
      (most, memory) => (memory.same > (most?.same ?? 0) ? memory : most),
      null,
    );
    const held = best?.table[gfn] ?? ZERO;
    return isContent(held) ? held : UNKNOWN;
  }

  /** The identifier of a content; null: it is not at hand. */
  identifierOf(content: number): Uint8Array | null {
    // Valid until the next one is read.
    return this.#ledger.column.read(content)?.slice() ?? null;
  }

  /**
   * Reads what consecutive pages hold, at most a few thousand, ZERO where nothing is to be read, and gives
   * each page that could be read to `take`, until the next call. The numbers of the others.
   */
  async read(
    table: Uint32Array,
    take: (page: number, bytes: Uint8Array) => void,
  ): Promise<ReadonlySet<number>> {
    const lost = new Set<number>();
    if (table.every((holding) => holding === ZERO)) return lost;
    if (this.#room.byteLength < table.length * PAGE_BYTES)
      this.#room = new SharedArrayBuffer(table.length * PAGE_BYTES);
    const reader = await this.#ledger.pageReader();
    const onLost = (pages: Uint32Array): void => {
      for (const page of pages) lost.add(page);
    };
    const target = { file: sharedMemory(this.#room), offsetBytes: 0 };
    await reader.fill({ table, label: this.#label, onLost }, target);
    const bytes = new Uint8Array(this.#room);
    for (let page = 0; page < table.length; page += 1)
      if (table[page] !== ZERO && !lost.has(page))
        take(page, bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
    for (const page of lost) this.#suspect(table[page]!);
    return lost;
  }

  #suspect(holding: Holding): void {
    const { contents } = this.#ledger.state;
    const place = contents.placeOf(holding);
    if (place >= 0 && this.#suspects.size < SUSPECTS_MAX)
      this.#suspects.add(contents.packAt(place).name);
  }

  /** Lets the next recorder read again what could not be read, and store it anew where it is lost. */
  async tellSuspects(): Promise<void> {
    if (this.#suspects.size > 0) await keepSuspects(this.#ledger, [...this.#suspects]);
  }
}
