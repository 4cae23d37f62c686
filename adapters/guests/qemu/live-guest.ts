// Captures a running guest through QMP: QEMU migrates it to a socket of ours. Where QEMU may track
// writes it takes a background snapshot (the guest stands still for a moment at the start and each
// page is sent once), else it migrates and is told to go on. Invariants, also when something fails
// half-way: a guest that ran runs, a guest that was paused is paused, migration capabilities and
// parameters are what they were, and nothing of ours is left behind.

import * as t from 'io-ts';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { assert } from '../../../domain/values/assert.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import type { PhysicalRange } from '../../../domain/values/memory-map.ts';
import { sourceOfChunks } from './byte-window.ts';
import type { ByteSource } from './byte-window.ts';
import { attempt, systemCodeOf } from './failure.ts';
import * as migration from './migration-control.ts';
import type { MigrationSettings } from './migration-control.ts';
import { PauseLog } from './pause-log.ts';
import { ListeningSocket, PrivateFolder } from './private-socket.ts';
import { processOfSocket } from './qemu-process.ts';
import type { FoundProcess } from './qemu-process.ts';
import { connectQmp } from './qmp-client.ts';
import type { QmpClient, QmpEvent } from './qmp-client.ts';
import { rangesOfFlatView } from './ram-blocks.ts';
import type { Spool } from './spool.ts';
import { readStreamOrThrow } from './stream-reader.ts';
import type { GuestState } from './stream-layout.ts';

/** How a capture is taken: QEMU's background snapshot, or a migration and `cont`. */
export type LiveMode = 'background' | 'migrate';

export interface LiveCapture extends GuestState {
  readonly mode: LiveMode;
  /** How long the guest stood still, by QEMU's own times; 0 for a guest that was paused. */
  readonly pauseMs: number;
  /** Whether the guest ran when it was captured. */
  readonly wasRunning: boolean;
}

export interface GuestOptions {
  /** Path of the QMP socket. */
  readonly qmp: string;
  /** `auto`, or absent: background where QEMU allows it. */
  readonly mode?: LiveMode | 'auto';
  readonly connectTimeoutMs?: number;
}

/** Connects to a running QEMU. */
export const connectGuest = (options: GuestOptions): TaskEither<LedgerError, LiveGuest> =>
  attempt(`cannot connect to ${options.qmp}`, async () => {
    const { qmp: path, connectTimeoutMs } = options;
    const qmp = await connectQmp(
      connectTimeoutMs === undefined ? { path } : { path, connectTimeoutMs },
    );
    return new LiveGuest(qmp, options.mode ?? 'auto');
  });

const CONNECTION_TIMEOUT_MS = 10_000;
const PROGRESS_EVERY_MS = 100;
/** A migration with more passes, or longer, does not converge by itself. */
const PASSES_MAX = 4;
const MIGRATION_MS_MAX = 5_000;
const RESUME_TIMEOUT_MS = 2_000;
/** How long a background snapshot that we gave up may still send. */
const DRAIN_TIMEOUT_MS = 30_000;
const DRAIN_BYTES = 1024 * 1024;
/** What a guest that we stopped, and failed to let go on, may be in. */
const STOPPED_BY_US = new Set(['paused', 'postmigrate', 'finish-migrate']);

const Disks = t.array(
  t.intersection([
    t.type({ device: t.string }),
    t.partial({ qdev: t.string, inserted: t.partial({ ro: t.boolean, file: t.string }) }),
  ]),
);

/** A guest we are connected to. One capture at a time. */
export class LiveGuest {
  readonly #qmp: QmpClient;
  #mode: LiveMode | 'auto';
  #process: FoundProcess | null = null;
  #ranges: readonly PhysicalRange[] | null = null;
  /** The last capture of a guest that has not run since, and where it lies. */
  #still: { readonly spool: Spool; readonly capture: LiveCapture } | null = null;
  #busy = false;

  constructor(qmp: QmpClient, mode: LiveMode | 'auto') {
    this.#qmp = qmp;
    this.#mode = mode;
    qmp.onEvent(({ event }) => {
      if (event === 'RESUME' || event === 'RESET') this.#still = null;
    });
  }

  /** QEMU's version. */
  get version(): string {
    return this.#qmp.version;
  }

