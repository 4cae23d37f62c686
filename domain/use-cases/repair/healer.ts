// Gives lost content of one group a new place: what somebody found
// elsewhere is compared with the identifiers that were recorded, stored in new packs, and each is named
// by a PackRewritten once it is durable: from then on what was lost lies there. Whole pages, be they
// patches that were lost or what patches refer to.

import { keptPatternIdentifier, type NamedPattern } from '../record/pattern-pages.ts';
import { PackRewriter, type RewritePorts } from '../compact/pack-rewriter.ts';
import type { KeptDescriptor } from '../compact/kept-patterns.ts';
import { PAGE_BYTES, pagesOf } from '../../values/page.ts';
import type { Descriptors } from '../../ports/page-engine.ts';
import type { Holding } from '../../values/holding.ts';
import type { LostContent } from './lost-content.ts';

/** The engine has the key of the group. */
export type HealPorts = Omit<RewritePorts, 'pages'>;

export class Healer {
  readonly #ports: HealPorts;
  readonly #lost: LostContent;
  readonly #rewriter: PackRewriter;
  /** Pages that were found, until they are packed. */
  readonly #pages = new Map<Holding, Uint8Array>();
  readonly #patterns: KeptDescriptor[] = [];
  #healed = 0;

  constructor(ports: HealPorts, of: { readonly group: string; readonly lost: LostContent }) {
    this.#ports = ports;
    this.#lost = of.lost;
    const pages = { read: this.#read };
    this.#rewriter = new PackRewriter({ ...ports, pages }, { group: of.group, onPages: () => {} });
  }

  readonly #read = (holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> => {
    for (let i = 0; i < holdings.length; i += 1) {
      into.set(this.#pages.get(holdings[i]!)!, i * PAGE_BYTES);
      this.#pages.delete(holdings[i]!);
    }
    return Promise.resolve(into);
  };

  /** Takes those of some whole pages that were lost. */
  async addPages(pages: Uint8Array): Promise<void> {
    const { identifiers } = this.#ports.engine.identify(pages);
    for (let row = 0; row < pagesOf(pages.length); row += 1)
      for (const holding of this.#lost.takeContent(identifiers, row)) {
        this.#pages.set(holding, pages.slice(row * PAGE_BYTES, (row + 1) * PAGE_BYTES));
        await this.#rewriter.add(holding, null);
        this.#healed += 1;
      }
  }

  /** Takes pages that patterns describe: the patterns that were lost, and pages stored before these were known. */
  async addDescribed({ ends, bytes }: Descriptors, classes: readonly number[]): Promise<void> {
    const { engine } = this.#ports;
    const descriptors: Uint8Array[] = [];
    let start = 0;
    for (const [i, end] of ends.entries()) {
      const descriptor = bytes.slice(start, end);
      start = end;
      descriptors.push(descriptor);
      for (const vm of this.#lost.patternVms)
        this.addPattern({ descriptor, patternClass: classes[i]!, vm });
    }
    if (descriptors.length === 0 || !this.#lost.hasContents) return;
    const { bytes: stored, ...blocks } = engine.encodePatterns(descriptors);
    await this.addPages(engine.decode({ bytes: stored, blocks, label: 'patterns' }));
  }

  /** Takes a pattern, if it was lost. */
  addPattern(pattern: NamedPattern): void {
    const { engine } = this.#ports;
    const { descriptor } = pattern;
    for (const holding of this.#lost.takePattern(keptPatternIdentifier(engine, pattern))) {
      this.#patterns.push({ holding, descriptor });
      this.#healed += 1;
    }
  }

  /** Resolves when all that was found is durable and named: how much that is. */
  async finish(): Promise<number> {
    await this.#rewriter.finish(this.#patterns);
    return this.#healed;
  }

  /** Waits for what is under way, and writes nothing more of it. */
  abandon(): Promise<void> {
    return this.#rewriter.abandon();
  }
}
