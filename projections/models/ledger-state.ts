// All that is folded from the log, at one position, and how it is kept. Two halves: the light one
// (catalogue, contents, differences of SharingBroken), which every command loads, and the heavy one
// (sharing: identifier index and holders), loaded only by who records or folds. Each half has a state
// file that bears its position, so either may be older than the log, and both may vanish.
//
// Invariants: the heavy half is never ahead of the light one; folding the same log gives the same
// state in every process.

import { RecentMap } from '../../domain/values/recent-map.ts';
import { Turn } from '../../domain/values/turn.ts';
import * as t from 'io-ts';
import { assert } from '../../domain/values/assert.ts';
import type { ContentReleased } from '../../domain/events/control.ts';
import { isLedgerError, LedgerError } from '../../domain/values/ledger-error.ts';
import { pageCountOf } from '../../domain/values/memory-map.ts';
import { UNKNOWN } from '../../domain/values/holding.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { EventLog, Position, StoredEvent } from '../../domain/ports/event-log.ts';
import { decodeState, StateReader, StateUnfit, StateWriter } from './state-bytes.ts';
import { catalogueOf, catalogueText } from './catalogue-state.ts';
import {
  Catalogue,
  isLinkedVm,
  type CaptureRow,
  type FoldedCounts,
  type VmEntry,
} from './catalogue.ts';
import {
  decodeBatches,
  type AssemblerState,
  type CaptureChange,
  type Change,
  type ControlChange,
} from '../commits.ts';
import { Contents } from './contents.ts';
import { loadHalf, saveHalf, START_HALF } from './half.ts';
import { IndexUnfit, type IdentifierColumn } from './identifier-index.ts';
import { isInLog, newestCommit } from './last-commit.ts';
import { PageTables, type PageTable } from './page-tables.ts';
import { reviveCapture, revivePatches, releaseSlots } from './releases.ts';
import { Sharing } from './sharing.ts';

const LIGHT_FILE = 'catalogue';
const IMAGES_PREFIX = 'tables/';
const HEAVY_FILE = 'sharing';
const LIGHT_FORMAT = 3;
const HEAVY_FORMAT = 3;
/** The heavy state is saved when so many page events, and an eighth of its contents, came since. */
const HEAVY_SAVE_ROWS = 4096;
const HEAVY_SAVE_FRACTION = 8;
/** Page tables kept in memory between folds. */
const TABLES_MAX = 64;

const TOGGLES = t.array(t.tuple([t.string, t.array(t.number)]));

/** Replays the log from a state and hands each change on; gives the state after it. */
export type Replay = (
  from: AssemblerState,
  consume: (change: Change) => Promise<void>,
) => Promise<AssemblerState>;

export interface LedgerStatePorts {
  readonly log: EventLog;
  readonly files: StateFiles;
  readonly identifiers: () => IdentifierColumn;
  readonly replay: Replay;
}

export class LedgerState {
  readonly #ports: LedgerStatePorts;
  readonly tables: PageTables;
  catalogue = new Catalogue();
  contents = new Contents();
  /** Items, by commit, whose SharingBroken the fold decides otherwise than was recorded. */
  toggles = new Map<Position, readonly number[]>();
  #light = START_HALF();
  #sharing: Sharing | null = null;
  #heavy = START_HALF();
  #current = new RecentMap<string, PageTable>({ max: TABLES_MAX });
  #isLightSaved = true;
  /** Whether there is a state at all: even a log without an event may have lost some. */
  #isKnown = false;
  #hasMetDamage = false;
  #heavyUnsavedRows = 0;
  /** One at a time: whoever records, asks and follows in one process shares this state. */
  readonly #turn = new Turn();

  constructor(ports: LedgerStatePorts) {
    this.#ports = ports;
    this.tables = new PageTables(ports);
  }

  /** Position up to which the light half is folded. */
  get next(): Position {
    return this.#light.from.next;
  }

  /** Where a reader goes on who has seen everything that the light half has. */
  get reached(): AssemblerState {
    return this.#light.from;
  }