  /** Captures the guest into the spool. */
  capture(spool: Spool): TaskEither<LedgerError, LiveCapture> {
    return attempt(`cannot capture the guest of ${this.#qmp.path}`, async () => {
      assert(!this.#busy, 'one capture of a guest at a time');
      this.#busy = true;
      try {
        return await this.#capture(spool);
      } finally {
        this.#busy = false;
      }
    });
  }

  /** The command line that QEMU was started with; null, and why, where it cannot be seen. */
  async commandLine(): Promise<
    { readonly argv: readonly string[] } | { readonly argv: null; readonly reason: string }
  > {
    const found = await this.#findProcess();
    return found.process === null
      ? { argv: null, reason: found.reason }
      : { argv: found.process.argv };
  }

  /** Names of the disks that the guest can write to: what they hold is not recorded. */
  writableDisks(): TaskEither<LedgerError, readonly string[]> {
    return attempt(`cannot list the disks of ${this.#qmp.path}`, async () => {
      const disks = await this.#qmp.ask('query-block', Disks);
      return disks
        .filter((disk) => disk.inserted !== undefined && disk.inserted.ro !== true)
        .map((disk) => disk.device || disk.qdev || disk.inserted?.file || 'unnamed');
    });
  }

  close(): void {
    this.#qmp.close();
  }

  async #findProcess(): Promise<FoundProcess> {
    this.#process ??= await processOfSocket(this.#qmp.path);
    return this.#process;
  }

