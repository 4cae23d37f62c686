// A ledger, put together from its parts: a log, a page store, and what is local to this host. What a
// ledger does is in the use cases and projections: here they are joined and looked at. The parts that
// a URL names are made by the kinds of ledgers that schemes.ts lists.

import { randomBytes } from 'node:crypto';
import type { Observable } from 'rxjs';
import type { FilePort } from '../../files/file-port.ts';
import { nodeFiles } from '../../files/files.ts';
import { openStateFiles } from '../../stores/derived/state-files.ts';
import { openGroupKeys, type GroupKeys } from '../../stores/keys/group-keys.ts';
import { tellOnce, type HeldLock, type LockPlace } from '../../stores/locks/held-lock.ts';
import type { Actor } from '../../../domain/events/actor.ts';
import { formatOfAll, type ControlEvent } from '../../../domain/events/control.ts';
import type { Clock } from '../../../domain/ports/clock.ts';
import type { StateFiles } from '../../../domain/ports/derived-files.ts';
import type { PageEngine } from '../../../domain/ports/page-engine.ts';
import { decideInto, type Decide } from '../../../domain/use-cases/decide.ts';
import { PageReader } from '../../../domain/use-cases/pages/page-reader.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { UTC, type InstantContext, type Zone } from '../../../domain/values/instant.ts';
import type { Point } from '../../../domain/values/point.ts';
import type { Change } from '../../../projections/commits.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import type { IdentifierColumn } from '../../../projections/models/identifier-index.ts';
import { LedgerState, type Replay } from '../../../projections/models/ledger-state.ts';
import { beginningOf } from '../../../projections/models/beginning.ts';
import {
  changes$,
  replayCommits,
  type ChangesRequest,
  type ReadFrom,
} from '../../../projections/observable.ts';
import type { PageIndex } from '../../../projections/page-index/page-index.ts';
import {
  captureNamed,
  keptCaptureNamed,
  knownVms,
  pointNamed,
  vmNamed,
} from '../../../projections/questions/named-points.ts';
import { rows, states, subscribe } from '../../../projections/subscriptions/subscribe.ts';
import type {
  AnyStatesRequest,
  NamedStatesRequest,
  ObservedNamedStates,
  ObservedRequest,
  ObservedRows,
  ObservedStates,
  RowMessage,
  RowsRequest,
  StateMessage,
  StatesRequest,
} from '../../../projections/subscriptions/messages.ts';
import { thisActor } from './actor.ts';
import { CompactionMarks } from './compaction-marks.ts';
import { identifiersOf, loadDerived, saveDerived } from './derived-state.ts';
import { LedgerEngine } from './ledger-engine.ts';
import { tellPassedOver } from './passed-over.ts';
import { raiseFormat } from './raised-format.ts';
import type {
  LedgerDecide,
  LedgerLog,
  LedgerMode,
  LedgerPages,
  LedgerParts,
  LedgerSettings,
  LocalPlace,
} from './ledger-parts.ts';

/** How long the packs' server is waited for to say how old the log is. */
const ASK_MS_MAX = 2000;

/** An open ledger. Whoever opened it closes it. */
export class Ledger {
  readonly id: string | null;
  readonly log: LedgerLog;
  readonly store: LedgerPages;
  readonly keys: GroupKeys;
  readonly state: LedgerState;
  readonly replay: Replay;
  /** The disk of this host: where files go that somebody names. */
  readonly files: FilePort;
  readonly clock: Clock;
  /** Who is said to bring events about. */
  readonly by: Actor;
  readonly mode: LedgerMode;
  /** Derived state by name, kept on this host. */
  readonly stateFiles: StateFiles;
  /** Identifiers by content number. */
  readonly column: IdentifierColumn;
  /** Says, once, where a lock cannot be had. */
  readonly told: (lock: HeldLock) => HeldLock;
  /** What compactions have said beside the packs. */
  readonly marks: CompactionMarks;
  readonly #zone: Zone;
  readonly #parts: LedgerParts;
  readonly #engine: LedgerEngine;
  #pages: PageReader | null = null;
  #index: PageIndex | null = null;
  readonly #isForCatalogue: boolean;
  readonly #onNotice: ((sentence: string) => void) | null;
  readonly #toldOnce = new Set<string>();
  #toldPast: Promise<void> | null = null;

