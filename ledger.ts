// The composition root: a ledger of a folder, put together from its adapters. What a ledger does is in
// the use cases and projections; this file only joins them.

import { hash, randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import * as either from 'fp-ts/lib/Either.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { nodeFiles, type FilePort } from './adapters/files/files.ts';
import {
  openEventLog,
  type EmbeddedEventLog,
} from './adapters/stores/event-log-embedded/event-log-embedded.ts';
import { openFingerprintFiles } from './adapters/stores/fingerprint-files.ts';
import { keyCheck, openGroupKeys, type GroupKeys } from './adapters/stores/group-keys.ts';
import { openIdentifierFile } from './adapters/stores/identifier-file.ts';
import { LEDGER_FORMAT } from './adapters/stores/ledger-format.ts';
import { openLedgerFolder, type LedgerFolder } from './adapters/stores/ledger-folder.ts';
import { openPagePacks, type PagePacks } from './adapters/stores/page-packs.ts';
import { openStateFiles } from './adapters/stores/state-files.ts';
import type { ControlEvent } from './domain/events.ts';
import { LedgerError } from './domain/ledger-error.ts';
import type { PageEngine } from './domain/page-engine.ts';
import { parsePoint, type Point, type PointContext } from './domain/point.ts';
import { NO_STREAM, type Clock, type Finding, type StateFiles } from './domain/ports.ts';
import { refuse } from './domain/refused.ts';
import { LEDGER_STREAM } from './domain/stream-names.ts';
import { encodeControls } from './domain/use-cases/capture-log.ts';
import type { CaptureRow, VmEntry } from './projections/catalogue.ts';
import { MemoryIdentifierColumn, type IdentifierColumn } from './projections/identifier-index.ts';
import { LedgerState, type Replay } from './projections/ledger-state.ts';

const IDENTIFIERS_FILE = 'identifiers';
const HEADS_FILE = 'log-heads';
/** Times that an append to a shared stream is decided again after another process's came first. */
const RETRIES_MAX = 20;

export interface OpenLedgerOptions {
  /** A folder. */
  readonly url: string;
  /** `create`: make it where there is none. `write`: it exists. `read`: write nothing but what is derived. */
  readonly mode: 'create' | 'write' | 'read';
  /** Worker threads; absent: one a core where there is more than one. 0: inline. */
  readonly threads?: number;
  /** Where keys lie; absent: in the ledger. */
  readonly keys?: string;
  readonly files?: FilePort;
  readonly clock?: Clock;
}

/** The value of a TaskEither, or its failure thrown: for asynchronous code that has one edge. */
export async function run<A>(task: TaskEither<LedgerError, A>): Promise<A> {
  const done = await task();
  if (either.isLeft(done)) throw done.left;
  return done.right;
}

/** SHA-256 of bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

export class Ledger {
  readonly folder: LedgerFolder;
  readonly log: EmbeddedEventLog;
  readonly store: PagePacks;
  readonly keys: GroupKeys;
  readonly state: LedgerState;
  readonly replay: Replay;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly mode: OpenLedgerOptions['mode'];
  readonly #threads: number | undefined;
  readonly #keysFolder: string;
  readonly #stateFiles: StateFiles;
  #engine: PageEngine | null = null;
  #column: IdentifierColumn | null = null;
  #keyed: string | null = null;

  constructor(
    parts: { readonly folder: LedgerFolder; readonly log: EmbeddedEventLog },
    options: OpenLedgerOptions,
  ) {
    const { folder, log } = parts;
    this.folder = folder;
    this.log = log;
    this.mode = options.mode;
    this.files = options.files ?? nodeFiles;
    this.clock = options.clock ?? Date.now;
    this.#threads = options.threads;
    const { files } = this;
    this.store = openPagePacks({ files, folder: folder.paths.packs });
    this.#keysFolder = options.keys ?? folder.paths.keys;
    this.keys = openGroupKeys({ files, folder: this.#keysFolder });
    this.#stateFiles = openStateFiles({ files, folder: folder.paths.projections });
    // RxJS and what builds on it is loaded only where something is folded.
    this.replay = async (from, consume) => {
      const { replayCommits } = await import('./projections/subscription.ts');
      return replayCommits(log, from, consume);
    };
    this.state = new LedgerState({
      log,
      files: this.#stateFiles,
      identifiers: () => this.column,
      replay: this.replay,
    });
  }

  /** The page engine, loaded and started when it is first used: questions do without it. */
  async engine(): Promise<PageEngine> {
    const { createPageEngine } = await import('./adapters/kernels/page-engine.ts');
    this.#engine ??= createPageEngine(
      this.#threads === undefined ? {} : { threads: this.#threads },
    );
    return this.#engine;
  }

  /** Identifiers by content number. */
  get column(): IdentifierColumn {
    this.#column ??=
      this.files === nodeFiles
        ? openIdentifierFile(join(this.folder.paths.projections, IDENTIFIERS_FILE))
        : new MemoryIdentifierColumn();
    return this.#column;
  }

  get fingerprintFiles(): ReturnType<typeof openFingerprintFiles> {
    return openFingerprintFiles({ files: this.files, folder: this.#keysFolder });
  }

  /** What tells this ledger from others on this host, copies of it among them. */
  get lockName(): string {
    const { folder } = this.folder.paths;
    return this.files === nodeFiles ? realpathSync(folder) : `${this.folder.id ?? ''} ${folder}`;
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

  get pointContext(): PointContext {
    return { nowMs: this.clock(), parseInstant: Date.parse };
  }

  /** The point that a text names. */
  point(text: string): Point {
    const point = parsePoint(text, this.pointContext);
    if (either.isLeft(point)) throw refuse(point.left);
    return point.right;
  }

  /**
   * The capture of a VM that a point names. Where commits of the VM are lost, a point that may mean
   * one of them is POINT_DAMAGED rather than an earlier capture than the user means.
   */
  resolve(entry: VmEntry, text: string): CaptureRow {
    const point = this.point(text);
    const row = entry.resolve(point);
    const doubt = entry.doubt(point, either.isRight(row) ? row.right : undefined);
    if (doubt !== null)
      throw new LedgerError(
        'POINT_DAMAGED',
        `${text} of VM ${entry.vm} is not known: ${doubt}; name a capture that \`pageledger captures --vm ${entry.vm}\` lists, as @N, and run \`pageledger verify\``,
        { vm: entry.vm, point: text },
      );
    if (either.isLeft(row)) throw refuse(row.left);
    return row.right;
  }

  /** Decides again and again until the append finds the stream as the decision did. */
  async appendDecided(
    stream: string,
    decide: () => readonly ControlEvent[],
  ): Promise<bigint | null> {
    for (let attempt = 0; ; attempt += 1) {
      await this.state.catchUp({ heavy: false });
      const expectedRevision = await run(this.log.streamRevision(stream));
      await this.state.catchUp({ heavy: false });
      const decided = decide();
      if (decided.length === 0) return null;
      const encoded = encodeControls({ clock: this.clock, randomBytes }, decided);
      if (either.isLeft(encoded)) throw encoded.left;
      const request = { stream, expectedRevision, events: encoded.right };
      const appended = await this.log.append(request)();
      if (either.isRight(appended)) {
        await this.state.catchUp({ heavy: false });
        return appended.right.position;
      }
      if (appended.left.code !== 'REVISION_CONFLICT' || attempt >= RETRIES_MAX) throw appended.left;
    }
  }

  /** Makes sure that a group is in the ledger and the engine has its key. */
  async openGroup(group: string): Promise<void> {
    const { catalogue } = this.state;
    const known = catalogue.groups.get(group) ?? null;
    const key =
      known === null
        ? await run(this.keys.create(group))
        : await run(this.keys.load({ group, keyCheck: known }));
    if (known === null)
      await this.appendDecided(LEDGER_STREAM, () =>
        this.state.catalogue.groups.has(group)
          ? []
          : [{ type: 'GroupCreated', data: { group, keyCheck: keyCheck(key.key) } }],
      );
    await this.#useKey(group, key.key);
  }

  async #useKey(group: string, key: Uint8Array): Promise<void> {
    if (this.#keyed === group) return;
    const { deriveEngineKeys } = await import('./adapters/kernels/keys.ts');
    const engine = await this.engine();
    await engine.useKeys(deriveEngineKeys(key));
    this.#keyed = group;
  }

  /** Sets a group's key in the engine where it is at hand. */
  async useKeyAtHand(group: string): Promise<boolean> {
    if (this.#keyed === group) return true;
    const keyCheckOfGroup = this.state.catalogue.groups.get(group) ?? null;
    const key = await this.keys.load({ group, keyCheck: keyCheckOfGroup })();
    if (either.isLeft(key)) return false;
    await this.#useKey(group, key.right.key);
    return true;
  }

  /** Bytes of the log and of the packs on disk. */
  async storedBytes(): Promise<{ readonly logBytes: number; readonly storedBytes: number }> {
    let storedBytes = 0;
    for await (const pack of this.store.list()) storedBytes += pack.sizeBytes;
    let logBytes = 0;
    const folders = [this.folder.paths.log];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop())
      for (const name of await this.files.list(folder)) {
        const facts = await this.files.facts(join(folder, name));
        if (facts?.isFolder === true) folders.push(join(folder, name));
        else logBytes += facts?.sizeBytes ?? 0;
      }
    return { logBytes, storedBytes };
  }

  /** What is wrong with the folder itself. */
  get folderFindings(): readonly Finding[] {
    return this.folder.findings;
  }

  /** Starts from the derived state, where it is there and fits. */
  async load(): Promise<void> {
    const heads = await this.#stateFiles.load(HEADS_FILE);
    if (heads !== null) await run(this.log.offerHeads(heads));
    await this.state.load();
  }

  /** Keeps the derived state, so that the next opening reads little. */
  async #save(): Promise<void> {
    if (!(await this.state.save())) return;
    const heads = await this.log.streamHeads(this.state.next)();
    if (either.isRight(heads)) await this.#stateFiles.save(HEADS_FILE, heads.right);
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

/** Opens a ledger; makes it first where the mode says so. */
export async function openLedger(options: OpenLedgerOptions): Promise<Ledger> {
  const files = options.files ?? nodeFiles;
  const ifAbsent = options.mode === 'create' ? 'create' : 'fail';
  const folder = await run(openLedgerFolder({ files, path: options.url, ifAbsent }));
  const readOnly = options.mode === 'read';
  const log = await run(openEventLog({ folder: folder.paths.log, files, readOnly }));
  const ledger = new Ledger({ folder, log }, options);
  await ledger.load();
  if (options.mode === 'create' && (await run(log.streamRevision(LEDGER_STREAM))) === NO_STREAM) {
    const { id } = folder;
    if (id === null)
      throw new LedgerError(
        'NOT_A_LEDGER',
        `${folder.paths.folder} has no event and no readable format file; remove the folder, or name another`,
        { path: folder.paths.folder },
      );
    await ledger.appendDecided(LEDGER_STREAM, () =>
      ledger.state.catalogue.ledger === null
        ? [{ type: 'LedgerCreated', data: { ledger: id, format: LEDGER_FORMAT, pageStore: null } }]
        : [],
    );
  }
  await ledger.state.catchUp({ heavy: false });
  return ledger;
}
