// Clones on hosts without the ledger, as the ledger knows them: whoever serves their master's memory writes
// down what they are told by these hosts. No process of theirs can be looked up from here, so such a clone
// is there until its host says that it has ended, or somebody ends its lease.

import { formatOfType } from '../../../domain/events/control.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import { decideToldLook } from '../../../domain/host-memory.ts';
import { hasFormat } from '../../../domain/ledger.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Holder } from '../../../domain/values/lease.ts';
import type { PageRanges } from '../../../domain/values/page-ranges.ts';
import { blockLayoutOf } from '../../../domain/values/raw-layout.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import type { LeaseRow } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';
import { beginClone, endClone } from './clones.ts';

/** What a host says of a clone of its own. */
export interface ToldClone {
  readonly what: 'began' | 'ended';
  /** How it comes by its memory. */
  readonly kind: 'mapped' | 'postcopy';
  /** The lease that it is named by, which its host has drawn. */
  readonly lease: string;
  /** Its process, on its host. */
  readonly holder: Holder;
  /** Where it is controlled there. */
  readonly qmp: string;
  /** Pages that it had of its own when it was seen last; null: it was not. */
  readonly privatePages: number | null;
}

/** What is news of a clone's memory since its host said that last, or a part of it. */
export interface ToldLook {
  readonly what: 'saw';
  readonly lease: string;
  readonly holder: Holder;
  /** What it maps there. */
  readonly file: string;
  /** Pages of it that no clone of that host has any more. */
  readonly gone: PageRanges;
  /** Pages that the clone has of it, and those that are its own. */
  readonly came: PageRanges;
  readonly own: PageRanges;
  /** Pages that the clone was made to drop. */
  readonly dropped: number;
}

/** Clones that hold a point at once; a peer that claims more is flooding. */
const CLONES_MAX = 1024;
/** What is noted of all clones together for as long as a point is served, in ranges of pages, and a part of it. */
const RANGES_MAX = 2 ** 24;
const PART_RANGES = 16;
/** How a file of another host is told from one of this: that begins with a slash. */
const FAR = 'far:';

const FIELDS = ['host', 'machine', 'boot', 'space', 'process', 'started'] as const;
const isSame = (one: Holder, other: Holder): boolean =>
  FIELDS.every((field) => one[field] === other[field]);

const refused = (message: string, { lease }: { readonly lease: string }): LedgerError =>
  new LedgerError('PEER_REFUSED', message, { clone: lease });

/** A block of a point, whose clones hosts tell of. */
interface Served {
  readonly point: VmPoint;
  readonly block: string;
}

/** Notes what hosts say of their clones of one point, for as long as that is served. */
export class FarClones {
  readonly #ledger: Ledger;
  readonly #served: Served;
  readonly #rangesMax: number;
  /** Ranges that were noted, each part as PART_RANGES at least. */
  #ranges = 0;

  constructor(ledger: Ledger, served: Served, { rangesMax = RANGES_MAX } = {}) {
    this.#ledger = ledger;
    this.#served = served;
    this.#rangesMax = rangesMax;
  }

  /**
   * Notes what a host says of its clone. PEER_REFUSED: there are too many, it is another's, or the ledger
   * cannot be written.
   */
  async note(told: ToldClone | ToldLook): Promise<void> {
    const held = await this.#held();
    const { lease, holder } = told;
    const known = held.find((row) => row.lease === lease);
    if (known !== undefined && !isSame(known.holder, holder))
      throw refused(
        `clone ${lease} is of process ${known.holder.process} of ${known.holder.host}`,
        told,
      );
    if (told.what !== 'saw') return this.#noteClone(told, held);
    if (known === undefined) throw refused(`no clone ${lease} is known here`, told);
    return this.#noteLook(told);
  }

  /** Who holds the point as a clone. */
  async #held(): Promise<readonly LeaseRow[]> {
    const { entry, row } = this.#served.point;
    await this.#ledger.state.catchUp({ heavy: false });
    const { leases } = this.#ledger.vm(entry.vm);
    return leases.filter(({ kind, capture }) => kind === 'clone' && capture === row.capture);
  }

  async #noteClone(told: ToldClone, held: readonly LeaseRow[]): Promise<void> {
    const { point, block } = this.#served;
    const { vm } = point.entry;
    const { kind, lease, holder, qmp, privatePages } = told;
    if (told.what === 'ended') {
      const isKnown = held.some((row) => row.lease === lease);
      if (isKnown) await endClone(this.#ledger, point, { id: lease, privatePages });
      return;
    }
    if (held.length >= CLONES_MAX)
      throw refused(
        `${CLONES_MAX} clones hold ${vm}@${point.row.capture}: no more are noted`,
        told,
      );
    const mapped = kind === 'mapped' ? block : null;
    const clone = { lease, holder, block: mapped, qmp, kind };
    const id = await beginClone(this.#ledger, point, clone);
    if (id === null) throw refused('the ledger cannot be written: no clone is noted in it', told);
  }

  async #noteLook(told: ToldLook): Promise<void> {
    const { point, block } = this.#served;
    const { vm } = point.entry;
    const { lease: clone, file, gone, came, own, dropped } = told;
    this.#ranges += PART_RANGES + gone.length + came.length + own.length;
    if (this.#ranges > this.#rangesMax)
      throw refused(
        `${this.#rangesMax} ranges of what clones have were noted since this is served: no more are`,
        told,
      );
    const { facts } = this.#ledger.state.catalogue;
    if (!hasFormat(facts, formatOfType('PageFetched')))
      throw refused('the ledger is of a format that does not know what clones fetched', told);
    const [piece] = accepted(blockLayoutOf(memoryMapOf(point), { vm, block })).pieces;
    const { gfn, pages } = piece!;
    const isInside = (ranges: PageRanges): boolean =>
      ranges.every(([first, last]) => first >= gfn && last < gfn + pages);
    if (![gone, came, own].every(isInside) || dropped > pages)
      throw refused(`clone ${clone} cannot have pages that ${block} has not`, told);
    const base = { vm, capture: point.row.capture, file: FAR + file };
    const look = { _tag: 'NoteToldLook', vm, clone, base, gone, came, own, dropped } as const;
    await this.#ledger.decide(pointsStream(vm), () =>
      decideToldLook(this.#ledger.state.hostMemory)(look),
    );
  }
}