  constructor(parts: LedgerParts, settings: LedgerSettings) {
    const { log, local } = parts;
    const { files } = local;
    this.#parts = parts;
    this.id = parts.id;
    this.log = log;
    this.store = parts.store;
    this.mode = settings.mode;
    this.files = settings.files ?? nodeFiles;
    this.clock = settings.clock ?? Date.now;
    this.by = settings.by ?? thisActor();
    this.#zone = settings.zone ?? UTC;
    this.#isForCatalogue = settings.isForCatalogue ?? false;
    this.#onNotice = settings.onNotice ?? null;
    this.told = tellOnce(settings.onNotice ?? (() => undefined));
    this.keys = openGroupKeys({ files, folder: local.keys });
    this.stateFiles = openStateFiles({ files, folder: local.projections });
    this.column = identifiersOf(local);
    const onPassedOver = tellPassedOver(settings.onNotice ?? (() => undefined));
    this.replay = (from, consume, reached) =>
      replayCommits(log, from, consume, { onPassedOver, reached });
    this.state = new LedgerState({
      log,
      files: this.stateFiles,
      identifiers: () => this.column,
      replay: this.replay,
      reader: async () => (await import('../../kernels/page-writes.ts')).readPageWrites,
      forgetPast: async () => parts.store.dropAll?.(),
    });
    this.marks = new CompactionMarks(this);
    this.#engine = new LedgerEngine({
      threads: settings.threads,
      state: this.state,
      keys: this.keys,
      decide: (stream, decide) => this.decide(stream, decide),
    });
  }

  /** The page engine, loaded and started when it is first used: questions do without it. */
  engine(): Promise<PageEngine> {
    return this.#engine.started();
  }

  /** What this host keeps of the ledger. */
  get local(): LocalPlace {
    return this.#parts.local;
  }

  /** Where who works on the ledger on this host holds locks. */
  get locks(): LockPlace {
    const { files, locks: folder } = this.local;
    return { files, folder };
  }

  /** Whether other hosts may have the log, or the packs, as well. */
  get isShared(): boolean {
    return this.#parts.isShared;
  }

  /** The VMs that anything is known of, in the order in which they came. */
  vms(): readonly VmEntry[] {
    return knownVms(this.state.catalogue);
  }

  /** The VM of a name. Refused where the ledger has none. */
  vm(name: string): VmEntry {
    return vmNamed(this.state.catalogue, name);
  }

  /** What instants are told from that people write. */
  get #instants(): InstantContext {
    return { nowMs: this.clock(), zone: this.#zone };
  }

  /** The point that a text names. */
  point(text: string): Point {
    return pointNamed(text, this.#instants);
  }

  /** The capture of a VM that a point names. Refused where it was forgotten; POINT_DAMAGED. */
  resolve(entry: VmEntry, text: string): CaptureRow {
    return keptCaptureNamed(entry, text, this.#instants);
  }

  /** The capture that a point names, though it may have been forgotten. POINT_DAMAGED. */
  locate(entry: VmEntry, text: string): CaptureRow {
    return captureNamed(entry, text, this.#instants);
  }

  /** Appends to a stream what is decided on the state as it is folded then. LOG_TOO_OLD. */
  decide<E extends ControlEvent>(stream: string, decide: Decide<E>): Promise<readonly E[]> {
    const { log, clock, by } = this;
    const catchUp = (): Promise<void> => this.state.catchUp({ heavy: false });
    const checkPast = (): Promise<void> => this.marks.check();
    const makeRoom = (events: readonly ControlEvent[]): Promise<void> =>
      this.raiseFormat(formatOfAll(events));
    const ports = { log, clock, by, randomBytes, catchUp, checkPast, makeRoom };
    return decideInto(ports, stream, decide);
  }

  /** Tells whoever opened the ledger something that stops nothing. */
  tell(sentence: string): void {
    this.#onNotice?.(sentence);
  }

  /** The same, once of a sentence. */
  tellOnce(sentence: string): void {
    if (this.#toldOnce.has(sentence)) return;
    this.#toldOnce.add(sentence);
    this.tell(sentence);
  }

  /** Says, once, that the log is older than the packs; of servers as far as that is known in time. */
  tellPast(): Promise<void> {
    return (this.#toldPast ??= this.#tellPast());
  }

  async #tellPast(): Promise<void> {
    if (this.#onNotice === null) return;
    const { marks, isShared } = this;
    const failure = await (isShared ? marks.failureWithin(ASK_MS_MAX) : marks.failure());
    if (failure !== null) this.#onNotice(failure.message);
  }

  /** Raises the format where it is lower, before what releases of earlier ones do not know. */
  raiseFormat(format: number): Promise<void> {
    const { log, state } = this;
    const decide: LedgerDecide = (stream, of) => this.decide(stream, of);
    return raiseFormat({ log, state, decide }, format);
  }

  /** Makes sure that a group is in the ledger and the engine has its key. */
  openGroup(group: string): Promise<void> {
    return this.#engine.openGroup(group);
  }

  /** Sets a group's key in the engine where it is at hand. */
  useKeyAtHand(group: string): Promise<boolean> {
    return this.#engine.useKeyAtHand(group);
  }

  /** Bytes of the log where it is kept. */
  logBytes(): Promise<number> {
    return this.#parts.logBytes();
  }

  /** Bytes of the log and of the packs where they are kept. */
  async storedBytes(): Promise<{ readonly logBytes: number; readonly storedBytes: number }> {
    let storedBytes = 0;
    for await (const pack of this.store.list()) storedBytes += pack.sizeBytes;
    return { logBytes: await this.logBytes(), storedBytes };
  }

  /** Reads pages: a few, or a whole memory. */
  async pageReader(): Promise<PageReader> {
    const { store, state } = this;
    // The answer comes beside the pages.
    this.tellPast().catch(() => undefined);
    this.#pages ??= new PageReader({
      engine: await this.engine(),
      store,
      locator: () => state.contents,
      catchUp: () => state.catchUp({ heavy: false }),
    });
    return this.#pages;
  }

  /** The page index, which is made, and loaded, when it is first asked for. */
  pageIndex(make: () => PageIndex): PageIndex {
    this.#index ??= make();
    return this.#index;
  }

  /** What is wrong with where the ledger lies. */
  get findings(): readonly Finding[] {
    return this.#parts.findings;
  }

  /** Rows after a place, replayed and then live (docs/events.md, "Following a ledger"). */
  rows(request?: RowsRequest): AsyncGenerator<RowMessage> {
    return rows(this, request);
  }

  /** The states of a projection, replayed and then live. */
  states<S>(request: StatesRequest<S>): AsyncGenerator<StateMessage<S>>;
  states(request: NamedStatesRequest): AsyncGenerator<StateMessage<unknown>>;
  states(request: AnyStatesRequest): AsyncGenerator<StateMessage<unknown>> {
    return states(this, request);
  }

  /** What projections are folds over: whole changes in log order, replayed; with a signal, then live. */
  changes$(request?: ChangesRequest): Observable<Change> {
    const { state, log } = this;
    const begin = async (): Promise<ReadFrom> => {
      await state.catchUp({ heavy: false });
      const { from, baseline: first } = await beginningOf(state);
      return { from, first };
    };
    return changes$(log, { begin, ...request });
  }

  /** Rows or states as an Observable. Work that takes time belongs into `handle`. */
  subscribe<S>(request: ObservedStates<S>): Observable<StateMessage<S>>;
  subscribe(request: ObservedNamedStates): Observable<StateMessage<unknown>>;
  subscribe(request?: ObservedRows): Observable<RowMessage>;
  subscribe(
    request: ObservedRequest = {},
  ): Observable<StateMessage<unknown>> | Observable<RowMessage> {
    return subscribe(this, request);
  }

  /** Starts from the derived state, where it is there and fits. */
  async load(): Promise<void> {
    await loadDerived(this, { isWithoutContents: this.#isForCatalogue });
  }

  /** Keeps the derived state and lets go of everything. */
  async close(): Promise<void> {
    await saveDerived(this);
    await this.state.close();
    await this.#engine.close();
    this.column.close();
    await this.store.close();
    await this.log.close();
  }
}
