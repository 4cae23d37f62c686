// Log order is the order of the commits: a capture's batches take effect at its
// CaptureCommitted and are handed on just before it, in order of the commits; batches without a
// commit are ignored for ever. This assembler turns log items into that order. Its memory is bounded:
// past PENDING_BYTES_MAX the batches of an unfinished capture are dropped and read again at its commit.
//
// Invariants: changes come with ascending positions; a capture's batches are the `batches` events of
// its stream right before its commit.

import * as either from 'fp-ts/lib/Either.js';
import {
  decodeControl,
  isBatchType,
  isControlType,
  isEventType,
  isStoreType,
  newerEvent,
  schemaOf,
  streamOf,
  type CaptureCommitted,
  type ToldEvent,
} from '../domain/events/control.ts';
import type { Actor } from '../domain/events/actor.ts';
import { areCapturedOnce } from '../domain/invariants.ts';
import { isLedgerError, type LedgerError } from '../domain/values/ledger-error.ts';
import { decodePackWritten, type PackWritten } from '../domain/events/pack-written.ts';
import { decodePageColumns, type PageColumns } from '../domain/events/pages-written.ts';
import {
  markOf,
  type EventLog,
  type EventMark,
  type LogDamage,
  type LogItem,
  type Position,
  type StoredEvent,
} from '../domain/ports/event-log.ts';
import { decodePackRewritten, type PackRewritten } from '../domain/events/pack-rewritten.ts';
import { LEDGER_STREAM, STORE_STREAM } from '../domain/events/streams.ts';
import type { MemoryMap } from '../domain/values/memory-map.ts';

/** Bytes of unfinished captures kept in memory. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024;

/** How types of events of ours are written: what others wrote into a server's streams is called otherwise. */
const OWN_TYPE = /^[A-Z][A-Za-z]*$/u;

/** An event of ours, of a type that this release does not know: it changes nothing that is known. */
export type PassedOver = Pick<StoredEvent, 'type' | 'position' | 'stream'>;

/** Where a capture's batches stand in its stream. */
export interface BatchRange {
  readonly firstRevision: number;
  readonly count: number;
  /** A position at or before the first batch. */
  readonly fromPosition: Position;
}

/** A committed capture with its batches decoded. */
export interface CaptureChange {
  readonly _tag: 'capture';
  readonly position: Position;
  /** Hex of the commit's id, which no other event has. */
  readonly id: string;
  readonly timeMs: number;
  readonly committed: CaptureCommitted;
  /** Who recorded it; absent: the commit does not say. */
  readonly by?: Actor;
  /** Of the commit, in its stream. */
  readonly revision: number;
  readonly range: BatchRange;
  readonly packs: readonly PackWritten[];
  readonly batches: readonly PageColumns[];
  readonly device: PageColumns | null;
  /** Pages of its attachments, in the order of their commit's list. */
  readonly attachments: readonly PageColumns[];
  /** What of the capture could not be read; null: it is whole. */
  readonly damage: string | null;
}

export interface ControlChange {
  readonly _tag: 'control';
  readonly position: Position;
  readonly id: string;
  readonly timeMs: number;
  readonly stream: string;
  readonly event: ToldEvent;
}

/** Content that compaction moved. */
export interface RewriteChange {
  readonly _tag: 'rewrite';
  readonly position: Position;
  readonly id: string;
  readonly timeMs: number;
  readonly pack: PackRewritten;
}

export interface DamageChange {
  readonly _tag: 'damage';
  readonly position: Position;
  readonly damage: LogDamage;
}

/** A VM as it was where history begins. */
export interface BaselineVm {
  readonly vm: string;
  /** Its newest capture there; 0: it had none. */
  readonly capture: number;
  readonly timeMs: number | null;
  readonly memoryMap: MemoryMap;
  readonly isRetired: boolean;
  /** What its pages held; empty of a VM that was retired. The receiver's own. */
  readonly holdings: Uint32Array;
}

/** What stands for everything before the first change, where events have left the log. */
export interface BaselineChange {
  readonly _tag: 'baseline';
  /** Everything up to this place is before history. */
  readonly position: Position;
  readonly id: string;
  readonly timeMs: number;
  readonly vms: readonly BaselineVm[];
  /** Contents that are stored as patches. */
  readonly patches: Uint32Array;
}

/** What projections fold, in log order. */
export type Change = BaselineChange | CaptureChange | ControlChange | RewriteChange | DamageChange;

interface Pending {
  /** Revision and position of the oldest batch kept for the stream. */
  firstRevision: number;
  firstPosition: Position;
  /** The batches, oldest first; null: they were dropped and are read again at the commit. */
  events: StoredEvent[] | null;
  bytes: number;
}

