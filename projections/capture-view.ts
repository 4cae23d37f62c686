// What a recorder decides on: the committed sharing state under a layer of its own capture. The layer
// is thrown away; after the commit the fold takes the same writes from the log.

import { assert } from '../domain/assert.ts';
import { IDENTIFIER_BYTES } from '../domain/page-engine.ts';
import { FIRST_CONTENT, isContent, UNKNOWN, type Holding } from '../domain/page-writes.ts';
import type { CaptureView, ContentPlace } from '../domain/read-models.ts';
import type { Contents } from './contents.ts';
import { IdentifierIndex, MemoryIdentifierColumn } from './identifier-index.ts';
import type { PageTable } from './page-tables.ts';
import type { Sharing } from './sharing.ts';

export class LayeredCaptureView implements CaptureView {
  readonly #contents: Contents;
  readonly #sharing: Sharing;
  readonly #table: PageTable;
  readonly isWhole: boolean;
  /** Contents of this capture are numbered from here. */
  readonly #base: number;
  readonly #column = new MemoryIdentifierColumn();
  readonly #own = new IdentifierIndex(this.#column);
  /** What this capture adds to, or takes from, the holders of a content. */
  readonly #shift = new Map<Holding, number>();

  /** `table` is the VM's own, as a copy: this view writes to it. */
  constructor(models: { contents: Contents; sharing: Sharing; table: PageTable }) {
    this.#contents = models.contents;
    this.#sharing = models.sharing;
    this.#table = models.table;
    this.#base = models.contents.count;
    this.isWhole = !models.table.includes(UNKNOWN);
  }

  find(identifiers: Uint8Array, row: number): Holding {
    const committed = this.#sharing.index.find(identifiers, row);
    // What others committed since this capture began was folded meanwhile, and has numbers of ours.
    if (committed >= 0 && committed < this.#base) return FIRST_CONTENT + committed;
    const own = this.#own.find(identifiers, row);
    return own < 0 ? -1 : FIRST_CONTENT + this.#base + own;
  }

  held(gfn: number): Holding {
    const held = this.#table[gfn];
    assert(held !== undefined, 'a written page is in its VM');
    return held;
  }

  holders(content: Holding): number {
    const number = content - FIRST_CONTENT;
    const committed = number < this.#base ? this.#sharing.holders(number) : 0;
    return committed + (this.#shift.get(content) ?? 0);
  }

  store(identifiers: Uint8Array, row: number): Holding {
    const own = this.#own.count;
    const at = row * IDENTIFIER_BYTES;
    this.#column.append(own, identifiers.subarray(at, at + IDENTIFIER_BYTES));
    this.#own.insert(identifiers, row, own);
    return FIRST_CONTENT + this.#base + own;
  }

  hold(gfn: number, holding: Holding): void {
    const old = this.#table[gfn]!;
    if (isContent(old)) this.#shift.set(old, (this.#shift.get(old) ?? 0) - 1);
    if (isContent(holding)) this.#shift.set(holding, (this.#shift.get(holding) ?? 0) + 1);
    this.#table[gfn] = holding;
  }

  place(holding: Holding): ContentPlace {
    assert(isContent(holding) && holding !== UNKNOWN, 'only a content has a place');
    const content = holding - FIRST_CONTENT;
    if (content >= this.#base) return { _tag: 'pending', number: content - this.#base };
    const pack = this.#contents.packOf(content);
    return { _tag: 'committed', pack: pack.name, slot: content - pack.firstContent };
  }
}
