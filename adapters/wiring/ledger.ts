// A ledger, put together from its parts: a log, a page store, and what is local to this host. What a
// ledger does is in the use cases and projections; this file only joins them, and open-ledger.ts
// makes the parts that a URL names.

import { hash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import * as either from 'fp-ts/lib/Either.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { Observable } from 'rxjs';
import type { FilePort } from '../files/files.ts';
import { nodeFiles } from '../files/node-files.ts';
import type { HeldLock, LockPlace } from '../stores/locks/held-lock.ts';
import { openFingerprintFiles } from '../stores/keys/fingerprint-files.ts';
import { keyCheck, openGroupKeys, type GroupKeys } from '../stores/keys/group-keys.ts';
import { openIdentifierFile } from '../stores/derived/identifier-file.ts';
import { openStateFiles } from '../stores/derived/state-files.ts';
import { assert } from '../../domain/values/assert.ts';
import type { ControlEvent } from '../../domain/events/control.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { PageEngine } from '../../domain/ports/page-engine.ts';
import { UTC, type InstantContext, type Zone } from '../../domain/values/instant.ts';
import { parsePoint, type Point } from '../../domain/values/point.ts';
import type { Finding } from '../../domain/values/finding.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { PageStore } from '../../domain/ports/page-store.ts';
import type { EventLog, Position } from '../../domain/ports/event-log.ts';
import { initialPatterns, type PatternsState } from '../../domain/patterns/index.ts';
import { refuse } from '../../domain/values/refused.ts';
import { LEDGER_STREAM } from '../../domain/events/streams.ts';
import { decideLedger, LEDGER_FORMAT } from '../../domain/ledger.ts';
import { accepted, run } from '../../domain/ports/run.ts';
import { decideInto, type Decide } from '../../domain/use-cases/decide.ts';
import { PageReader } from '../../domain/use-cases/pages/page-reader.ts';
import type { CaptureRow, VmEntry } from '../../projections/models/catalogue.ts';
import type { IdentifierColumn } from '../../projections/models/identifier-index.ts';
import { LedgerState, type Replay } from '../../projections/models/ledger-state.ts';
import type { Change } from '../../projections/commits.ts';
import { changes$, type ChangesRequest } from '../../projections/observable.ts';
import type { PageIndex } from '../../projections/page-index/page-index.ts';
import { rows, states, subscribe } from '../../projections/subscriptions/subscribe.ts';
import {
  type AnyStatesRequest,
  type NamedStatesRequest,
  type ObservedNamedStates,
  type ObservedRequest,
  type ObservedRows,
  type ObservedStates,
  type RowMessage,
  type RowsRequest,
  type StateMessage,
  type StatesRequest,
} from '../../projections/subscriptions/messages.ts';

const IDENTIFIERS_FILE = 'identifiers';
const HEADS_FILE = 'log-heads';

/**
 * How a ledger is opened: made, LEDGER_EXISTS where there is one; made where there is none; to append
 * to; to write only what is derived. In the last two NOT_FOUND where there is none.
 */
export type LedgerMode = 'init' | 'create' | 'write' | 'read';

/** A log as a ledger uses it. */
export interface LedgerLog extends EventLog {
  /** Reads everything and names each damage. */
  check(): AsyncIterable<Finding>;
  /** Format of the files that the log is written to, and how to go on in the newest; absent: a server's. */
  format?(): TaskEither<LedgerError, number>;
  seal?(): TaskEither<LedgerError, void>;
  /** The heads of all streams at a position, to begin there another time; absent: the log keeps them. */
  readonly heads?: {
    at(position: Position): TaskEither<LedgerError, Uint8Array>;
    /** False: they do not fit the log, nothing is lost. */
    offer(bytes: Uint8Array): TaskEither<LedgerError, boolean>;
  };
}

/** A page store as a ledger uses it. */
export interface LedgerPages extends PageStore {
  /** The place itself, past what this host keeps of it: for whoever checks it. Absent: this is it. */
  readonly origin?: PageStore;
  /** Removes what crashes left half written over an hour ago: how many. */
  removeLeftovers(nowMs: number): TaskEither<LedgerError, number>;
  close(): Promise<void>;
}

/** What a ledger is made of. */
export interface LedgerParts {
  /** As LedgerCreated bears it; null where what says so is damaged. */
  readonly id: string | null;
  readonly log: LedgerLog;
  readonly store: LedgerPages;
  /** Folders of this host. */
  readonly paths: { readonly keys: string; readonly projections: string };
  /** Where who works on the ledger on this host holds locks. */
  readonly locks: LockPlace;
  /** Whether other hosts may have the log, or the packs, as well. */
  readonly isShared: boolean;
  /** What is wrong with where the ledger lies, and stops nobody from reading. */
  readonly findings: readonly Finding[];
  /** Bytes that the log takes where it is kept. */
  logBytes(): Promise<number>;
}

export interface LedgerSettings {
  readonly mode: LedgerMode;
  /** Worker threads; absent: one a core where there is more than one. 0: inline. */
  readonly threads?: number;
  readonly files?: FilePort;
  readonly clock?: Clock;
  /** Told what is being waited for, that it is there again, and what cannot be had. */
  readonly onNotice?: (sentence: string) => void;
  /** Of times that bear no zone; absent: UTC. */
  readonly zone?: Zone;
}

/** SHA-256 of bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

export class Ledger {
  readonly id: string | null;
  readonly log: LedgerLog;
  readonly store: LedgerPages;
  readonly keys: GroupKeys;
  readonly state: LedgerState;
  readonly replay: Replay;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly mode: LedgerMode;
  readonly paths: LedgerParts['paths'];
  /** Derived state by name, kept on this host. */
  readonly stateFiles: StateFiles;
  readonly #parts: LedgerParts;
  readonly #threads: number | undefined;
  readonly #onNotice: (sentence: string) => void;
  #hasToldLocks = false;
  readonly #zone: Zone;
  #engine: PageEngine | null = null;
  #column: IdentifierColumn | null = null;
  #pages: PageReader | null = null;
  #index: PageIndex | null = null;
  #keyed: string | null = null;
  /** What the engine knows of the grammar of patterns. */
  #grammar: PatternsState = initialPatterns;

  constructor(parts: LedgerParts, settings: LedgerSettings) {
    const { log } = parts;
    this.#parts = parts;
    this.id = parts.id;
    this.log = log;
    this.store = parts.store;
    this.paths = parts.paths;
    this.mode = settings.mode;
    this.files = settings.files ?? nodeFiles;
    this.clock = settings.clock ?? Date.now;
    this.#threads = settings.threads;
    this.#onNotice = settings.onNotice ?? (() => undefined);
    this.#zone = settings.zone ?? UTC;
    const { files } = this;
    this.keys = openGroupKeys({ files, folder: parts.paths.keys });
    this.stateFiles = openStateFiles({ files, folder: parts.paths.projections });
    // RxJS and what builds on it is loaded only where something is folded.
    this.replay = async (from, consume) => {
      const { replayCommits } = await import('../../projections/observable.ts');
      return replayCommits(log, from, consume);
    };
    this.state = new LedgerState({
      log,
      files: this.stateFiles,
      identifiers: () => this.column,
      replay: this.replay,
    });
  }

  /** The page engine, loaded and started when it is first used: questions do without it. */
  async engine(): Promise<PageEngine> {
    const { createPageEngine } = await import('../kernels/engine/page-engine.ts');
    this.#engine ??= createPageEngine(
      this.#threads === undefined ? {} : { threads: this.#threads },
    );
    const { patterns } = this.state.catalogue.facts;
    if (patterns !== this.#grammar) await this.#engine.useGrammar(patterns);
    this.#grammar = patterns;
    return this.#engine;
  }

  /** Identifiers by content number. */
  get column(): IdentifierColumn {
    assert(this.#column !== null, 'a ledger is loaded before it is asked');
    return this.#column;
  }

  get fingerprintFiles(): ReturnType<typeof openFingerprintFiles> {
    return openFingerprintFiles({ files: this.files, folder: this.paths.keys });
  }

  /** Where who works on the ledger on this host holds locks. */
  get locks(): LockPlace {
    return this.#parts.locks;
  }

  /** Says, once, where a lock cannot be had. */
  told(lock: HeldLock): HeldLock {
    if (lock.unavailable === null || this.#hasToldLocks) return lock;
    this.#hasToldLocks = true;
    this.#onNotice(
      `nothing tells other processes of this host that this one works on the ledger: ${lock.unavailable}; ` +
        'two at once do no harm, the later one may have to begin again',
    );
    return lock;
  }

  /** Whether other hosts may have the log, or the packs, as well. */
  get isShared(): boolean {
    return this.#parts.isShared;
  }

  /** The VMs that anything is known of, in the order in which they came. */
  vms(): readonly VmEntry[] {
    return [...this.state.catalogue.vms.values()].filter(
      ({ state, captures }) => captures.length > 0 || state.registered !== null,
    );
  }

  /** The VM of a name. Refused where the ledger has none. */
  vm(name: string): VmEntry {
    const entry = this.state.catalogue.vms.get(name);
    if (entry === undefined) throw refuse({ _tag: 'VmUnknown', vm: name });
    if (entry.state.registered !== null || entry.captures.length > 0) return entry;
    if (entry.lostTail === null) throw refuse({ _tag: 'VmUnknown', vm: name });
    throw new LedgerError(
      'LOG_DAMAGED',
      `nothing of VM ${name} can be read: ${entry.lostTail}; run \`pageledger verify\`, and restore the log from a copy`,
      { vm: name },
    );
  }

  /** What instants are told from that people write. */
  get #instants(): InstantContext {
    return { nowMs: this.clock(), zone: this.#zone };
  }

  /** The point that a text names. */
  point(text: string): Point {
    return accepted(parsePoint(text, this.#instants));
  }

  /** The capture of a VM that a point names. Refused where it was forgotten; POINT_DAMAGED. */
  resolve(entry: VmEntry, text: string): CaptureRow {
    const row = this.locate(entry, text);
    const { capture } = row;
    const { firstKept } = entry.points;
    if (!entry.isForgotten(capture)) return row;
    throw refuse({ _tag: 'PointForgotten', vm: entry.vm, capture, firstKept });
  }

  /**
   * The capture that a point names, though it may have been forgotten. Where commits of the VM are lost, a point that may mean
   * one of them is POINT_DAMAGED rather than an earlier capture than the user means.
   */
  locate(entry: VmEntry, text: string): CaptureRow {
    const point = this.point(text);
    const row = entry.find(point);
    const doubt = entry.doubt(point, either.isRight(row) ? row.right : undefined);
    if (doubt !== null)
      throw new LedgerError(
        'POINT_DAMAGED',
        `${text} of VM ${entry.vm} is not known: ${doubt}; name a capture that \`pageledger captures --vm ${entry.vm}\` lists, as @N, and run \`pageledger verify\``,
        { vm: entry.vm, point: text },
      );
    return accepted(row);
  }

  /** Appends to a stream what is decided on the state as it is folded then. */
  decide<E extends ControlEvent>(stream: string, decide: Decide<E>): Promise<readonly E[]> {
    const { log, clock } = this;
    const catchUp = (): Promise<void> => this.state.catchUp({ heavy: false });
    return decideInto({ log, clock, randomBytes, catchUp }, stream, decide);
  }

  /**
   * Before the first event of a kind that releases of an earlier format do not know: an event that they
   * refuse, so that none of them records or deletes by what it cannot read.
   */
  async raiseFormat(): Promise<void> {
    const command = { _tag: 'RaiseFormat' } as const;
    await this.decide(LEDGER_STREAM, () => decideLedger(this.state.catalogue.facts)(command));
    const { log } = this;
    if (log.format === undefined || log.seal === undefined) return;
    if ((await run(log.format())) < LEDGER_FORMAT) await run(log.seal());
  }

  /** Makes sure that a group is in the ledger and the engine has its key. */
  async openGroup(group: string): Promise<void> {
    // What others added to the grammar since the engine was made is recognised from here on.
    await this.engine();
    if (!this.state.catalogue.facts.groups.has(group)) await this.#makeGroup(group);
    const check = this.state.catalogue.facts.groups.get(group) ?? null;
    const { key } = await run(this.keys.load({ group, keyCheck: check }));
    await this.#useKey(group, key);
  }

  /** Another host may make the group at the same moment, with a key of its own: the first one counts. */
  async #makeGroup(group: string): Promise<void> {
    const made = await run(this.keys.create(group));
    const check = keyCheck(made.key);
    const command = { _tag: 'CreateGroup', group, keyCheck: check } as const;
    await this.decide(LEDGER_STREAM, () => decideLedger(this.state.catalogue.facts)(command));
    const isLost = this.state.catalogue.facts.groups.get(group) !== check;
    if (isLost && made.isNew) await run(this.keys.discard(made));
  }

  async #useKey(group: string, key: Uint8Array): Promise<void> {
    if (this.#keyed === group) return;
    const { deriveEngineKeys } = await import('../kernels/keys.ts');
    const engine = await this.engine();
    await engine.useKeys(deriveEngineKeys(key));
    this.#keyed = group;
  }

  /** Sets a group's key in the engine where it is at hand. */
  async useKeyAtHand(group: string): Promise<boolean> {
    if (this.#keyed === group) return true;
    const keyCheckOfGroup = this.state.catalogue.facts.groups.get(group) ?? null;
    const key = await this.keys.load({ group, keyCheck: keyCheckOfGroup })();
    if (either.isLeft(key)) return false;
    await this.#useKey(group, key.right.key);
    return true;
  }

  /** Bytes of the log and of the packs where they are kept. */
  async storedBytes(): Promise<{ readonly logBytes: number; readonly storedBytes: number }> {
    let storedBytes = 0;
    for await (const pack of this.store.list()) storedBytes += pack.sizeBytes;
    return { logBytes: await this.#parts.logBytes(), storedBytes };
  }

  /** Reads pages: a few, or a whole memory. */
  async pageReader(): Promise<PageReader> {
    const { store, state } = this;
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
    return changes$(this.log, request);
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
    const path = join(this.paths.projections, IDENTIFIERS_FILE);
    this.#column = await openIdentifierFile({ files: this.files, path });
    const heads = this.log.heads === undefined ? null : await this.stateFiles.load(HEADS_FILE);
    if (heads !== null) await run(this.log.heads!.offer(heads));
    await this.state.load();
  }

  /** Keeps the derived state, so that the next opening reads little. */
  async #save(): Promise<void> {
    if (!(await this.state.save()) || this.log.heads === undefined) return;
    const heads = await this.log.heads.at(this.state.next)();
    if (either.isRight(heads)) await this.stateFiles.save(HEADS_FILE, heads.right);
  }

  /** Keeps the derived state and lets go of everything. */
  async close(): Promise<void> {
    await this.#save();
    await this.#engine?.close();
    this.#column?.close();
    await this.store.close();
    await this.log.close();
  }
}
