// The guard of a guest that is recorded: a process of its own, in a session of its own, that ends
// well what the recorder may not live to end. It holds QEMU's control connection (descriptor 3) and
// takes QEMU's connection for the stream, which it gives to the recorder and keeps open. While the
// recorder lives the guard reads neither. Once the recorder is gone, gives up or stands still, the
// guard reads the stream to its end, lets a guest run that ran, and puts QEMU's settings back.

import type { Socket } from 'node:net';
import { rmSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { errnoOf } from '../../files/failures.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { BoundedCommand, type CommandRequest } from './bounded-command.ts';
import { sentenceOf } from './failure.ts';
import {
  FROZEN_AFTER_MS,
  STOPPED_AFTER_MS,
  type FromGuard,
  type ToGuard,
  type Watch,
} from './guard-messages.ts';
import * as migration from './migration-control.ts';
import { adoptMonitor } from './monitors.ts';
import { stateOf } from './qemu-process.ts';
import { listenAt } from './stream-place.ts';

const QMP_DESCRIPTOR = 3;
/** Who has started this. */
const RECORDER = process.ppid;
const LOOK_EVERY_MS = 100;
/** A recorder that has gone hears nothing. */
const LAST_WORD_MS = 1_000;

/** Tells the recorder; resolves when that has gone out, or cannot any more. */
const say = (message: FromGuard, socket?: Socket): Promise<void> =>
  new Promise((resolve) => {
    // The recorder may go while it is told.
    const whenSent = (): void => resolve();
    if (!process.connected) resolve();
    else if (socket === undefined) process.send?.(message, whenSent);
    else process.send?.(message, socket, { keepOpen: true }, whenSent);
  });

/** A guest may stand still until this has read: before other processes, where we may (root). */
function hurry(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // As fast as others, then.
  }
}

type Listening = Awaited<ReturnType<typeof listenAt>>;

/** A capture that is watched. */
class Watched {
  readonly #watch: Watch;
  readonly #listening: Listening;
  #stream: Socket | null = null;
  #isTaken = false;
  #command: BoundedCommand | null = null;
  #heardMs = performance.now();
  readonly #look: NodeJS.Timeout;

  private constructor(watch: Watch, listening: Listening) {
    this.#watch = watch;
    this.#listening = listening;
    listening.onConnection((stream) => this.#connected(stream));
    this.#look = setInterval(() => this.#lookAtRecorder(), LOOK_EVERY_MS);
  }

  static async begin(watch: Watch): Promise<Watched> {
    return new Watched(watch, await listenAt(watch.listen));
  }

  get port(): number {
    return this.#listening.port;
  }

  hear(): void {
    this.#heardMs = performance.now();
  }

  /** Runs a command while the guest stands still, and tells what came of it. */
  async run(request: CommandRequest): Promise<void> {
    if (this.#isTaken) return;
    this.#command = new BoundedCommand(request);
    void say({ kind: 'runs', group: this.#command.group });
    const outcome = await this.#command.ended;
    this.#command = null;
    const output = Buffer.from(outcome.output).toString('base64');
    void say({ kind: 'ran', outcome: { ...outcome, output } });
  }

  /** Nothing is left to do; false where the guard has taken over before. */
  end(): boolean {
    if (this.#isTaken) return false;
    clearInterval(this.#look);
    this.#stream?.destroy();
    this.#listening.close();
    return true;
  }

  /** Brings the capture to its end for the guest's sake, once. */
  async takeOver(): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    hurry();
    clearInterval(this.#look);
    void say({ kind: 'taken' });
    // The guest is about to go on.
    this.#command?.kill();
    const drained = this.#drain();
    const qmp = adoptMonitor(this.#watch.qmp, QMP_DESCRIPTOR);
    try {
      await migration.settle(qmp, this.#watch);
      if (qmp.stragglesMs > 0) {
        await migration.delay(qmp.stragglesMs);
        await migration.restoreSettings(qmp, this.#watch.settings);
      }
    } catch (error) {
      // A connection that is gone means a QEMU that is gone, but for what it has yet to send.
      if (!isLedgerError(error)) throw error;
      await drained;
    }
    this.#listening.close();
    const { folder } = this.#watch;
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
    await Promise.race([say({ kind: 'settled' }), migration.delay(LAST_WORD_MS)]);
    process.exit();
  }

  #connected(stream: Socket): void {
    this.#stream = stream;
    stream.on('error', () => undefined);
    // Node.js keeps a list, at both ends, of what of a server's was given to another process, as long as the
    // process lives: a listener more for each capture. What is of no server is on none.
    Object.assign(stream, { server: null });
    if (this.#isTaken) stream.resume();
    else void say({ kind: 'stream' }, stream);
  }

  /** Reads and throws away; resolves at the stream's end, at once where there is none. */
  #drain(): Promise<void> {
    const stream = this.#stream;
    if (stream === null) return Promise.resolve();
    const ended = new Promise<void>((resolve) => {
      stream.once('close', () => resolve());
    });
    stream.resume();
    return ended;
  }

  #lookAtRecorder(): void {
    // Node tells of no end while a socket that was sent has not been acknowledged.
    const state = process.ppid === RECORDER ? stateOf(RECORDER) : 'ending';
    const silentMs = performance.now() - this.#heardMs;
    const waitMs = state === 'stopped' ? STOPPED_AFTER_MS : FROZEN_AFTER_MS;
    const isSilent = this.#stream !== null && silentMs >= waitMs;
    if (state === 'ending' || isSilent) void this.takeOver();
  }
}

let watched: Watched | null = null;

async function take(message: ToGuard): Promise<void> {
  watched?.hear();
  switch (message.kind) {
    case 'begin':
      try {
        watched = await Watched.begin(message);
        void say({ kind: 'listening', port: watched.port });
        // The recorder may have gone while the socket was made.
        if (!process.connected) await watched.takeOver();
      } catch (error) {
        void say({ kind: 'deaf', code: errnoOf(error) ?? '', sentence: sentenceOf(error) });
      }
      return;
    case 'run':
      await watched?.run(message.request);
      return;
    case 'end':
      if (watched === null || !watched.end()) return;
      watched = null;
      void say({ kind: 'ended' });
      return;
    case 'give up':
      await watched?.takeOver();
      return;
    case 'alive':
  }
}

// What ends the recorder, or a whole service, must not end its guard before the guest goes on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGTSTP'] as const)
  process.on(signal, () => undefined);
process.on('message', (message: ToGuard) => void take(message));
process.once('disconnect', () => {
  if (watched === null) process.exit();
  void watched.takeOver();
});
