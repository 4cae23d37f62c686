// Captures a guest by letting its QEMU migrate it to us: starts that, reads what is sent, and stays with it
// until the guest goes on.

import type { CommandOutcome } from '../../../domain/values/command-outcome.ts';
import { assert } from '../../../domain/values/assert.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import { errnoOf } from '../../files/failures.ts';
import type { CommandRequest } from './bounded-command.ts';
import { withRunState } from './device-sections.ts';
import type { Guard } from './guard.ts';
import { putBack, type Guards } from './guards.ts';
import type { LiveMode, LiveRequest, TakenCapture } from './live-capture.ts';
import * as migration from './migration-control.ts';
import { MigrationOutcome } from './migration-outcome.ts';
import { PauseLog } from './pause-log.ts';
import type { Qmp } from './qmp.ts';
import type { GuestState } from './stream-layout.ts';
import type { LiveStream } from './stream-place.ts';
import { readStream } from './stream-reader.ts';

const CONNECTION_TIMEOUT_MS = 30_000;
const PROGRESS_EVERY_MS = 100;
/** The same where no event tells the end. */
const PROGRESS_ASKED_EVERY_MS = 5;
/** A migration with more passes, or longer, does not converge by itself. */
const PASSES_MAX = 4;
const MIGRATION_MS_MAX = 5_000;
const RESUME_TIMEOUT_MS = 2_000;

interface GuardedRequest extends LiveRequest {
  readonly mode: LiveMode;
  /** Whether a guest that ran stands while its memory is sent. */
  readonly standsAllAlong: boolean;
  readonly guard: Guard;
  /** Where QEMU migrates to. */
  readonly uri: string;
}

/** Takes captures of a guest, one at a time. */
export class LiveMigration {
  readonly #qmp: Qmp;
  readonly #stream: LiveStream;
  readonly #guards: Guards;
  readonly #atCapture: CommandRequest | null;
  #tracksWrites: boolean | null = null;

  constructor(
    qmp: Qmp,
    of: {
      readonly guards: Guards;
      readonly stream: LiveStream;
      /** What runs while the guest stands still for a capture; null: nothing. */
      readonly atCapture: CommandRequest | null;
    },
  ) {
    this.#qmp = qmp;
    this.#guards = of.guards;
    this.#stream = of.stream;
    this.#atCapture = of.atCapture;
  }

  /** Captures the guest in a mode; it goes on then, if it ran. */
  async capture(mode: LiveMode, request: LiveRequest): Promise<TakenCapture> {
    assert(mode !== 'background' || request.wasRunning, 'only running guests are snapshotted');
    assert(mode === 'migrate' || this.#atCapture === null, 'a command runs while the guest stands');
    this.#tracksWrites ??= await migration.tracksWrites(this.#qmp);
    const standsAllAlong = mode === 'migrate' && request.wasRunning && !this.#tracksWrites;
    const stream = this.#stream;
    const guarded = { ...request, stream, isCancellable: mode === 'migrate' };
    const { result, isGuarded } = await this.#guards.during(guarded, ({ guard, uri }) =>
      this.#captureGuarded({ ...request, mode, standsAllAlong, guard, uri }),
    );
    return { ...result, isGuarded };
  }

  async #captureGuarded(request: GuardedRequest): Promise<Omit<TakenCapture, 'isGuarded'>> {
    const { mode, settings, wasRunning, standsAllAlong } = request;
    const pauses = new PauseLog(this.#qmp);
    try {
      await migration.setOnly(
        this.#qmp,
        settings,
        mode === 'background' ? ['events', 'background-snapshot'] : ['events'],
      );
      if (mode === 'migrate') await migration.setQuick(this.#qmp);
      const [state, command] = await this.#transfer(request);
      if (wasRunning) await pauses.untilResumed(RESUME_TIMEOUT_MS);
      await putBack(this.#qmp, request);
      const pauseMs = wasRunning ? pauses.pauseMs : 0;
      const told = standsAllAlong ? this.#asRunning(state) : state;
      return { ...told, mode, pauseMs, wasRunning, command };
    } finally {
      pauses.close();
    }
  }

  /** A guest that stood only while it was sent is one that runs. */
  #asRunning(state: GuestState): GuestState {
    const runState = 'running';
    const device = withRunState(state.device, { runState, label: this.#qmp.path });
    return { ...state, device, runState };
  }

  /** Lets QEMU send and reads what it sends; the more telling error where both fail. */
  async #transfer(request: GuardedRequest): Promise<[GuestState, CommandOutcome | null]> {
    const outcome = new MigrationOutcome(this.#qmp);
    try {
      const finishing = this.#finish(request, outcome);
      const reading = this.#read(request).catch(async (error: unknown) => {
        // Why it was cut QEMU may tell.
        if (isCut(error)) await finishing;
        throw error;
      });
      return await Promise.all([reading, finishing]);
    } finally {
      outcome.close();
    }
  }

  async #read({ guard, spool, known }: GuardedRequest): Promise<GuestState> {
    const { source } = await guard.stream(CONNECTION_TIMEOUT_MS);
    return readStream({
      source,
      spool,
      known,
      label: `the migration stream of ${this.#qmp.path}`,
    });
  }

  /**
   * Starts the migration and stays with it until it is complete, the command has run that is to run
   * then, and the guest goes on.
   */
  async #finish(
    request: GuardedRequest,
    outcome: MigrationOutcome,
  ): Promise<CommandOutcome | null> {
    const { mode, uri, wasRunning, standsAllAlong, guard } = request;
    if (standsAllAlong) await this.#qmp.execute('stop');
    await this.#qmp.execute('migrate', { uri });
    const started = performance.now();
    let forced = mode === 'background';
    for (;;) {
      const { hasEvents } = this.#qmp;
      const status = await outcome.within(hasEvents ? PROGRESS_EVERY_MS : PROGRESS_ASKED_EVERY_MS);
      if (status === 'completed') break;
      const progress = await migration.progressOf(this.#qmp);
      if (progress.status === 'completed') break;
      if (migration.isIdle(progress)) throw this.#failed(progress, uri);
      const late = performance.now() - started > MIGRATION_MS_MAX;
      if (!forced && (late || progress.passes > PASSES_MAX)) {
        await migration.forceCompletion(this.#qmp);
        forced = true;
      }
    }
    const command = this.#atCapture === null ? null : await guard.run(this.#atCapture);
    if (mode === 'migrate' && wasRunning) await migration.continueGuest(this.#qmp);
    return command;
  }

  #failed(progress: migration.MigrationProgress, uri: string): LedgerError {
    const reason = progress.error ?? 'it gives no reason';
    const isUnseen = /connect.*(?:No such file|Permission denied|refused)/u.test(reason);
    const way = isUnseen
      ? ` (QEMU does not reach ${uri}, as in a container, under PrivateTmp or AppArmor: give a ` +
        'folder that both see and may use, with --socket-dir, or --stream tcp where both share ' +
        "the host's network)"
      : '';
    return new LedgerError(
      'QMP_REFUSED',
      `${this.#qmp.path}: QEMU's migration ended as ${progress.status}: ${reason}${way}; the guest ` +
        'was left as it was',
      { path: this.#qmp.path, status: progress.status },
    );
  }
}

/** Whether an error only says that the stream stopped, as it does when QEMU gives up. */
const isCut = (thrown: unknown): boolean =>
  isLedgerError(thrown)
    ? thrown.code === 'STREAM_TRUNCATED'
    : ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET'].includes(errnoOf(thrown) ?? '');
