// Pages that a pattern describes, while they are recorded: public patterns stand in events
// by number; of any other, the descriptor is kept in a pack, once for its VM. A kept pattern is found
// again by a keyed identifier over the descriptor and the VM's name, so it is never shared between VMs.

import type { PageEngine, ScannedChunk } from '../../ports/page-engine.ts';
import { CLASS_ZERO, IDENTIFIER_BYTES } from '../../ports/page-engine.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { ZERO, type Holding } from '../../values/holding.ts';
import { publicPatternOf } from '../../patterns/public-patterns.ts';
import type { CaptureView } from '../../ports/models.ts';
import type { PackPlan } from './pack-plan.ts';

/** Descriptors remembered with what they stand for. */
const KNOWN_MAX = 65_536;

const ENCODER = new TextEncoder();
/** Where the page of a kept pattern is made: most captures keep thousands, one after the other. */
const page = new Uint8Array(PAGE_BYTES);
const pageView = new DataView(page.buffer);

/** Bytes as a key of a map. */
const keyOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** A pattern of a VM. */
export interface NamedPattern {
  readonly descriptor: Uint8Array;
  readonly patternClass: number;
  readonly vm: string;
}

/**
 * By what a kept pattern is known. Keyed, with the class as its first byte: who folds the pack's event
 * counts pages by class.
 */
export function keptPatternIdentifier(
  engine: Pick<PageEngine, 'identify'>,
  { descriptor, patternClass, vm }: NamedPattern,
): Uint8Array {
  const name = ENCODER.encode(vm);
  page.fill(0);
  page.set(descriptor, 0);
  page.set(name, PAGE_BYTES - name.length);
  pageView.setUint16(PAGE_BYTES / 2 + PAGE_BYTES / 4, descriptor.length, true);
  const { identifiers } = engine.identify(page);
  const identifier = identifiers.slice(0, IDENTIFIER_BYTES);
  identifier[0] = patternClass;
  return identifier;
}

export class PatternPages {
  readonly #engine: Pick<PageEngine, 'identify'>;
  readonly #view: CaptureView;
  readonly #plan: PackPlan;
  readonly #vm: string;
  readonly #known = new Map<string, Holding>();

  constructor(
    engine: Pick<PageEngine, 'identify'>,
    of: { readonly view: CaptureView; readonly plan: PackPlan; readonly vm: string },
  ) {
    this.#engine = engine;
    this.#view = of.view;
    this.#plan = of.plan;
    this.#vm = of.vm;
  }

  /** What the rows of a chunk hold that patterns describe; patterns not met before go into the plan. */
  resolve({ classes, descriptors }: Pick<ScannedChunk, 'classes' | 'descriptors'>): Uint32Array {
    const holdings = new Uint32Array(classes.length);
    let number = 0;
    let start = 0;
    for (let row = 0; row < classes.length; row += 1) {
      const patternClass = classes[row]!;
      if (patternClass <= CLASS_ZERO) continue;
      const end = descriptors.ends[number]!;
      holdings[row] = this.#holdingOf(descriptors.bytes.subarray(start, end), patternClass);
      start = end;
      number += 1;
    }
    return holdings;
  }

  #holdingOf(descriptor: Uint8Array, patternClass: number): Holding {
    const key = keyOf(descriptor);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const holding = publicPatternOf(descriptor) || this.#keptPattern(descriptor, patternClass);
    if (this.#known.size < KNOWN_MAX) this.#known.set(key, holding);
    return holding;
  }

  #keptPattern(descriptor: Uint8Array, patternClass: number): Holding {
    const identifier = keptPatternIdentifier(this.#engine, {
      descriptor,
      patternClass,
      vm: this.#vm,
    });
    const found = this.#view.findPattern(identifier);
    if (found > ZERO) return found;
    this.#plan.addPattern({ descriptor: descriptor.slice(), identifier });
    return this.#view.storePattern(identifier);
  }
}
