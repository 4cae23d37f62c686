// Pages of a capture that have no gfn: those of its device state and of its attachments. They are
// contents like any other, found again and stored once; nothing holds them but the event that names
// them.

import {
  CLASS_ZERO,
  IDENTIFIER_BYTES,
  type Compression,
  type PageEngine,
} from '../../ports/page-engine.ts';
import type { CaptureView } from '../../ports/models.ts';
import { BLOCK_PAGES, PAGE_BYTES } from '../../values/page.ts';
import { ZERO, type Holding } from '../../values/holding.ts';
import type { PackPlan } from './pack-plan.ts';
import type { PackStager } from './pack-stager.ts';

/** Such pages have no gfn. */
const NO_GFN = 0xffff_ffff;

interface LoosePorts {
  readonly engine: PageEngine;
  /** How pages are compressed. */
  readonly compression: () => Compression;
  readonly view: CaptureView;
  readonly plan: PackPlan;
  readonly stager: PackStager;
}

/** New contents that become one block. */
class OpenBlock {
  readonly #pages = new Uint8Array(BLOCK_PAGES * PAGE_BYTES);
  readonly #identifiers = new Uint8Array(BLOCK_PAGES * IDENTIFIER_BYTES);
  count = 0;

  add(page: Uint8Array, identifier: Uint8Array): void {
    this.#pages.set(page, this.count * PAGE_BYTES);
    this.#identifiers.set(identifier, this.count * IDENTIFIER_BYTES);
    this.count += 1;
  }

  async stage({ engine, compression, stager }: LoosePorts): Promise<void> {
    if (this.count === 0) return;
    const identifiers = this.#identifiers.slice(0, this.count * IDENTIFIER_BYTES);
    const references = Array.from({ length: this.count }, () => null);
    const pages = this.#pages.subarray(0, this.count * PAGE_BYTES);
    const blocks = engine.encode(pages, compression());
    this.count = 0;
    await stager.add({ blocks, identifiers, references });
  }
}

export class LoosePages {
  readonly #ports: LoosePorts;

  constructor(ports: LoosePorts) {
    this.#ports = ports;
  }

  /** Stores what is new of whole pages; gives what each holds. */
  async store(pages: Uint8Array): Promise<readonly Holding[]> {
    const { engine, view, plan } = this.#ports;
    const { classes, identifiers } = engine.identify(pages);
    const holdings: Holding[] = [];
    const block = new OpenBlock();
    for (let page = 0; page < classes.length; page += 1) {
      if (classes[page] === CLASS_ZERO) {
        holdings.push(ZERO);
        continue;
      }
      const found = view.find(identifiers, page, NO_GFN);
      if (found >= 0) {
        holdings.push(found);
        continue;
      }
      // A block lies in one pack.
      const begins = plan.addContent();
      if (begins || block.count === BLOCK_PAGES) await block.stage(this.#ports);
      block.add(
        pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
        identifiers.subarray(page * IDENTIFIER_BYTES, (page + 1) * IDENTIFIER_BYTES),
      );
      holdings.push(view.store(identifiers, page, NO_GFN));
    }
    await block.stage(this.#ports);
    return holdings;
  }
}