/** A capture's batches, decoded; a sentence where they are not whole. */
export function decodeBatches(
  events: readonly StoredEvent[],
): Pick<CaptureChange, 'packs' | 'batches' | 'device' | 'attachments' | 'damage'> {
  const packs: PackWritten[] = [];
  const batches: PageColumns[] = [];
  const attachments: PageColumns[] = [];
  let device: PageColumns | null = null;
  let damage: string | null = null;
  for (const event of events) {
    if (event.schema > schemaOf(event.type)) {
      damage ??= newerEvent(event).message;
      continue;
    }
    if (event.type === 'PackWritten') {
      const pack = decodePackWritten(event);
      if (either.isLeft(pack)) damage ??= `position ${event.position}: ${pack.left.message}`;
      else packs.push(pack.right);
      continue;
    }
    const columns = decodePageColumns(event);
    if (either.isLeft(columns)) damage ??= `position ${event.position}: ${columns.left.message}`;
    else if (event.type === 'DeviceStateWritten') device = columns.right;
    else if (event.type === 'AttachmentsWritten') attachments.push(columns.right);
    else batches.push(columns.right);
  }
  if (!areCapturedOnce(batches)) damage ??= 'its batches name a page twice, or out of order';
  return { packs, batches, device, attachments, damage };
}

/** Page events of a capture, as far as they could be read. */
export const rowsOf = ({ batches }: Pick<CaptureChange, 'batches'>): number =>
  batches.reduce((sum, { kinds }) => sum + kinds.length, 0);

/** Columns of pages that are no memory: of a device state and of attachments. */
export const besideOf = ({
  device,
  attachments,
}: Pick<CaptureChange, 'device' | 'attachments'>): readonly PageColumns[] =>
  device === null ? attachments : [device, ...attachments];

/** The events of a capture's batches, read from the log; damage as a sentence, never a throw. */
export async function readBatches(
  log: EventLog,
  stream: string,
  range: BatchRange,
): Promise<{ readonly events: readonly StoredEvent[]; readonly damage: string | null }> {
  const events: StoredEvent[] = [];
  if (range.count === 0) return { events, damage: null };
  const { firstRevision: fromRevision, count, fromPosition } = range;
  try {
    for await (const chunk of log.readStream({ stream, fromRevision, count, fromPosition }))
      events.push(...chunk);
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
    return { events, damage: thrown.message };
  }
  const missing = count - events.length;
  return { events, damage: missing === 0 ? null : `${missing} of ${count} batches are missing` };
}

/** What an assembler needs to go on where it stopped. */
export interface AssemblerState {
  readonly next: Position;
  /** The last event before `next`, which a log that is the same one has; null: none is known. */
  readonly last: EventMark | null;
  readonly pending: readonly {
    readonly stream: string;
    readonly revision: number;
    readonly position: Position;
  }[];
}

/**
 * An event that is none of its type, or of a later release's schema, counts as lost: it closes the VM,
 * or the store, whose stream it stands in. In the ledger's own stream a later release tells earlier
 * ones to keep away: EVENT_NEWER is thrown.
 */
function damageOf(event: StoredEvent, failure: LedgerError): DamageChange {
  if (failure.code === 'EVENT_NEWER' && event.stream === LEDGER_STREAM) throw failure;
  return lostOf(event, failure.message);
}

/** Whoever may write to one stream says nothing about another's VM. */
const strayOf = (event: StoredEvent, stream: string): DamageChange =>
  lostOf(
    event,
    `found a ${event.type} at position ${event.position} in the stream ${event.stream}, expected it in ${stream}: it counts for nothing`,
  );

function lostOf(event: StoredEvent, reason: string): DamageChange {
  const { position, stream, revision } = event;
  const damage = {
    position,
    lengthBytes: event.data.length,
    stream,
    revisions: [revision, revision] as const,
    reason,
  };
  return { _tag: 'damage', position, damage };
}

function rewriteOf(event: StoredEvent): RewriteChange | DamageChange {
  if (event.schema > schemaOf(event.type)) return damageOf(event, newerEvent(event));
  const { timeMs } = event;
  if (event.stream !== STORE_STREAM) return strayOf(event, STORE_STREAM);
  const decoded = decodePackRewritten(event);
  return either.isRight(decoded)
    ? { _tag: 'rewrite', ...markOf(event), timeMs, pack: decoded.right }
    : damageOf(event, decoded.left);
}

/** The captures among changes in log order: of two commits of one the first counts. */
export class MetCaptures {
  /** By VM, the last number. */
  readonly #last = new Map<string, number>();

