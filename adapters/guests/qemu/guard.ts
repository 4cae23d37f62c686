// The recorder's side of the guard (guard-process.ts). A guard is begun for each capture before QEMU
// is touched, and told when the guest is as it was again: from the one to the other the guest needs
// nothing of the recorder to go on.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { CommandOutcome } from '../../../domain/values/command-outcome.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { killGroup, type CommandRequest } from './bounded-command.ts';
import { ALIVE_EVERY_MS, type FromGuard, type ToGuard, type Watch } from './guard-messages.ts';
import type { Qmp } from './qmp.ts';
import { ReceivedStream } from './received-stream.ts';

const ENTRY = fileURLToPath(new URL('./guard-process.js', import.meta.url));

type Heard = Exclude<FromGuard['kind'], 'stream' | 'taken' | 'runs' | 'ran'>;

export class Guard {
  readonly #child: ChildProcess;
  readonly #qmp: Qmp;
  #alive: NodeJS.Timeout | undefined;
  #isGone = false;
  #isLeft = false;
  #taken: LedgerError | null = null;
  /** How many captures were begun: who waits for the stream of one has nothing of the next. */
  #begun = 0;
  #stream: ReceivedStream | null = null;
  #deaf = '';
  #port = 0;
  #commandGroup = 0;
  #ran: CommandOutcome | null = null;
  readonly #heard = new Set<Heard>();
  /** Those who wait, and look again at what has changed. */
  readonly #waiting = new Set<() => void>();