  async #capture(spool: Spool): Promise<LiveCapture> {
    const runState = await migration.runStateNow(this.#qmp);
    const now = await migration.progressOf(this.#qmp);
    const before = now.status === 'cancelling' ? await migration.untilIdle(this.#qmp) : now;
    if (!migration.isIdle(before) || runState === 'inmigrate') {
      throw new LedgerError(
        'QMP_REFUSED',
        `${this.#qmp.path}: a migration is already under way (${before.status}); wait for its end ` +
          'or stop it with migrate_cancel',
        { path: this.#qmp.path, status: before.status },
      );
    }
    if (runState === 'postmigrate') return this.#captureAgain(spool);
    const wasRunning = runState === 'running';
    const settings = await migration.settingsOf(this.#qmp);
    try {
      const captured = await this.#captureInSomeMode({ spool, settings, wasRunning });
      const capture = { ...captured, ...(await this.#refined(captured)) };
      this.#still = wasRunning ? null : { spool, capture };
      return capture;
    } finally {
      await this.#cleanUp({ settings, wasRunning });
    }
  }

  /**
   * QEMU migrates a paused guest once, and again only after it has run. Until then it is as we
   * captured it: that capture, if its pages still lie in this spool, is this one too.
   */
  #captureAgain(spool: Spool): LiveCapture {
    const still = this.#still;
    if (still !== null && still.spool === spool && spool.holds(still.capture.image)) {
      return still.capture;
    }
    throw new LedgerError(
      'QMP_REFUSED',
      `${this.#qmp.path}: the guest is paused and was migrated before, which QEMU does not do a ` +
        'second time: let it run for a moment (cont, then stop) and capture again',
      { path: this.#qmp.path, status: 'postmigrate' },
    );
  }

  /** In the mode asked for; else in the background, or, where QEMU refuses that, migrating. */
  async #captureInSomeMode(request: LiveRequest): Promise<LiveCapture> {
    // Up to QEMU 7.2 a background snapshot lets a paused guest run; such a guest waits for nothing.
    if (!request.wasRunning) return this.#captureInMode('migrate', request);
    if (this.#mode !== 'auto') return this.#captureInMode(this.#mode, request);
    try {
      return await this.#captureInMode('background', request);
    } catch (error) {
      if (!isLedgerError(error) || error.code !== 'QMP_REFUSED') throw error;
      await this.#letRun();
    }
    const captured = await this.#captureInMode('migrate', request);
    this.#mode = 'migrate';
    return captured;
  }

  async #captureInMode(mode: LiveMode, request: LiveRequest): Promise<LiveCapture> {
    assert(mode !== 'background' || request.wasRunning, 'only running guests are snapshotted');
    const { process: found } = await this.#findProcess();
    const owner = found === null ? {} : { uid: found.uid };
    await migration.setOnly(
      this.#qmp,
      request.settings,
      mode === 'background' ? ['events', 'background-snapshot'] : ['events'],
    );
    if (mode === 'migrate') await migration.setQuick(this.#qmp);
    const folder = new PrivateFolder();
    const pauses = new PauseLog(this.#qmp);
    try {
      const path = folder.socket('migration.sock');
      const socket = await ListeningSocket.listen({ path, ...owner });
      try {
        const state = await this.#transfer({ mode, socket, ...request });
        if (request.wasRunning) await pauses.untilResumed(RESUME_TIMEOUT_MS);
        const { wasRunning } = request;
        return { ...state, mode, pauseMs: wasRunning ? pauses.pauseMs : 0, wasRunning };
      } finally {
        socket.close();
      }
    } finally {
      pauses.close();
      folder.remove();
    }
  }

  /** Lets QEMU send and reads what it sends; the more telling error where both fail. */
  async #transfer(
    request: LiveRequest & { readonly mode: LiveMode; readonly socket: ListeningSocket },
  ): Promise<GuestState> {
    const { socket, spool } = request;
    const outcome = new Outcome(this.#qmp);
    // QEMU 7.2 may stand still for ever when the socket of a background snapshot is closed early:
    // what nobody wants any more is read to its end instead. A migration may be cut.
    const isPatient = request.mode === 'background';
    try {
      const label = `the migration stream of ${this.#qmp.path}`;
      const finishing = this.#finish(request, outcome).catch((error: unknown) => {
        socket.abandon(isPatient ? DRAIN_TIMEOUT_MS : 0);
        throw error;
      });
      const reading = socket.connection(CONNECTION_TIMEOUT_MS).then(async (chunks) => {
        const source = sourceOfChunks(chunks);
        try {
          return await readStreamOrThrow({ source, spool, label });
        } catch (error) {
          if (isPatient) await drain(source);
          else socket.close();
          throw error;
        }
      });
      const [read, finished] = await Promise.allSettled([reading, finishing]);
      if (read.status === 'rejected' && !isCut(read.reason)) throw read.reason;
      if (finished.status === 'rejected') throw finished.reason;
      if (read.status === 'rejected') throw read.reason;
      return read.value;
    } finally {
      outcome.close();
    }
  }

  /** Starts the migration and stays with it until it is complete and the guest goes on. */
  async #finish(
    request: LiveRequest & { readonly mode: LiveMode; readonly socket: ListeningSocket },
    outcome: Outcome,
  ): Promise<void> {
    const { mode, socket, wasRunning } = request;
    await this.#qmp.execute('migrate', { uri: `unix:${socket.path}` });
    const started = performance.now();
    let forced = mode === 'background';
    for (;;) {
      const status = await outcome.within(PROGRESS_EVERY_MS);
      if (status === 'completed') break;
      const progress = await migration.progressOf(this.#qmp);
      if (progress.status === 'completed') break;
      if (migration.isIdle(progress)) throw this.#failed(progress);
      const late = performance.now() - started > MIGRATION_MS_MAX;
      if (!forced && (late || progress.passes > PASSES_MAX)) {
        await migration.forceCompletion(this.#qmp);
        forced = true;
      }
    }
    if (mode === 'migrate' && wasRunning) await migration.continueGuest(this.#qmp);
  }

  #failed(progress: migration.MigrationProgress): LedgerError {
    return new LedgerError(
      'QMP_REFUSED',
      `${this.#qmp.path}: QEMU's migration ended as ${progress.status}: ` +
        `${progress.error ?? 'it gives no reason'}; the guest was left as it was`,
      { path: this.#qmp.path, status: progress.status },
    );
  }

  /** Guest-physical ranges as QEMU itself lists them, asked for once. */
  async #refined(state: GuestState): Promise<Pick<GuestState, 'memoryMap'>> {
    const { blocks, ranges } = state.memoryMap;
    this.#ranges ??= rangesOfFlatView(await this.#qmp.monitor('info mtree -f'), blocks) ?? ranges;
    return { memoryMap: { blocks, ranges: this.#ranges } };
  }

  async #cleanUp(request: {
    readonly settings: MigrationSettings;
    readonly wasRunning: boolean;
  }): Promise<void> {
    // Nothing can be put right on a connection that is gone.
    if (this.#qmp.lost !== null) return;
    const progress = await migration.progressOf(this.#qmp);
    if (!migration.isIdle(progress)) await this.#qmp.execute('migrate_cancel');
    await migration.untilIdle(this.#qmp);
    if (request.wasRunning) await this.#letRun();
    await migration.restoreSettings(this.#qmp, request.settings);
  }

  async #letRun(): Promise<void> {
    const runState = await migration.runStateNow(this.#qmp);
    if (STOPPED_BY_US.has(runState)) await migration.continueGuest(this.#qmp);
  }
}

interface LiveRequest {
  readonly spool: Spool;
  readonly settings: MigrationSettings;
  readonly wasRunning: boolean;
}

/** Reads what is left of a stream that is of no use any more. */
async function drain(source: ByteSource): Promise<void> {
  const buffer = new Uint8Array(DRAIN_BYTES);
  try {
    while ((await source(buffer)) > 0);
  } catch (error) {
    // The end of the stream, by whatever means, is what is waited for.
    if (systemCodeOf(error) === '') throw error;
  }
}

/** Whether an error only says that the stream stopped, as it does when QEMU gives up. */
const isCut = (thrown: unknown): boolean =>
  isLedgerError(thrown)
    ? thrown.code === 'STREAM_TRUNCATED'
    : ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET'].includes(systemCodeOf(thrown));

/** The end of a migration, from QEMU's events. */
class Outcome {
  readonly #stop: () => void;
  #status: string | null = null;
  #wake: (() => void) | null = null;

  constructor(qmp: QmpClient) {
    this.#stop = qmp.onEvent((event: QmpEvent) => {
      const status = event.event === 'MIGRATION' ? event.data['status'] : null;
      if (status !== 'completed' && status !== 'failed' && status !== 'cancelled') return;
      this.#status = status;
      this.#wake?.();
    });
  }

  /** What the migration ended as, null where it did not within `ms`. */
  async within(ms: number): Promise<string | null> {
    if (this.#status !== null) return this.#status;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    return this.#status;
  }

  close(): void {
    this.#stop();
  }
}
