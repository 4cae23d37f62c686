// Captures a running guest through QMP: QEMU migrates it to a socket of ours. Where QEMU may track
// writes it takes a background snapshot (the guest stands still for a moment at the start and each
// page is sent once), else it migrates and is told to go on; a guest whose writes QEMU may lose sight
// of stands still meanwhile. Invariants, also when something fails half-way: a guest that ran runs, a
// guest that was paused is paused, migration capabilities and parameters are what they were, and
// nothing of ours is left behind.

import * as t from 'io-ts';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { MemoryBlock, PhysicalRange } from '../../../domain/values/memory-map.ts';
import type { CommandRequest } from './bounded-command.ts';
import { attempt } from './failure.ts';
import { Guards, isRefusal } from './guards.ts';
import type { KeptGuards } from './kept-guards.ts';
import type { LiveCapture, LiveMode, LiveRequest, TakenCapture } from './live-capture.ts';
import { LiveMigration } from './live-migration.ts';
import * as migration from './migration-control.ts';
import { connectMonitor } from './monitors.ts';
import { captureOwnPages, type MappedPoint } from './own-pages.ts';
import { Still } from './still-guest.ts';
import { askForAll, giverOf } from './postcopy/giver.ts';
import { pluggedMemory } from './plugged-memory.ts';
import type { FoundProcess } from './qemu-process.ts';
import type { Qmp } from './qmp.ts';
import { rangesOfFlatView } from './ram-blocks.ts';
import type { Spool } from './spool.ts';
import { checkRunState } from './run-states.ts';
import type { LiveStream } from './stream-place.ts';
import type { GuestState } from './stream-layout.ts';

/**
 * A guest that was captured and stands still. Until one of the first two its guard lets it go on where this
 * program cannot.
 */
export interface StillGuest {
  readonly capture: LiveCapture;
  /** Lets it go on, if it ran. */
  goOn(): Promise<void>;
  /** Leaves it standing. Throws where it has gone on meanwhile: it was not as it is captured then. */
  stand(): Promise<void>;
  /** Ends its QEMU. */
  quit(): Promise<void>;
}

export interface GuestOptions {
  /** Path of the QMP socket, or its address in QEMU's words. */
  readonly qmp: string;
  /** Where the socket for the stream is made; absent: where temporary files are, for QEMU too. */
  readonly socketFolder?: string;
  /** How QEMU reaches us; absent: a unix socket. */
  readonly stream?: LiveStream;
  /** `auto`, or absent: background where QEMU allows it, and no command is to run. */
  readonly mode?: LiveMode | 'auto';
  /** What runs while the guest stands still for a capture; absent: nothing. */
  readonly atCapture?: CommandRequest;
  /** What its guest maps a block of: its own pages alone are read then. Absent: all are. */
  readonly mapped?: MappedPoint;
  /** Who keeps guards from one capture to the next where many guests are captured; absent: each guest its own. */
  readonly guards?: KeptGuards;
  readonly connectTimeoutMs?: number;
}

/** Connects to a running QEMU. */
export const connectGuest = (options: GuestOptions): TaskEither<LedgerError, LiveGuest> =>
  attempt(`cannot connect to ${options.qmp}`, async () => {
    const { qmp: path, connectTimeoutMs } = options;
    const qmp = await connectMonitor(
      connectTimeoutMs === undefined ? { path } : { path, connectTimeoutMs },
    );
    return new LiveGuest(qmp, options);
  });

/** Whether a guest runs, or stands, while its memory is still to come. */
const isArriving = ({ status }: migration.MigrationProgress): boolean =>
  status.startsWith('postcopy-');

const Disks = t.array(
  t.intersection([
    t.type({ device: t.string }),
    t.partial({ qdev: t.string, inserted: t.partial({ ro: t.boolean, file: t.string }) }),
  ]),
);

/** A guest we are connected to. One capture at a time. */
export class LiveGuest {
  readonly #qmp: Qmp;
  readonly #guards: Guards;
  readonly #migration: LiveMigration;
  #mode: LiveMode | 'auto';
  #mapped: MappedPoint | null;
  #process: FoundProcess | null = null;
  #ranges: readonly PhysicalRange[] | null = null;
  /** The last capture of a guest that has not run since, and where it lies. */
  #still: { readonly spool: Spool; readonly capture: LiveCapture } | null = null;
  #busy = false;
  #isShutDown = false;