  /** Loads the light half from its state file, if there is one that fits. */
  async load(): Promise<void> {
    const bytes = await this.#ports.files.load(LIGHT_FILE);
    if (bytes === null) return;
    try {
      const reader = new StateReader(bytes);
      const half = loadHalf(reader, LIGHT_FORMAT);
      const catalogue = catalogueOf(reader.text());
      const contents = Contents.load(reader);
      const toggles = decodeState(reader.text(), TOGGLES);
      Object.assign(this, { catalogue, contents });
      this.toggles = new Map(toggles.map(([position, items]) => [BigInt(position), items]));
      this.#light = half;
      this.#isKnown = true;
    } catch (thrown) {
      if (!(thrown instanceof StateUnfit)) throw thrown;
    }
  }

  /** The heavy half, at the log's head as of the last `catchUp({ heavy: true })`. */
  get sharing(): Sharing {
    assert(this.#sharing !== null, 'the sharing state is loaded before it is used');
    return this.#sharing;
  }

  async #loadHeavy(): Promise<void> {
    if (this.#sharing !== null) return;
    const column = this.#ports.identifiers();
    const bytes = await this.#ports.files.load(HEAVY_FILE);
    if (bytes !== null) {
      try {
        const reader = new StateReader(bytes);
        const half = loadHalf(reader, HEAVY_FORMAT);
        if (half.applied > this.#light.applied) throw new StateUnfit('ahead of the catalogue');
        const packs = reader.u32();
        if (reader.u64() !== this.contents.numbering(packs))
          throw new StateUnfit('its contents have other numbers');
        this.#sharing = Sharing.load(reader, column);
        this.#heavy = half;
        this.#heavyUnsavedRows = 0;
        return;
      } catch (thrown) {
        if (!(thrown instanceof StateUnfit)) throw thrown;
      }
    }
    column.clear();
    this.#sharing = new Sharing(column);
    this.#heavy = START_HALF();
    this.#heavyUnsavedRows = Number.POSITIVE_INFINITY;
  }

  /**
   * Folds what the log holds beyond this state. The heavy half is loaded when asked for, or when
   * there is something to fold: only it can decide outcomes.
   */
  catchUp(need: { readonly heavy: boolean }): Promise<void> {
    return this.#turn.run(() => this.#catchUp(need));
  }

  /** Folds until past a position that the log gave; at once where that is done. */
  async foldPast(position: Position): Promise<void> {
    if (this.next > position) return;
    await this.catchUp({ heavy: false });
    if (this.next > position) return;
    throw new LedgerError(
      'LOG_DAMAGED',
      `the log gave an event at position ${position} and now ends at ${this.next}; verify the ledger, and restore the log from a copy`,
      { position, found: this.next },
    );
  }

  async #catchUp(need: { readonly heavy: boolean }): Promise<void> {
    const head = await this.#ports.log.head()();
    if (head._tag === 'Left') throw head.left;
    if (!need.heavy && this.#isKnown && head.right === this.#light.from.next) return;
    // A log that ends before what was folded is not the log that was folded: its end was lost.
    if (head.right < this.#light.from.next) await this.#startAnew();
    try {
      await this.#fold();
    } catch (thrown) {
      if (!(thrown instanceof IndexUnfit)) throw thrown;
      await this.#startAnew();
      await this.#fold();
    }
  }

  /** Throws everything derived away and folds the log from its start. */
  rebuild(): Promise<void> {
    return this.#turn.run(async () => {
      await this.#startAnew();
      await this.#fold();
    });
  }

  /** Derived state that contradicts itself is thrown away whole; the log is the truth. */
  async #startAnew(): Promise<void> {
    this.#sharing = null;
    this.catalogue = new Catalogue();
    this.contents = new Contents();
    this.toggles = new Map();
    this.#light = START_HALF();
    this.#current.clear();
    await this.#ports.files.drop(HEAVY_FILE);
    await this.#ports.files.drop(LIGHT_FILE);
    for (const name of await this.#ports.files.list(IMAGES_PREFIX))
      await this.#ports.files.drop(name);
  }

  /**
   * Makes sure that the state that was loaded is of this log and of its present past: a server may
   * have been put back from a copy, and recorded into since. One read of one event; where that is not
   * the last commit folded, everything derived is thrown away.
   */
  confirm(): Promise<void> {
    return this.#turn.run(async () => {
      const last = newestCommit(this.catalogue);
      if (last !== null && !(await isInLog(this.#ports.log, last))) await this.#startAnew();
    });
  }

  async #fold(): Promise<void> {
    await this.#loadHeavy();
    const from =
      this.#heavy.from.next < this.#light.from.next ? this.#heavy.from : this.#light.from;
    this.sharing.room(this.contents.count);
    const after = await this.#ports.replay(from, (change) => this.#apply(change));
    if (after.next !== this.#light.from.next) this.#isLightSaved = false;
    this.#light.from = after;
    this.#heavy.from = after;
    this.#isKnown = true;
  }

  async #apply(change: Change): Promise<void> {
    // Damage bears the place where records are missing, which may lie before what was folded since.
    if (change._tag === 'damage') {
      this.catalogue.apply(change, { overridden: 0, broken: 0 });
      this.#hasMetDamage = true;
      return;
    }
    if (change._tag === 'capture' && change.damage !== null) this.#hasMetDamage = true;
    const isNew = change.position > this.#light.applied;
    const isNewToHeavy = change.position > this.#heavy.applied;
    let folded: FoldedCounts = { overridden: 0, broken: 0 };
    if (change._tag === 'capture')
      folded = await this.#applyCapture(change, { isNew, isNewToHeavy });
    else if (change._tag === 'control' && change.event.type === 'VmRetired' && isNewToHeavy)
      await this.#retire(change.event.data.vm);
    else if (change._tag === 'control' && change.event.type === 'ContentReleased' && isNewToHeavy)
      await this.#release(change, change.event.data, isNew);
    else if (change._tag === 'rewrite' && isNew) this.contents.rewrite(change.pack, change);
    if (isNew) {
      this.catalogue.apply(change, folded);
      this.#light.applied = change.position;
    }
    if (isNewToHeavy) this.#heavy.applied = change.position;
    if (change._tag === 'capture' && isNew) await this.#saveImage(change);
  }

  async #applyCapture(
    change: CaptureChange,
    { isNew, isNewToHeavy }: { isNew: boolean; isNewToHeavy: boolean },
  ): Promise<FoldedCounts> {
    const { vm, capture } = change.committed;
    const { position } = change;
    const total = { overridden: 0, broken: 0 };
    // What was whole when the light half folded it is whole for the heavy one, or they would differ.
    const row = this.catalogue.vms.get(vm)?.capture(capture);
    if (!isNew && row?.damage === null && change.damage !== null)
      throw new IndexUnfit(`${vm}@${capture} was damaged after it was folded`);
    const entry = this.catalogue.vms.get(vm);
    const isLinked = entry === undefined || isLinkedVm(entry);
    const { contents } = this;
    const models = { contents, sharing: this.sharing, isNew };
    for (const pack of change.packs) {
      if (isNewToHeavy) revivePatches(models, pack.patches);
      const known = isNew
        ? this.contents.add(pack, { vm, position, isLinked })
        : this.contents.byName(pack.name);
      assert(known !== undefined, 'a folded pack is known');
      if (isNewToHeavy && !this.sharing.hasPack(known))
        this.sharing.addPack(this.contents, known, pack);
    }
    if (!isNewToHeavy) return total;
    reviveCapture(models, change);
    const table = await this.#table(vm, change);
    if (table === null) return total;
    const toggles: number[] = [];
    for (const columns of change.batches) {
      this.#heavyUnsavedRows += columns.kinds.length;
      const folded = this.sharing.applyBatch(this.contents, table, columns, toggles);
      total.overridden += folded.overridden;
      total.broken += folded.broken;
    }
    if (isNew && toggles.length > 0) this.toggles.set(position, toggles);
    return total;
  }

