// A host that runs clones over files, as its kernel would: a page that is touched is in its memory from then
// on, a page that is written is the clone's own, and a page that is dropped is gone for all of them. What is
// said of it is decided by looks, as of real clones.

import fc from 'fast-check';
import {
  decideLook,
  evolveHostMemory,
  initialHostMemory,
  type HostMemory,
  type HostMemoryEvent,
  type SeenClone,
} from '../../../domain/host-memory.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { rangesOf } from '../../../domain/values/capture-ranges.ts';

export const CLONES = ['00000000000000aa', '00000000000000bb', '00000000000000cc'];
const FILES = ['/base/0', '/base/1'];
const HOST_PAGES = 40;

/** What happens on the host, one thing after the other; clones and pages by number. */
export type HostStep =
  | { readonly _tag: 'touch' | 'write'; readonly clone: number; readonly page: number }
  | { readonly _tag: 'drop'; readonly file: number; readonly pages: readonly number[] }
  | { readonly _tag: 'start' | 'end' | 'park'; readonly clone: number }
  | { readonly _tag: 'look' };

const clone = fc.nat(CLONES.length - 1);
const page = fc.nat(HOST_PAGES - 1);
export const hostStep: fc.Arbitrary<HostStep> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ _tag: fc.constantFrom('touch' as const, 'write'), clone, page }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constant('drop' as const),
      file: fc.nat(FILES.length - 1),
      pages: fc.array(page),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ _tag: fc.constantFrom('start' as const, 'end', 'park'), clone }),
  },
  { weight: 3, arbitrary: fc.constant({ _tag: 'look' as const }) },
);

/** The third clone maps a file of its own. */
export const fileOf = (of: number): number => Math.floor(of / 2);

export const leasedOn = (lease: string, host = 'one', ledger = 'here'): HostMemoryEvent => ({
  type: 'PointLeased',
  data: {
    vm: 'web',
    capture: 3,
    lease,
    kind: 'clone',
    ledger,
    holder: { host, machine: null, boot: null, space: null, process: 42, started: null },
  },
});

/** A clone's pages that it touched of its file, and its own. */
interface Running {
  readonly mapped: Set<number>;
  readonly own: Set<number>;
}

export class ClonedHost {
  readonly events: HostMemoryEvent[] = [];
  memory: HostMemory = initialHostMemory;
  readonly running = new Map<number, Running>();
  /** By file, the pages that any of its clones reads. */
  readonly cache = FILES.map(() => new Set<number>());

  say(...events: readonly HostMemoryEvent[]): void {
    this.events.push(...events);
    this.memory = events.reduce(evolveHostMemory, this.memory);
  }

  /** What is seen of all that run. */
  seen(): readonly SeenClone[] {
    return [...this.running].map(([of, { mapped, own }]) => ({
      clone: CLONES[of]!,
      base: { vm: 'web', capture: 3, file: FILES[fileOf(of)]! },
      mapped: rangesOf(mapped),
      own: rangesOf(own),
    }));
  }

  look(): readonly HostMemoryEvent[] {
    const events = accepted(
      decideLook(this.memory)({ _tag: 'NoteLook', vm: 'web', seen: this.seen() }),
    );
    this.say(...events);
    return events;
  }

  #end(of: number, isParked: boolean): void {
    const each = this.running.get(of);
    if (each === undefined) return;
    const lease = CLONES[of]!;
    this.running.delete(of);
    if (![...this.running.keys()].some((other) => fileOf(other) === fileOf(of)))
      this.cache[fileOf(of)]!.clear();
    const privatePages = each.own.size;
    const why = 'released';
    const data = { vm: 'web', clone: lease };
    if (isParked)
      this.say({ type: 'CloneParked', data: { ...data, as: 'web-a', at: 1, privatePages } });
    else this.say({ type: 'CloneEnded', data: { ...data, why, privatePages } });
    this.say({ type: 'LeaseEnded', data: { vm: 'web', lease, why } });
  }

  take(step: HostStep): void {
    switch (step._tag) {
      case 'start':
        if (this.running.has(step.clone)) break;
        this.running.set(step.clone, { mapped: new Set(), own: new Set() });
        this.say(leasedOn(CLONES[step.clone]!));
        break;
      case 'end':
      case 'park':
        this.#end(step.clone, step._tag === 'park');
        break;
      case 'touch':
      case 'write': {
        const each = this.running.get(step.clone);
        if (each === undefined) break;
        if (!each.own.has(step.page)) {
          each.mapped.add(step.page);
          this.cache[fileOf(step.clone)]!.add(step.page);
        }
        if (step._tag === 'touch') break;
        each.mapped.delete(step.page);
        each.own.add(step.page);
        break;
      }
      case 'drop':
        for (const dropped of step.pages) {
          this.cache[step.file]!.delete(dropped);
          for (const [of, { mapped }] of this.running)
            if (fileOf(of) === step.file) mapped.delete(dropped);
        }
        break;
      case 'look':
        this.look();
        break;
      default:
        step satisfies never;
    }
  }
}
