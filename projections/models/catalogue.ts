// The catalogue: VMs, their captures and checkpoints, as the fold says. Light: `captures`, `vms`,
// `checkpoints` and the resolution of points need nothing else.

import { evolvePoints } from '../../domain/points.ts';
import type { EventOf, ToldEvent } from '../../domain/events/control.ts';
import { assert } from '../../domain/values/assert.ts';
import type { LogDamage, Position } from '../../domain/ports/event-log.ts';
import { STORE_STREAM, vmOfStream } from '../../domain/events/streams.ts';
import { evolveLedger, initialLedger, type LedgerFacts } from '../../domain/ledger.ts';
import {
  evolveMigrations,
  initialMigrations,
  type MigrationsEvent,
  type MigrationState,
} from '../../domain/migrations.ts';
import { evolveVm, isRepeated, type VmEvent } from '../../domain/vm.ts';
import { rowsOf, type AssemblerState, type CaptureChange, type Change } from '../commits.ts';
import { applyToClones } from './clone-rows.ts';
import {
  applyArrival,
  applyToHosts,
  isOfHosts,
  isOfMigrations,
  type HostRow,
} from './host-rows.ts';
import { VmEntry, type CaptureRow } from './vm-entry.ts';

/** Where the history of all VMs begins. */
export interface HistoryStart {
  /** Events up to this place are before it; what VMs were there stands in the baseline. */
  readonly position: Position;
  /** The event that said so. */
  readonly at: Position;
  readonly id: string;
  readonly timeMs: number;
  /** Where folding goes on behind it. */
  readonly from: AssemblerState;
}

/** What the fold of sharing says of a capture, beside what was recorded. */
export interface FoldedCounts {
  /** Recorded stores that fold as merges. */
  readonly overridden: number;
  readonly broken: number;
}

export class Catalogue {
  readonly vms = new Map<string, VmEntry>();
  /** Hosts that are in the workgroup, or were. */
  readonly hosts = new Map<string, HostRow>();
  /** The last migration of each VM whose guest was moved; this ledger may not have the VM itself. */
  readonly migrations = new Map<string, MigrationState>();
  /** What the ledger is by its own stream. */
  facts: LedgerFacts = initialLedger;
  /** Why it may not be known where all content lies; null: it is. */
  lostStore: string | null = null;
  /** Where history begins; null: with the log. */
  history: HistoryStart | null = null;

  /** The entry of a VM, made where there is none. */
  entry(vm: string): VmEntry {
    let entry = this.vms.get(vm);
    if (entry === undefined) {
      entry = new VmEntry(vm);
      this.vms.set(vm, entry);
    }
    return entry;
  }

  /** Whether a pack, or a map, was written for a checkpoint that is there. O(checkpoints). */
  isOfCheckpoint(pack: string): boolean {
    for (const { checkpoints } of this.vms.values())
      for (const { layout } of checkpoints)
        if (layout?.map?.name === pack || layout?.packs.includes(pack) === true) return true;
    return false;
  }

  /**
   * Whether a capture, about to be folded, lost batches of its own or the capture before it. Numbers
   * that follow each other show that no commit was lost between them.
   */
  isWiped(change: CaptureChange): boolean {
    const { vm, capture } = change.committed;
    const entry = this.vms.get(vm);
    const before = entry?.rows.last?.capture ?? entry?.gone?.capture ?? 0;
    return change.damage !== null || capture !== before + 1;
  }

  /** Whether a capture was committed before this commit, be it folded already or about to be. */
  isRepeated({ committed: { vm, capture }, position }: CaptureChange): boolean {
    const entry = this.vms.get(vm);
    if (entry === undefined) return false;
    const row = entry.capture(capture);
    return row === undefined ? isRepeated(entry.state, capture) : row.position !== position;
  }

  /** Keeps in mind that a capture was committed again; nothing else comes of it. */
  repeat({ committed: { vm, capture }, position }: CaptureChange): void {
    this.entry(vm).repeated.push({ capture, position });
  }

  apply(change: Change, folded: FoldedCounts): void {
    switch (change._tag) {
      case 'control':
        this.#control(change.event, change);
        break;
      case 'capture':
        this.#capture(change, folded);
        break;
      case 'damage': {
        const vm = change.damage.stream === null ? null : vmOfStream(change.damage.stream);
        if (vm !== null) this.#damage(this.entry(vm), change.damage);
        if (change.damage.stream === STORE_STREAM) this.lostStore = change.damage.reason;
        break;
      }
      case 'rewrite':
      case 'baseline':
        break;
      default:
        change satisfies never;
    }
  }