  /** Whether a change is a commit of a capture that came before. It has come then. */
  isRepeated(change: Change): boolean {
    if (change._tag !== 'capture') return false;
    const { vm, capture } = change.committed;
    if (capture <= (this.#last.get(vm) ?? 0)) return true;
    this.#last.set(vm, capture);
    return false;
  }
}

/** Nothing was read yet. */
export const LOG_START: AssemblerState = { next: 0n, last: null, pending: [] };

export interface AssemblerOptions {
  readonly pendingBytesMax?: number;
  readonly onPassedOver?: ((event: PassedOver) => void) | undefined;
}

export class CommitAssembler {
  /** The last event that was taken. */
  #last: EventMark | null;
  readonly #log: EventLog;
  readonly #pendingBytesMax: number;
  readonly #onPassedOver: (event: PassedOver) => void;
  readonly #pending = new Map<string, Pending>();
  #pendingBytes = 0;

  constructor(log: EventLog, state?: AssemblerState, options: AssemblerOptions = {}) {
    this.#log = log;
    this.#pendingBytesMax = options.pendingBytesMax ?? PENDING_BYTES_MAX;
    this.#onPassedOver = options.onPassedOver ?? (() => undefined);
    this.#last = state?.last ?? null;
    for (const { stream, revision, position } of state?.pending ?? [])
      this.#pending.set(stream, {
        firstRevision: revision,
        firstPosition: position,
        events: null,
        bytes: 0,
      });
  }

  /** What to keep, so that another one can go on from `next`, where the items that were taken end. */
  stateAt(next: Position): AssemblerState {
    const pending = [...this.#pending].map(([stream, { firstRevision, firstPosition }]) => ({
      stream,
      revision: firstRevision,
      position: firstPosition,
    }));
    return { next, last: this.#last, pending };
  }

  /** The changes that these items bring about, in order. */
  async take(items: readonly LogItem[]): Promise<readonly Change[]> {
    const changes: Change[] = [];
    for (const item of items) {
      if (item._tag === 'damage')
        changes.push({ _tag: 'damage', position: item.damage.position, damage: item.damage });
      else {
        this.#last = markOf(item.event);
        const change = await this.#takeEvent(item.event);
        if (change !== null) changes.push(change);
      }
    }
    return changes;
  }

  async #takeEvent(event: StoredEvent): Promise<Change | null> {
    if (isBatchType(event.type)) {
      this.#keep(event);
      return null;
    }
    if (isStoreType(event.type)) return rewriteOf(event);
    // Events of a newer catalogue are for newer readers; they change nothing that we know.
    if (!isControlType(event.type)) {
      const isLater = !isEventType(event.type) && OWN_TYPE.test(event.type);
      if (isLater) this.#onPassedOver(event);
      return null;
    }
    const decoded = decodeControl(event);
    if (either.isLeft(decoded)) return damageOf(event, decoded.left);
    const { timeMs, stream } = event;
    const own = streamOf(decoded.right);
    if (stream !== own) return strayOf(event, own);
    const told = decoded.right;
    if (told.type !== 'CaptureCommitted')
      return { _tag: 'control', ...markOf(event), timeMs, stream, event: told };
    const change = await this.#commit(event, told.data);
    return told.by === undefined ? change : { ...change, by: told.by };
  }

  #keep(event: StoredEvent): void {
    let pending = this.#pending.get(event.stream);
    if (pending === undefined) {
      const { revision: firstRevision, position: firstPosition } = event;
      pending = { firstRevision, firstPosition, events: [], bytes: 0 };
      this.#pending.set(event.stream, pending);
    }
    if (pending.events === null) return;
    pending.events.push(event);
    pending.bytes += event.data.length;
    this.#pendingBytes += event.data.length;
    if (this.#pendingBytes > this.#pendingBytesMax) this.#forget(pending);
  }

  #forget(pending: Pending): void {
    this.#pendingBytes -= pending.bytes;
    pending.events = null;
    pending.bytes = 0;
  }

  async #commit(event: StoredEvent, committed: CaptureCommitted): Promise<CaptureChange> {
    const pending = this.#pending.get(event.stream);
    this.#pending.delete(event.stream);
    if (pending !== undefined) this.#pendingBytes -= pending.bytes;
    const { position, timeMs, stream } = event;
    const { batches: count, firstRevision } = committed;
    const kept = (pending?.events ?? []).filter(
      ({ revision }) => revision >= firstRevision && revision < firstRevision + count,
    );
    const range: BatchRange = {
      firstRevision,
      count,
      fromPosition: kept[0]?.position ?? pending?.firstPosition ?? position,
    };
    const read =
      kept.length === count
        ? { events: kept, damage: null }
        : await readBatches(this.#log, stream, range);
    const decoded = decodeBatches(read.events);
    const damage = read.damage ?? decoded.damage;
    return {
      _tag: 'capture',
      ...markOf(event),
      timeMs,
      committed,
      revision: event.revision,
      range,
      ...decoded,
      damage,
    };
  }
}
