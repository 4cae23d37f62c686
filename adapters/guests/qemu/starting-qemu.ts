// A QEMU that is started for a recorded point, before the guest is its own. Refused with a disk that
// may have changed since. QEMU's own complaints come back as QEMU_FAILED.

import { spawn } from 'node:child_process';
import type { ChildProcess, StdioNull, StdioPipe } from 'node:child_process';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { errnoOf } from '../../files/failures.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import type { PrivateFolder } from '../private-folder.ts';
import { sentenceOf } from './failure.ts';
import { delay } from './migration-control.ts';
import { hasOption, writableDisksOf } from './qemu-options.ts';

export interface StartRequest {
  /** The whole command: the program, then its arguments. */
  readonly command: readonly string[];
  /** Disks are the caller's business. */
  readonly diskOk?: boolean;
  readonly stdin?: StdioNull | StdioPipe;
  readonly stdout?: StdioNull | StdioPipe;
  /** Takes what QEMU writes to its standard error; its end is in QEMU_FAILED in any case. */
  readonly onStderr?: (text: string) => void;
  /** It has a session of its own, so that an interruption at a terminal is not the guest's too. */
  readonly isDetached?: boolean;
  /** Is told of the process before it has done anything of note. */
  readonly onSpawned?: (process: number) => void;
}

/** Options that this program must set itself. */
const FOREIGN_OPTIONS = ['incoming', 'daemonize', 'preconfig'];
const RETRY_MS = 2;
const LAST_WORDS_MS = 1_000;
const STDERR_TAIL_CHARS = 4096;

/** Throws what a command cannot be resumed with. */
export function checkCommand(request: StartRequest): void {
  const { command } = request;
  const foreign = FOREIGN_OPTIONS.find((name) => hasOption(command, name));
  if (command.length === 0 || foreign !== undefined) {
    throw new LedgerError(
      'QEMU_FAILED',
      command.length === 0
        ? 'no command to resume the guest with: expected qemu-system-... and its arguments'
        : `the command has -${foreign}, which resuming sets or cannot work with: leave it out`,
      { option: foreign ?? null },
    );
  }
  const disks = request.diskOk === true ? [] : writableDisksOf(command);
  if (disks.length > 0) {
    throw new LedgerError(
      'GUEST_DISK',
      `the command has a disk that the guest can write to (${disks.join('; ')}): memory of one ` +
        'moment with a disk of another corrupts the guest; make it read-only or snapshot=on, or ' +
        'say that the disk is of that moment (--disk-ok)',
      { disks: disks.join('; ') },
    );
  }
}

/** Connects as soon as QEMU listens. */
export async function whenUp<A>(
  attemptOnce: () => Promise<A>,
  { qemu, timeoutMs }: { readonly qemu: StartingQemu; readonly timeoutMs: number },
): Promise<A> {
  const limit = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await qemu.whileAlive(attemptOnce());
    } catch (error) {
      if (!isTooEarly(error)) throw error;
      if (performance.now() > limit) {
        throw new LedgerError(
          'QEMU_FAILED',
          `QEMU does not listen for the guest after ${timeoutMs} ms`,
          { timeoutMs },
          error,
        );
      }
    }
    await delay(RETRY_MS);
  }
}

const EARLY_CODES = ['ENOENT', 'ECONNREFUSED'];
const CUT_STREAM_CODES = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED'];

/** What the system said at the bottom of a failure; who asked it wraps it. */
const errnoBelow = (thrown: unknown): string =>
  errnoOf(isLedgerError(thrown) ? thrown.cause : thrown) ?? '';

/** Whether nobody listens on a socket yet, or any more. */
export const isTooEarly = (thrown: unknown): boolean => EARLY_CODES.includes(errnoBelow(thrown));

/** Connects to a unix socket. */
export function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/** A QEMU that may still fail: it is ended, with this process too, unless it is released; its folder goes then. */
export class StartingQemu {
  readonly #child: ChildProcess;
  readonly #program: string;
  readonly #ended: Promise<string>;
  readonly #folder: PrivateFolder;
  readonly #end = (): void => {
    this.#child.kill('SIGKILL');
    this.#folder.remove();
  };
  #tail = '';
  #isMissing = false;

  constructor(request: StartRequest, extra: readonly string[], folder: PrivateFolder) {
    const [program = '', ...rest] = request.command;
    this.#program = program;
    this.#folder = folder;
    this.#child = spawn(program, [...rest, ...extra], {
      stdio: [request.stdin ?? 'ignore', request.stdout ?? 'ignore', 'pipe'],
      detached: request.isDetached ?? false,
    });
    process.once('exit', this.#end);
    if (this.#child.pid !== undefined) request.onSpawned?.(this.#child.pid);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.note(text);
      request.onStderr?.(text);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#isMissing = errnoOf(error) === 'ENOENT';
        resolve(`it cannot be started: ${error.message}`);
      });
      this.#child.once('close', (code, signal) => resolve(`it ended with ${signal ?? code}`));
    });
  }

  /** The number of its process; null: it could not be started, which whoever waits for it is told. */
  get process(): number | null {
    return this.#child.pid ?? null;
  }

  note(text: string): void {
    this.#tail = `${this.#tail}${text}`.slice(-STDERR_TAIL_CHARS);
  }

  /** What `work` gives, unless the process ends first. */
  async whileAlive<A>(work: Promise<A>): Promise<A> {
    const ended = this.#ended.then((how): never => {
      throw this.#failure(how);
    });
    return Promise.race([work, ended]);
  }

  /** Ends the process; a failed write is told as what QEMU said, if it ended. */
  async explain(thrown: unknown): Promise<unknown> {
    const isWrite = CUT_STREAM_CODES.includes(errnoBelow(thrown));
    // QEMU closes the socket a moment before it says why and ends.
    if (isWrite) await Promise.race([this.#ended, delay(LAST_WORDS_MS)]);
    this.#end();
    this.#letGo();
    const how = await this.#ended;
    return isWrite ? this.#failure(`${sentenceOf(thrown)}; ${how}`) : thrown;
  }

  /** Leaves the guest to the caller, who sees to its end. */
  release(): ChildProcess {
    this.#letGo();
    return this.#child;
  }

  #letGo(): void {
    process.off('exit', this.#end);
  }

  #failure(how: string): LedgerError {
    if (this.#isMissing) {
      return new LedgerError(
        'MISSING_TOOL',
        `${this.#program} is not there to start: install QEMU (Debian: qemu-system-x86)`,
        { program: this.#program },
      );
    }
    const said = this.#tail.trim();
    return new LedgerError(
      'QEMU_FAILED',
      `${this.#program} did not resume the guest: ${how}${said === '' ? '' : `, saying: ${said}`}; ` +
        'it needs the machine type, memory size and devices that the guest was recorded with',
      { program: this.#program, stderr: said },
    );
  }
}
