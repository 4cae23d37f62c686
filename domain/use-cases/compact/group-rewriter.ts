// Rewrites what is held of the packs to empty, one group of VMs at a time, a window of pages after the
// other: decides which are whole and which are patches, in the order of their captures, and then has
// them stored: whole pages so that similar ones lie side by side, and after them the patches, whose
// masks are like nothing but each other. What checkpoints were laid out for goes before all that, whole
// and in its own order.
//
// Memory: a sketch and a few words a page of a window, and what the pack writer takes.

import { CHUNK_PAGES, type PageEngine } from '../../ports/page-engine.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import type { Holding } from '../../values/holding.ts';
import type { PageReader } from '../pages/page-reader.ts';
import type { KeptDescriptor } from './kept-patterns.ts';
import type { VmVersions } from './models.ts';
import type { PackRewriter } from './pack-rewriter.ts';
import { WINDOW_PAGES } from './policy.ts';
import type { RewritePlan } from './rewrite-plan.ts';
import { similarOrder } from './similar-order.ts';

/** A page's bytes in a buffer. */
const pageIn = (pages: Uint8Array, number: number): Uint8Array =>
  pages.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES);

export class GroupRewriter {
  readonly #engine: PageEngine;
  readonly #reader: Pick<PageReader, 'read'>;
  readonly #plan: RewritePlan;
  readonly #writer: PackRewriter;
  /** Gathered, not yet decided on. Gfns are null for those of a newest capture. */
  #holdings: Holding[] = [];
  #gfns: (number | null)[] = [];
  /** Of the window: whole pages, and patches with what they are of. */
  #whole: Holding[] = [];
  #patches: { readonly holding: Holding; readonly reference: Holding }[] = [];

  constructor(of: {
    readonly engine: PageEngine;
    readonly pages: Pick<PageReader, 'read'>;
    readonly plan: RewritePlan;
    readonly writer: PackRewriter;
  }) {
    this.#engine = of.engine;
    this.#reader = of.pages;
    this.#plan = of.plan;
    this.#writer = of.writer;
  }

  /** Stores contents whole and in this order, in blocks of their own: a point is read by them. */
  async addLaidOut(holdings: Iterable<Holding>): Promise<void> {
    for (const holding of holdings) {
      if (!this.#plan.isWanted(holding)) continue;
      this.#plan.take(holding);
      this.#plan.keepWhole(holding);
      await this.#writer.add(holding, null);
    }
    await this.#writer.endBlock();
  }

  /** Takes contents in that become no patches of newer ones: of a newest capture, or of none. */
  async addNewest(holdings: Iterable<Holding>): Promise<void> {
    for (const holding of holdings) await this.#add(holding, null);
  }

  /** Takes in what a VM's older captures hold. */
  async addOlder(versions: VmVersions): Promise<void> {
    // What came before was of another VM, or of its newest capture.
    await this.#decide();
    this.#plan.beginVm(versions.table);
    for (const { holdings, gfns } of await versions.older())
      for (const [i, holding] of holdings.entries()) await this.#add(holding, gfns[i]!);
    await this.#decide();
  }

  async #add(holding: Holding, gfn: number | null): Promise<void> {
    if (!this.#plan.isWanted(holding)) return;
    this.#plan.take(holding);
    this.#holdings.push(holding);
    this.#gfns.push(gfn);
    if (this.#holdings.length === CHUNK_PAGES) await this.#decide();
  }

  /** Reads what was gathered and what it may be patches of, and decides. */
  async #decide(): Promise<void> {
    const holdings = this.#holdings;
    const gfns = this.#gfns;
    this.#holdings = [];
    this.#gfns = [];
    if (holdings.length === 0) return;
    const atHand = await this.#pagesAtHand(holdings, gfns);
    for (const [i, holding] of holdings.entries()) {
      const reference = this.#plan.decide(holding, gfns[i]!, atHand);
      if (reference === null) this.#whole.push(holding);
      else this.#patches.push({ holding, reference });
    }
    if (this.#whole.length + this.#patches.length >= WINDOW_PAGES) await this.#endWindow();
  }

  async #pagesAtHand(
    holdings: readonly Holding[],
    gfns: readonly (number | null)[],
  ): Promise<(holding: Holding) => Uint8Array | undefined> {
    const numbers = new Map(holdings.map((holding, i) => [holding, i]));
    for (const [i, holding] of holdings.entries())
      for (const candidate of this.#plan.candidates(holding, gfns[i]!))
        if (!numbers.has(candidate)) numbers.set(candidate, numbers.size);
    const room = new Uint8Array(numbers.size * PAGE_BYTES);
    const pages = await this.#reader.read([...numbers.keys()], room);
    return (holding) => {
      const number = numbers.get(holding);
      return number === undefined ? undefined : pageIn(pages, number);
    };
  }

  /** Stores what was decided on. */
  async #endWindow(): Promise<void> {
    const [whole, patches] = [this.#whole, this.#patches];
    this.#whole = [];
    this.#patches = [];
    const ports = { engine: this.#engine, pages: this.#reader };
    for (const holding of await similarOrder(ports, whole)) await this.#writer.add(holding, null);
    await this.#writer.endBlock();
    // In the order of decision: what a patch was made of before is rewritten before it.
    for (const { holding, reference } of patches) await this.#writer.add(holding, reference);
    await this.#writer.endBlock();
  }

  /** Writes what is left; the patterns go into the last packs. */
  async finish(patterns: readonly KeptDescriptor[]): Promise<void> {
    await this.#decide();
    await this.#endWindow();
    await this.#writer.finish(patterns);
  }

  /** Waits for what is under way, and writes nothing more of it. */
  abandon(): Promise<void> {
    return this.#writer.abandon();
  }
}