  /** Only what lies after the last commit leaves the end open; a later commit closes it. */
  #damage(entry: VmEntry, { revisions, reason }: LogDamage): void {
    const last = entry.rows.last?.revision ?? entry.gone?.revision ?? -1;
    if (revisions === null || revisions[1] > last) entry.lostTail = reason;
  }

  #ofVm(
    event: VmEvent,
    { position, timeMs }: { readonly position: Position; readonly timeMs: number },
  ): void {
    const entry = this.entry(event.data.vm);
    const before = entry.state;
    entry.state = evolveVm(before, event);
    const capture = before.captures + 1;
    const { registered } = entry.state;
    if (registered !== null && registered !== before.registered)
      entry.maps.push({ capture, memoryMap: registered.memoryMap, pages: null });
    if (event.type === 'CommandLineObserved')
      entry.commandLines.push({ capture, argv: event.data.argv });
    if (event.type === 'VmRegistered') entry.registeredAtMs = timeMs;
    if (event.type === 'VmRetired') entry.retired = { position, timeMs };
  }

  #leaseEnded(event: EventOf<'LeaseEnded'>, timeMs: number): void {
    const entry = this.entry(event.data.vm);
    entry.points = evolvePoints(entry.points, event);
    const i = entry.leases.findIndex(({ lease }) => lease === event.data.lease);
    if (i >= 0) entry.leases.splice(i, 1);
    applyToClones(entry, event, timeMs);
  }

  #taken(event: EventOf<'CheckpointTaken'>, at: { position: Position; timeMs: number }): void {
    const entry = this.entry(event.data.vm);
    entry.points = evolvePoints(entry.points, event);
    const { name, capture, note, layout } = event.data;
    const { position, timeMs } = at;
    entry.checkpoints.push({ name, capture, note, layout, position, timeMs, traced: null });
  }

  #laidOut({ data: { vm, name, capture, traced, layout } }: EventOf<'CheckpointLaidOut'>): void {
    const { checkpoints } = this.entry(vm);
    const i = checkpoints.findIndex((row) => row.name === name && row.capture === capture);
    if (i >= 0) checkpoints[i] = { ...checkpoints[i]!, traced, layout };
  }

  #control(event: ToldEvent, at: { position: Position; timeMs: number }): void {
    const { position, timeMs } = at;
    if (isOfHosts(event)) return applyToHosts(this.hosts, event, at);
    if (isOfMigrations(event)) return this.#migrated(event);
    switch (event.type) {
      case 'LedgerCreated':
      case 'GroupCreated':
      case 'PatternAdded':
        this.facts = evolveLedger(this.facts, event);
        break;
      case 'CheckpointTaken':
        this.#taken(event, at);
        break;
      case 'CheckpointLaidOut':
        this.#laidOut(event);
        break;
      case 'CheckpointDropped':
      case 'PointsForgotten': {
        const entry = this.entry(event.data.vm);
        entry.points = evolvePoints(entry.points, event);
        const { names } = entry.points;
        for (let i = entry.checkpoints.length - 1; i >= 0; i -= 1)
          if (!names.has(entry.checkpoints[i]!.name)) entry.checkpoints.splice(i, 1);
        break;
      }
      case 'PointLeased':
        if (this.#isOurs(event)) this.#lease(event, at);
        break;
      case 'LeaseEnded':
        this.#leaseEnded(event, timeMs);
        break;
      case 'CloneStarted':
      case 'PageEvicted':
      case 'CloneEnded':
      case 'CloneParked':
      case 'CloneWoken':
        applyToClones(this.entry(event.data.vm), event, timeMs);
        break;
      case 'MasterPublished':
      case 'PageFetched':
      case 'CheckpointRestored':
      case 'PageRequested':
      case 'LargePageSampled':
      case 'LargePageSplit':
      case 'LargePageRestored':
      case 'ContentReleased':
      case 'ContentLost':
      case 'ContentFound':
      case 'HistoryForgotten':
        break;
      case 'VmRegistered':
      case 'MemoryMapChanged':
      case 'CommandLineObserved':
      case 'CaptureCommitted':
      case 'VmRetired':
        this.#ofVm(event, { position, timeMs });
        break;
      default:
        event satisfies never;
    }
  }

  #migrated(event: MigrationsEvent): void {
    const { vm } = event.data;
    const before = this.migrations.get(vm) ?? initialMigrations;
    const after = evolveMigrations(before, event);
    if (after === null || after === before) return;
    this.migrations.set(vm, after);
    const { phase, to, capture } = after;
    if (phase === 'completed' && to !== null && capture !== null)
      applyArrival(this.hosts, to, { vm, capture });
  }

  /** Which ledger this is; null: its first event is not there. */
  get ledger(): string | null {
    return this.facts.ledger?.id ?? null;
  }

  /** Whether a point was leased in this ledger: nobody holds one in a copy of it. */
  #isOurs({ data: { ledger } }: EventOf<'PointLeased'>): boolean {
    return this.ledger === null || this.ledger === ledger;
  }

  #lease(
    event: EventOf<'PointLeased'> & Pick<ToldEvent, 'by'>,
    { position, timeMs }: { readonly position: Position; readonly timeMs: number },
  ): void {
    const { vm, lease, capture, kind, holder } = event.data;
    const entry = this.entry(vm);
    entry.points = evolvePoints(entry.points, event);
    const user = event.by?.user ?? null;
    entry.leases.push({ lease, capture, kind, holder, user, position, timeMs });
  }

  #capture(change: CaptureChange, folded: FoldedCounts): void {
    const isWiped = this.isWiped(change);
    const { committed, position, id, revision, range, damage } = change;
    const entry = this.entry(committed.vm);
    const row: CaptureRow = {
      capture: committed.capture,
      position,
      id,
      timeMs: committed.timeMs,
      recordedAtMs: change.timeMs,
      written: committed.written,
      stored: committed.stored - folded.overridden,
      merged: committed.merged + folded.overridden,
      pattern: committed.pattern,
      unchanged: committed.unchanged,
      broken: folded.broken,
      addedBytes: change.packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      pauseMs: committed.pauseMs,
      mode: committed.mode,
      source: committed.source,
      revision,
      range,
      hasDevice: change.device !== null,
      note: committed.note,
      image: committed.image,
      attachments: committed.attachments,
      hash: committed.hash,
      isWiped,
      damage,
    };
    const before = entry.rows.last?.position ?? -1n;
    assert(position > before, 'captures are folded in log order');
    entry.add(row, rowsOf(change));
    entry.state = evolveVm(entry.state, { type: 'CaptureCommitted', data: committed });
  }
}
