// What clones of a memory server have of its memory, told to it by their host: what is news since it was told
// last, in parts that a name has room for. While the server is away nothing is told, and what is news grows;
// of a clone that it does not take it is told no more.

import { accepted } from '../../../domain/ports/run.ts';
import { unionOf } from '../../../domain/values/capture-ranges.ts';
import {
  decideLook,
  evolveHostMemory,
  initialHostMemory,
  type BaseFile,
  type HostMemory,
  type HostMemoryEvent,
  type SeenClone,
} from '../../../domain/host-memory.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { Holder } from '../../../domain/values/lease.ts';
import { differenceOf, intersectionOf, NO_PAGES } from '../../../domain/values/page-ranges.ts';
import type { ToldLook } from '../../wiring/clones/far-clones.ts';
import type { LookTeller } from '../../wiring/clones/page-looks.ts';
import { partOfLook } from './clone-names.ts';
import type { FarServer } from './far-memory.ts';
import { tellServer } from './told-clones.ts';

type Lists = Pick<ToldLook, 'gone' | 'came' | 'own'>;
const NO_LISTS: Lists = { gone: NO_PAGES, came: NO_PAGES, own: NO_PAGES };
const isEmpty = ({ gone, came, own }: Lists): boolean =>
  gone.length + came.length + own.length === 0;

/** The pages that an event tells of, as a server is told. */
function listsOf(event: HostMemoryEvent): Lists {
  if (event.type === 'PageEvicted') return { ...NO_LISTS, gone: event.data.pages };
  if (event.type !== 'PageFetched') return NO_LISTS;
  const { server, host, own } = event.data;
  return { ...NO_LISTS, came: unionOf(server, host), own };
}

/** An event of these pages alone, of all that it tells of. */
function partOf(event: HostMemoryEvent, { gone, came, own }: Lists): HostMemoryEvent {
  if (event.type === 'PageEvicted')
    return { type: event.type, data: { ...event.data, pages: gone } };
  if (event.type !== 'PageFetched') return event;
  const server = intersectionOf(event.data.server, came);
  const host = intersectionOf(event.data.host, came);
  return { type: event.type, data: { ...event.data, server, host, own } };
}

export class ToldLooks implements LookTeller {
  readonly #server: FarServer;
  readonly #base: BaseFile;
  readonly #holders = new Map<string, Holder>();
  /** Pages that were dropped, and are not told yet, by clone. */
  readonly #dropped = new Map<string, number>();
  /** What the server was told. */
  memory: HostMemory = initialHostMemory;

  constructor(server: FarServer, base: BaseFile) {
    this.#server = server;
    this.#base = base;
  }

  #evolve(event: HostMemoryEvent): void {
    this.memory = evolveHostMemory(this.memory, event);
  }

  /** Tells of one more, which the server knows by this lease. */
  add(lease: string, holder: Holder): void {
    const { vm, capture } = this.#base;
    const data = { vm, capture, lease, kind: 'clone', ledger: '', holder };
    this.#holders.set(lease, holder);
    this.#evolve({ type: 'PointLeased', data });
  }

  /** Tells that a clone dropped pages; while the server is away the next time, with what it drops then. */
  async dropped(lease: string, pages: number): Promise<void> {
    const dropped = pages + (this.#dropped.get(lease) ?? 0);
    this.#dropped.delete(lease);
    const { file } = this.#base;
    const isTold = await this.#tell(lease, { ...NO_LISTS, file, dropped });
    if (!isTold) this.#dropped.set(lease, dropped + (this.#dropped.get(lease) ?? 0));
  }

  async say(seen: readonly SeenClone[]): Promise<void> {
    const { vm } = this.#base;
    for (const event of accepted(decideLook(this.memory)({ _tag: 'NoteLook', vm, seen })))
      if (!(await this.#sayInParts(event))) return;
  }

  /** Says an event in parts; whether all of them were said, or nobody wants them. */
  async #sayInParts(event: Extract<HostMemoryEvent, { type: 'PageFetched' | 'PageEvicted' }>) {
    const { clone } = event.data;
    const { file } = event.type === 'PageFetched' ? event.data.base : this.#base;
    for (let left = listsOf(event); !isEmpty(left);) {
      const part = partOfLook(left);
      if (!(await this.#tell(clone, { ...part, file, dropped: 0 }))) return false;
      if (!this.#holders.has(clone)) return true;
      this.#evolve(partOf(event, part));
      left = {
        gone: differenceOf(left.gone, part.gone),
        came: differenceOf(left.came, part.came),
        own: differenceOf(left.own, part.own),
      };
    }
    return true;
  }

  /** Tells of a clone; whether it was told, or nobody wants to know. */
  async #tell(lease: string, told: Lists & Pick<ToldLook, 'file' | 'dropped'>): Promise<boolean> {
    const holder = this.#holders.get(lease);
    if (holder === undefined) return true;
    const { vm } = this.#base;
    try {
      await tellServer(this.#server, { what: 'saw', lease, holder, ...told });
    } catch (thrown) {
      if (!isLedgerError(thrown)) throw thrown;
      if (thrown.code === 'PEER_UNREACHABLE') return false;
      this.#holders.delete(lease);
      this.#evolve({ type: 'LeaseEnded', data: { vm, lease, why: 'ended' } });
    }
    return true;
  }
}