  /**
   * Lets go of what an event names, but for what captures refer to that its writer had not seen. Their
   * batches are read again.
   */
  async #release(change: ControlChange, data: ContentReleased, isNew: boolean): Promise<void> {
    const models = { contents: this.contents, sharing: this.sharing, isNew };
    releaseSlots(models, data, change.timeMs);
    this.#heavyUnsavedRows += data.packs.length;
    const { vms } = this.catalogue;
    const seen = data.seen === null ? undefined : vms.get(data.seen.vm);
    // Where that commit is lost, one before it: too much is looked at then, not too little.
    const from = seen?.captures.findLast(({ capture }) => capture <= data.seen!.capture);
    const after = from?.position ?? -1n;
    for (const { vm, captures } of vms.values())
      for (const row of captures) {
        if (row.position <= after || row.position >= change.position) continue;
        const events = await this.#eventsOf(vm, row);
        const decoded = decodeBatches(events);
        for (const { patches } of decoded.packs) revivePatches(models, patches);
        reviveCapture(models, decoded);
      }
  }

  /** The batches of a capture, as far as they can be read still. */
  async #eventsOf(vm: string, row: CaptureRow): Promise<readonly StoredEvent[]> {
    try {
      return await this.tables.events(vm, row);
    } catch (thrown) {
      if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
      return [];
    }
  }

  /** The VM's table just before a change, wiped where events before it were lost. */
  async #table(vm: string, change: CaptureChange): Promise<PageTable | null> {
    const entry = this.catalogue.vms.get(vm);
    const registered = entry?.state.registered;
    if (entry === undefined || registered === null || registered === undefined) return null;
    const row = entry.capture(change.committed.capture);
    const isWiped = row?.isWiped ?? this.catalogue.isWiped(change);
    let table = this.#current.get(vm);
    if (table === undefined) {
      const before = entry.captures.findLast((other) => other.position < change.position);
      table =
        before === undefined
          ? new Uint32Array(pageCountOf(registered.memoryMap)).fill(UNKNOWN)
          : await this.tables.at(entry, this.contents, before);
      this.#current.set(vm, table);
    }
    if (isWiped) {
      this.sharing.release(table);
      table.fill(UNKNOWN);
    }
    return table;
  }

  async #retire(vm: string): Promise<void> {
    const entry = this.catalogue.vms.get(vm);
    const last = entry?.captures.at(-1);
    if (entry === undefined || last === undefined) return;
    this.sharing.release(
      this.#current.get(vm) ?? (await this.tables.at(entry, this.contents, last)),
    );
    this.#current.delete(vm);
  }

  async #saveImage(change: CaptureChange): Promise<void> {
    const { vm, capture } = change.committed;
    const table = this.#current.get(vm);
    if (this.#hasMetDamage) return;
    if (table !== undefined && this.catalogue.vms.get(vm)?.images.at(-1) === capture)
      await this.tables.saveImage({ vm, capture, contents: this.contents }, table);
  }

  /** A copy of a VM's table at the log's head; null before its first capture. */
  async currentTable(entry: VmEntry): Promise<PageTable | null> {
    const last = entry.captures.at(-1);
    if (last === undefined) return null;
    const kept = this.#current.get(entry.vm);
    if (kept !== undefined) return kept.slice();
    const table = await this.tables.at(entry, this.contents, last);
    this.#current.set(entry.vm, table);
    return table.slice();
  }

  /** Keeps what is worth keeping in the state files; tells whether there was anything. */
  save(): Promise<boolean> {
    return this.#turn.run(() => this.#save());
  }

  async #save(): Promise<boolean> {
    // What damage left is not kept: a log that is put back from a copy is folded anew.
    if (this.#isLightSaved || this.#hasMetDamage || (await this.#isBehindSaved())) return false;
    await this.#saveHeavy();
    const writer = new StateWriter();
    saveHalf(writer, LIGHT_FORMAT, this.#light);
    writer.text(catalogueText(this.catalogue));
    this.contents.save(writer);
    writer.text(
      JSON.stringify([...this.toggles].map(([position, items]) => [String(position), items])),
    );
    await this.#ports.files.save(LIGHT_FILE, writer.bytes());
    this.#isLightSaved = true;
    return true;
  }

  /** Whether another process kept a later state: ours would only make the next one fold again. */
  async #isBehindSaved(): Promise<boolean> {
    const bytes = await this.#ports.files.load(LIGHT_FILE);
    if (bytes === null) return false;
    try {
      return loadHalf(new StateReader(bytes), LIGHT_FORMAT).applied > this.#light.applied;
    } catch (thrown) {
      if (thrown instanceof StateUnfit) return false;
      throw thrown;
    }
  }

  async #saveHeavy(): Promise<void> {
    if (this.#sharing === null) return;
    const { indexed } = this.#sharing;
    if (this.#heavyUnsavedRows < Math.max(HEAVY_SAVE_ROWS, indexed / HEAVY_SAVE_FRACTION)) return;
    const writer = new StateWriter();
    saveHalf(writer, HEAVY_FORMAT, this.#heavy);
    const packs = this.contents.packs.length;
    writer.u32(packs).u64(this.contents.numbering(packs)!);
    this.#sharing.save(writer);
    await this.#ports.files.save(HEAVY_FILE, writer.bytes());
    this.#heavyUnsavedRows = 0;
  }
}