  constructor(qmp: Qmp, options: GuestOptions) {
    const {
      socketFolder,
      stream = 'unix',
      atCapture,
      mode = 'auto',
      mapped,
      guards: kept,
    } = options;
    this.#qmp = qmp;
    this.#guards = new Guards(qmp, {
      within: socketFolder,
      process: () => this.#findProcess(),
      kept,
    });
    this.#migration = new LiveMigration(qmp, {
      guards: this.#guards,
      stream,
      atCapture: atCapture ?? null,
    });
    this.#mapped = atCapture === undefined && mode === 'auto' ? (mapped ?? null) : null;
    // During a background snapshot the guest stands still for as long as QEMU wants.
    this.#mode = mode === 'auto' && atCapture !== undefined ? 'migrate' : mode;
    qmp.onEvent(({ event }) => {
      if (event === 'RESUME' || event === 'RESET') this.#still = null;
      if (event === 'SHUTDOWN') this.#isShutDown = true;
    });
  }

  /** Once QEMU is not there any more: whether it said that it ends. */
  gone(): 'ended' | 'lost' | null {
    if (this.#qmp.lost === null) return null;
    return this.#isShutDown ? 'ended' : 'lost';
  }

  /** QEMU's version. */
  get version(): string {
    return this.#qmp.version;
  }

  /** Captures the guest into the spool. `known` are the blocks that its VM has: they come first. */
  capture(spool: Spool, known: readonly MemoryBlock[] = []): TaskEither<LedgerError, LiveCapture> {
    return attempt(`cannot capture the guest of ${this.#qmp.path}`, async () => {
      assert(!this.#busy, 'one capture of a guest at a time');
      this.#busy = true;
      try {
        return await this.#capture(spool, known);
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

  /** Lets go of what a spool has of a capture, unless the guest stands still and it is the next one too. */
  release(spool: Spool): void {
    if (this.#still === null) spool.release();
  }

  close(): void {
    this.#qmp.close();
    this.#guards.close();
  }

  async #findProcess(): Promise<FoundProcess> {
    this.#process ??= await this.#qmp.process();
    return this.#process;
  }

  /**
   * What QEMU's migration does once the guest has its memory: whoever gives it is asked for all of it.
   * GUEST_ARRIVING where nobody is there to ask: another migration would break the guest.
   */
  async #arrived(now: migration.MigrationProgress): Promise<migration.MigrationProgress> {
    if (!isArriving(now)) return now;
    const found = await this.#findProcess();
    const giver = found.process === null ? null : giverOf(found.process.argv);
    const after =
      giver !== null && (await askForAll(giver)) ? await migration.progressOf(this.#qmp) : now;
    if (!isArriving(after)) return after;
    const path = this.#qmp.path;
    throw new LedgerError(
      'GUEST_ARRIVING',
      `${path}: the guest's memory still arrives (${after.status}), and who gives it cannot be asked for the rest; ` +
        'recording it now would break it, and it was not touched: wait until its memory is there, or go on with `resume --recover` where the guest stands for it',
      { path, status: after.status },
    );
  }

  async #capture(spool: Spool, known: readonly MemoryBlock[]): Promise<LiveCapture> {
    const runState = await migration.runStateNow(this.#qmp);
    const now = await this.#arrived(await migration.progressOf(this.#qmp));
    const before = now.status === 'cancelling' ? await migration.untilIdle(this.#qmp) : now;
    checkRunState(this.#qmp.path, runState);
    if (!migration.isIdle(before)) {
      throw new LedgerError(
        'QMP_REFUSED',
        `${this.#qmp.path}: a migration is already under way (${before.status}); wait for its end ` +
          'or stop it with migrate_cancel',
        { path: this.#qmp.path, status: before.status },
      );
    }
    const wasRunning = runState === 'running';
    const settings = await migration.settingsOf(this.#qmp);
    const request = { spool, known, settings, wasRunning };
    const own = this.#mapped === null ? null : await this.#captureOwn(this.#mapped, request);
    if (own === null && runState === 'postmigrate') return this.#captureAgain(spool);
    const captured = own ?? (await this.#captureInSomeMode(request));
    const plugged = await pluggedMemory(this.#qmp);
    const capture = { ...captured, plugged, ...(await this.#refined(captured)) };
    // Without events nothing would tell that it ran.
    this.#still = wasRunning || !this.#qmp.hasEvents ? null : { spool, capture };
    return capture;
  }

  /**
   * Captures the guest's own pages; it stands still from then on, until it is told to go on, or to stand.
   * Null where they cannot be told apart: the guest goes on then.
   */
  captureLast(spool: Spool): TaskEither<LedgerError, StillGuest | null> {
    return attempt(`cannot capture the guest of ${this.#qmp.path}`, async () => {
      const runState = await migration.runStateNow(this.#qmp);
      checkRunState(this.#qmp.path, runState);
      const settings = await migration.settingsOf(this.#qmp);
      const wasRunning = runState === 'running';
      const mapped = this.#mapped;
      return mapped === null
        ? null
        : this.#leaveStill(mapped, { spool, known: [], settings, wasRunning });
    });
  }

  async #leaveStill(mapped: MappedPoint, request: LiveRequest): Promise<StillGuest | null> {
    const { spool, wasRunning } = request;
    const guarded = { ...request, stream: 'unix', isCancellable: false } as const;
    const standing = new Still();
    const over = this.#guards.during(guarded, async ({ folder }) => {
      const of = { mapped, spool, folder: folder!, wasRunning, staysStill: true };
      const own = await captureOwnPages(this.#qmp, of);
      const next = own === null ? 'go on' : await standing.with(own);
      if (next === 'go on' && wasRunning) await migration.continueGuest(this.#qmp);
    });
    const own = await Promise.race([standing.taken, over.then(() => null)]);
    if (own === null) return null;
    const plugged = await pluggedMemory(this.#qmp);
    const told = { mode: 'clone', wasRunning, isGuarded: true, command: null } as const;
    const capture = { ...own, ...told, plugged, ...(await this.#refined(own)) };
    const end = async (next: 'go on' | 'stand'): Promise<void> => {
      standing.end(next);
      await over;
    };
    return {
      capture,
      goOn: () => end('go on'),
      stand: () => end('stand'),
      quit: async () => void (await this.#qmp.execute('quit')),
    };
  }

  /** The guest's own pages alone; null where they cannot be told apart, which is not tried again. */
  async #captureOwn(mapped: MappedPoint, request: LiveRequest): Promise<TakenCapture | null> {
    const { spool, wasRunning } = request;
    const guarded = { ...request, stream: 'unix', isCancellable: false } as const;
    const taken = await this.#guards.during(guarded, async ({ folder }) => {
      const of = { mapped, spool, folder: folder!, wasRunning, staysStill: false };
      const own = await captureOwnPages(this.#qmp, of);
      return own === null ? null : { ...own, mode: 'clone' as const, wasRunning, command: null };
    });
    if (taken.result === null) this.#mapped = null;
    return taken.result === null ? null : { ...taken.result, isGuarded: taken.isGuarded };
  }

  /**
   * QEMU migrates a paused guest once, and again only after it has run. Until then it is as we
   * captured it: that capture, if its pages still lie in this spool, is this one too.
   */
  #captureAgain(spool: Spool): LiveCapture {
    const still = this.#still;
    const isTold = still !== null && this.#qmp.hasEvents;
    if (isTold && still.spool === spool && spool.holds(still.capture.image)) {
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
  async #captureInSomeMode(request: LiveRequest): Promise<TakenCapture> {
    // Up to QEMU 7.2 a background snapshot lets a paused guest run; such a guest waits for nothing.
    if (!request.wasRunning) return this.#migration.capture('migrate', request);
    if (this.#mode !== 'auto') return this.#migration.capture(this.#mode, request);
    try {
      return await this.#migration.capture('background', request);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    const captured = await this.#migration.capture('migrate', request);
    this.#mode = 'migrate';
    return captured;
  }

  /** Guest-physical ranges as QEMU itself lists them now; as before where it does not answer. */
  async #refined(state: Pick<GuestState, 'memoryMap'>): Promise<Pick<GuestState, 'memoryMap'>> {
    const { blocks, ranges } = state.memoryMap;
    const asked = rangesOfFlatView(await this.#qmp.monitor('info mtree -f'), blocks);
    this.#ranges = asked ?? this.#ranges ?? ranges;
    return { memoryMap: { blocks, ranges: this.#ranges } };
  }
}
