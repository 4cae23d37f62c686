// A command of the user's that runs while a guest stands still: it has its time, its output is kept
// up to a bound, and at the end of its time it is killed with all its group.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { CommandOutcome } from '../../../domain/values/command-outcome.ts';
import { sentenceOf } from './failure.ts';

export interface CommandRequest {
  /** For /bin/sh. */
  readonly command: string;
  /** The folder it runs in. */
  readonly folder: string;
  readonly timeoutMs: number;
  /** Added to the environment. */
  readonly environment: Readonly<Record<string, string>>;
}

const OUTPUT_BYTES_MAX = 64 * 1024;
/** What it started may hold its output open when it has ended: that is not waited for. */
const LAST_OUTPUT_MS = 100;

/** Ends all processes of a group, those that are left. */
export function killGroup(group: number): void {
  if (group === 0) return;
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // All of them have ended.
  }
}

/** Runs `command` in a group of its own; `kill` ends it at once. */
export class BoundedCommand {
  readonly ended: Promise<CommandOutcome>;
  readonly #child: ChildProcess;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  #isLate = false;

  constructor(request: CommandRequest) {
    const { command, folder, timeoutMs, environment } = request;
    this.#child = spawn('/bin/sh', ['-c', command], {
      cwd: folder,
      env: { ...process.env, ...environment },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (part: Buffer) => this.#take(part));
    const timer = setTimeout(() => {
      this.#isLate = true;
      this.kill();
    }, timeoutMs);
    this.ended = this.#outcome().finally(() => clearTimeout(timer));
  }

  /** The number of its group; 0 where it could not be started. */
  get group(): number {
    return this.#child.pid ?? 0;
  }

  kill(): void {
    killGroup(this.group);
  }

  /** Further output is read, so that nothing waits for it, and thrown away. */
  #take(part: Buffer): void {
    const kept = part.subarray(0, Math.max(0, OUTPUT_BYTES_MAX - this.#bytes));
    this.#bytes += part.length;
    if (kept.length > 0) this.#parts.push(kept);
  }

  async #outcome(): Promise<CommandOutcome> {
    const { exitCode, signal, failure } = await this.#exit();
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy();
    const output = failure === undefined ? Buffer.concat(this.#parts) : Buffer.from(failure);
    return {
      exitCode,
      signal,
      isLate: this.#isLate,
      output,
      isCut: this.#bytes > OUTPUT_BYTES_MAX,
    };
  }

  #exit(): Promise<Pick<CommandOutcome, 'exitCode' | 'signal'> & { readonly failure?: string }> {
    return new Promise((resolve) => {
      this.#child.once('error', (error) =>
        resolve({ exitCode: null, signal: null, failure: sentenceOf(error) }),
      );
      this.#child.once('exit', (exitCode, signal) => {
        const end = (): void => resolve({ exitCode, signal });
        this.#child.once('close', end);
        setTimeout(end, LAST_OUTPUT_MS);
      });
    });
  }
}
