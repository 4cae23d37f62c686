// The pages that clones touched of what they map, host by host, as their events tell it, and what other ways
// to choose what is dropped would have made of them. From events alone; O(log), and of each policy O(pages
// touched).

import {
  replayEvictions,
  type EvictionPolicy,
  type References,
  type ReplayedEvictions,
} from '../../domain/eviction-policies.ts';
import { fileKey, type BaseFile } from '../../domain/host-memory.ts';
import { unionOf } from '../../domain/values/capture-ranges.ts';
import { hostMemoryEventIn } from '../models/host-memory.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';

/** The events of a ledger, and where they begin. */
export interface ReplayedLog {
  readonly state: Pick<LedgerState, 'start'> & {
    readonly catalogue: { readonly ledger: string | null };
  };
  readonly replay: Replay;
}

/** Most references of a host that are replayed: what its clones touched later is left out, which is said. */
const REFERENCES_MAX = 2 ** 24;

/** More than the number of any page. */
const GFNS = 2 ** 32;

/** What the clones of a host touched. */
class HostTrace {
  readonly #pages: number[] = [];
  readonly #clones: number[] = [];
  readonly #pageNumbers = new Map<number, number>();
  readonly #files = new Map<string, number>();
  readonly #cloneNumbers = new Map<string, number>();
  isCut = false;

  touch(clone: string, file: string, gfn: number): void {
    if (this.#pages.length >= REFERENCES_MAX) {
      this.isCut = true;
      return;
    }
    const key = numberOf(this.#files, file) * GFNS + gfn;
    this.#pages.push(numberOf(this.#pageNumbers, key));
    this.#clones.push(numberOf(this.#cloneNumbers, clone));
  }

  get references(): References {
    return {
      pages: Uint32Array.from(this.#pages),
      clones: Uint32Array.from(this.#clones),
      pageCount: this.#pageNumbers.size,
      cloneCount: this.#cloneNumbers.size,
    };
  }
}

/** The number of a key: the next one where it has none. */
function numberOf<K>(numbers: Map<K, number>, key: K): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  numbers.set(key, numbers.size);
  return numbers.size - 1;
}

/** The traces of hosts, by their names. */
async function tracesOf({ state, replay }: ReplayedLog): Promise<ReadonlyMap<string, HostTrace>> {
  const traces = new Map<string, HostTrace>();
  const hosts = new Map<string, string>();
  const fetched = (clone: string, base: BaseFile, ranges: ReturnType<typeof unionOf>): void => {
    const host = hosts.get(clone);
    if (host === undefined) return;
    const trace = traces.get(host) ?? new HostTrace();
    traces.set(host, trace);
    const file = fileKey(host, base);
    for (const [first, last] of ranges)
      for (let gfn = first; gfn <= last && !trace.isCut; gfn += 1) trace.touch(clone, file, gfn);
  };
  await replay(state.start, (change) => {
    const event = hostMemoryEventIn(change, state.catalogue.ledger);
    if (event?.type === 'PointLeased') hosts.set(event.data.lease, event.data.holder.host);
    if (event?.type === 'PageFetched') {
      const { clone, base, server, host } = event.data;
      fetched(clone, base, unionOf(server, host));
    }
    return Promise.resolve();
  });
  return traces;
}

/** A host's memory under a policy. */
export interface ReplayedHost extends ReplayedEvictions {
  readonly host: string;
  readonly policy: EvictionPolicy;
  /** Pages that the memory had room for, and how many different ones were touched, how often. */
  readonly capacity: number;
  readonly pages: number;
  readonly references: number;
  /** Whether more was touched than is replayed. */
  readonly isCut: boolean;
}

/** Parts of all pages that were touched, where nobody says how many there is room for. */
const PARTS = [0.75, 0.5, 0.25];

/** What policies make of what clones touched; null: in memories of three, two and one quarter of their pages. */
export async function replayClones(
  of: ReplayedLog,
  request: { readonly policies: readonly EvictionPolicy[]; readonly capacity: number | null },
): Promise<readonly ReplayedHost[]> {
  const { policies, capacity: asked } = request;
  return [...(await tracesOf(of))].flatMap(([host, { references, isCut }]) => {
    const { pageCount: pages } = references;
    const parts = PARTS.map((part) => Math.max(1, Math.floor(part * pages)));
    const capacities = asked === null ? [...new Set(parts)] : [asked];
    return capacities.flatMap((capacity) =>
      policies.map((policy) => ({
        host,
        policy,
        capacity,
        pages,
        references: references.pages.length,
        isCut,
        ...replayEvictions(references, { policy, capacity }),
      })),
    );
  });
}