  private constructor(child: ChildProcess, qmp: Qmp) {
    this.#child = child;
    this.#qmp = qmp;
    child.on('message', (message: FromGuard, socket: unknown) => this.#hear(message, socket));
    // What it has said before it ended is heard before the channel closes, not before its exit.
    for (const event of ['error', 'disconnect'] as const)
      child.once(event, () => {
        this.#isGone = true;
        clearInterval(this.#alive);
        this.#look();
      });
    child.unref();
    child.channel?.unref();
  }

  /** Starts a guard that shares the connection. */
  static start(qmp: Qmp): Guard {
    const child = qmp.share((descriptor) =>
      spawn(process.execPath, [ENTRY, qmp.path], {
        detached: true,
        cwd: '/',
        // Not our standard error: whoever reads that would wait for the guard.
        stdio: ['ignore', 'ignore', 'ignore', descriptor, 'ipc'],
      }),
    );
    return new Guard(child, qmp);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Why the guard has taken over by itself, or null. */
  get taken(): LedgerError | null {
    return this.#taken;
  }

  /** Begins to watch a capture: from here on the guest is looked after. The port it listens at. */
  async begin(watch: Watch): Promise<number> {
    this.#begun += 1;
    this.#stream = null;
    this.#heard.clear();
    this.#say(watch);
    await this.#until(
      () => this.#isGone || this.#heard.has('listening') || this.#heard.has('deaf'),
    );
    const { folder } = watch;
    const where = folder === null ? '' : ` in ${folder}`;
    if (!this.#heard.has('listening'))
      throw new LedgerError(
        'IO_FAILED',
        `${this.#qmp.path}: the process that guards the guest while it is recorded ` +
          `${this.#isGone ? 'ended' : `cannot make a socket${where} (${this.#deaf})`}; ` +
          'the guest was not touched',
        { path: this.#qmp.path, ...(folder === null ? {} : { folder }) },
      );
    this.#alive = setInterval(() => this.#say({ kind: 'alive' }), ALIVE_EVERY_MS);
    this.#alive.unref();
    return this.#port;
  }

  /** QEMU's connection; STREAM_TRUNCATED where there is none within `timeoutMs`. */
  async stream(timeoutMs: number): Promise<ReceivedStream> {
    const begun = this.#begun;
    const isOver = (): boolean =>
      this.#isGone || this.#isLeft || this.#taken !== null || this.#begun !== begun;
    await this.#until(() => this.#stream !== null || isOver(), timeoutMs);
    if (this.#stream !== null && !isOver()) return this.#stream;
    if (this.#isGone) throw this.#ended();
    throw new LedgerError(
      'STREAM_TRUNCATED',
      `${this.#qmp.path}: QEMU did not connect (waited up to ${timeoutMs} ms) to where its stream ` +
        'should go; it must see the same files as this program',
      { path: this.#qmp.path, timeoutMs },
    );
  }

  /** Has a command run while the guest stands still; it ends with its time, or with this guard's. */
  async run(request: CommandRequest): Promise<CommandOutcome> {
    this.#ran = null;
    this.#say({ kind: 'run', request });
    await this.#until(() => this.#ran !== null || this.#isGone || this.#taken !== null);
    if (this.#ran !== null && this.#taken === null) return this.#ran;
    // The guest is about to go on.
    killGroup(this.#commandGroup);
    throw this.#taken ?? this.#ended();
  }

  /** The guest is as it was. Throws where the guard had to see to that. */
  async end(): Promise<void> {
    clearInterval(this.#alive);
    this.#say({ kind: 'end' });
    await this.#until(() => this.#heard.has('ended') || this.#taken !== null || this.#isGone);
    this.#stream?.close();
    if (this.#taken !== null) throw this.#taken;
  }

  /**
   * Leaves the capture to the guard. Whether the guest was as it had been within `timeoutMs`: until
   * it is, the guard stays with it, whatever becomes of this program; where it ends before, `drain`
   * is left.
   */
  async giveUp(timeoutMs: number): Promise<boolean> {
    clearInterval(this.#alive);
    this.#isLeft = true;
    this.#stream?.leave();
    this.#look();
    this.#say({ kind: 'give up' });
    await this.#until(() => this.#heard.has('settled') || this.#isGone, timeoutMs);
    const isSettled = this.#heard.has('settled');
    if (isSettled || !this.#isGone) this.#stream?.close();
    return isSettled;
  }

  /** Reads what QEMU sends to its end, in the place of a guard that is gone. */
  async drain(): Promise<void> {
    await this.#stream?.drain();
    this.#stream?.close();
  }

  /** A guard that watches nothing ends: from here on it is gone, whenever its process hears of it. */
  close(): void {
    this.#isGone = true;
    clearInterval(this.#alive);
    if (this.#child.connected) this.#child.disconnect();
  }

  #say(message: ToGuard): void {
    // That it has gone is heard by other means.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  #hear(message: FromGuard, socket: unknown): void {
    switch (message.kind) {
      case 'stream':
        if (socket instanceof Socket) this.#stream = new ReceivedStream(socket);
        break;
      case 'taken':
        this.#beTaken();
        break;
      case 'runs':
        this.#commandGroup = message.group;
        break;
      case 'ran':
        this.#commandGroup = 0;
        this.#ran = { ...message.outcome, output: Buffer.from(message.outcome.output, 'base64') };
        break;
      case 'deaf':
        this.#deaf = message.sentence;
        this.#heard.add('deaf');
        break;
      case 'listening':
        this.#port = message.port;
        this.#heard.add('listening');
        break;
      case 'ended':
      case 'settled':
        this.#heard.add(message.kind);
    }
    this.#look();
  }

  /** What is read from here on, of the stream and of QMP, is no longer whole. */
  #beTaken(): void {
    if (this.#isLeft) return;
    const { path } = this.#qmp;
    this.#taken = new LedgerError(
      'QMP_LOST',
      `${path}: this program stood still while QEMU was sending, and its guard read the rest so ` +
        'that the guest could go on: this capture is not whole; record again',
      { path },
    );
    this.#stream?.leave();
    this.#qmp.leave();
  }

  #ended(): LedgerError {
    const { path } = this.#qmp;
    return new LedgerError(
      'IO_FAILED',
      `${path}: the process that guards the guest ended while it was captured (was it killed?); ` +
        'record again',
      { path },
    );
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }

  /** Waits until something holds, at most `timeoutMs`. */
  async #until(holds: () => boolean, timeoutMs?: number): Promise<void> {
    if (holds()) return;
    let timer: NodeJS.Timeout | undefined;
    // Guard and channel alone would not keep this program from ending.
    this.#child.channel?.ref();
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      if (timeoutMs === undefined) return;
      timer = setTimeout(() => {
        this.#waiting.delete(look);
        resolve();
      }, timeoutMs);
    });
    clearTimeout(timer);
    if (this.#waiting.size === 0) this.#child.channel?.unref();
  }
}
