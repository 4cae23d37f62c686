// The command line as another program meets it: real processes of the built entry, their exit codes,
// what they print, and signals. Questions and quick commands are answered by a process that is there.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Answer, Asked } from './processes/command-host.ts';
import { answered } from './processes/answered-commands.ts';

const built = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const BUNDLED = built('bin/main.js');

/** The entry of the build that these tests belong to: as it is shipped, where that was built. */
export const COMMAND_LINE = existsSync(BUNDLED) ? BUNDLED : built('adapters/faces/cli/main.js');

/** A JSON object that a command printed. */
export type JsonRow = Readonly<Record<string, unknown>>;

export interface Outcome {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  /** `open`: standard input stays open until `endInput`. Absent: empty. */
  readonly stdin?: Uint8Array | 'open';
  readonly environment?: Readonly<NodeJS.ProcessEnv>;
  /** A program and its words that becomes the command: it has the same process. */
  readonly through?: readonly string[];
}

/** Objects of newline-delimited JSON; throws where a line is none. */
export const jsonRows = (text: Uint8Array | string): JsonRow[] =>
  (typeof text === 'string' ? text : Buffer.from(text).toString('utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonRow);

/** Rows without the summary at their end. */
export const withoutSummary = (rows: readonly JsonRow[]): JsonRow[] =>
  rows.filter((row) => row['summary'] === undefined);

/** Rows of captures as `record` told of them: what a capture costs is known afterwards. */
export const asRecorded = (rows: readonly JsonRow[]): JsonRow[] =>
  rows.map((row) => ({ ...row, ownBytes: null, sharedBytes: null }));

/** A command that runs. */
export class RunningCommand {
  readonly #child: ChildProcess;
  readonly #stdout: Buffer[] = [];
  #stderr = '';
  #hasEnded = false;
  #changed = (): void => undefined;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<Outcome>;

  constructor(words: readonly string[], options: RunOptions = {}) {
    const line = [...(options.through ?? []), process.execPath, COMMAND_LINE, ...words];
    const child = spawn(line[0]!, line.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
    });
    this.#child = child;
    child.stdout.on('data', (bytes: Buffer) => {
      this.#stdout.push(bytes);
      this.#changed();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#changed();
    });
    // A command that reads no input may be gone before it gets any.
    child.stdin.on('error', () => undefined);
    if (options.stdin !== 'open') child.stdin.end(options.stdin ?? '');
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, signal) => {
        this.#hasEnded = true;
        resolve({ exitCode, signal, stdout: this.stdout, stderr: this.#stderr });
        this.#changed();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Whole lines of JSON so far, without a summary. */
  rows(): JsonRow[] {
    const text = this.stdout.toString('utf8');
    return withoutSummary(jsonRows(text.slice(0, text.lastIndexOf('\n') + 1)));
  }

  /** Waits until what was printed satisfies `holds`; fails where the command ends before. */
  async until(holds: (command: this) => boolean): Promise<void> {
    while (!holds(this)) {
      if (this.#hasEnded)
        throw new TypeError(
          `the command ended before: it printed ${this.stdout.toString('utf8')} and ${this.#stderr}`,
        );
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Gives a command whose input is open what is left of it. */
  endInput(bytes: Uint8Array): void {
    this.#child.stdin?.end(bytes);
  }

  /** Reads no further, as a pager that was left. */
  closeOutput(): void {
    this.#child.stdout?.destroy();
  }

  /** Likewise of what it tells people. */
  closeError(): void {
    this.#child.stderr?.destroy();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }
}

const outcomeOf = ({ exitCode, stdout, stderr }: Answer): Outcome => ({
  exitCode,
  signal: null,
  stdout: Buffer.from(stdout),
  stderr,
});

/** `record image` and `record qemu` with --init. */
function withInit(words: readonly string[]): readonly string[] {
  const at = words.indexOf('record');
  return at < 0 || at + 1 === words.length
    ? words
    : [...words.slice(0, at + 2), '--init', ...words.slice(at + 2)];
}

/** The commands of one ledger. */
export class LedgerCommands {
  readonly ledger: string;
  readonly #isEachProcess: boolean;

  /** With `isEachProcess` each command has a process of its own, for tests of just that. */
  constructor(ledger: string, { isEachProcess = false } = {}) {
    this.ledger = ledger;
    this.#isEachProcess = isEachProcess;
  }

  /** Words and environment of a command, whoever runs it. */
  protected asked(words: readonly string[], environment: RunOptions['environment']): Asked {
    return {
      words: ['--ledger', this.ledger, ...withInit(words)],
      environment: { ...process.env, ...environment },
    };
  }

  /** Starts a command; one that records makes the ledger where there is none, as most tests mean it. */
  start(words: readonly string[], options: RunOptions = {}): RunningCommand {
    const asked = this.asked(words, options.environment);
    return new RunningCommand(asked.words, { ...options, environment: asked.environment });
  }

  /** Runs a command to its end, whatever it is. */
  run(words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const mayBeAnswered =
      !this.#isEachProcess && options.stdin === undefined && options.through === undefined;
    const answer = mayBeAnswered ? answered(this.asked(words, options.environment)) : null;
    return answer?.then(outcomeOf) ?? this.start(words, options).ended;
  }

  /** Runs a command that must succeed; gives its JSON, without the summary of captures, differences and regions. */
  async json(...words: readonly string[]): Promise<JsonRow[]> {
    const outcome = await this.run(['--json', ...words]);
    if (outcome.exitCode !== 0)
      throw new TypeError(`${words.join(' ')}: exit ${outcome.exitCode}: ${outcome.stderr}`);
    const rows = jsonRows(outcome.stdout);
    const others = withoutSummary(rows);
    if (words[0] === 'large-pages' && others.length > 0) return others;
    return words[0] === 'record' || words[0] === 'diff' ? others : rows;
  }

  /** Runs a command that must fail; gives its exit code and the code of its error. */
  async errorOf(...words: readonly string[]): Promise<unknown> {
    const { exitCode, stderr } = await this.run(['--json', ...words]);
    const { error } = JSON.parse(stderr) as { error: { code: string } };
    return [exitCode, error.code];
  }

  /** Records memory as the next capture of a VM, from a file beside the ledger. */
  async recordRaw(vm: string, memory: Uint8Array): Promise<void> {
    const path = join(dirname(this.ledger), 'image');
    writeFileSync(path, memory);
    await this.json('record', 'image', '--format', 'raw', '--vm', vm, path);
  }

  /** Runs a command that must succeed; gives the bytes it printed. */
  async bytes(...words: readonly string[]): Promise<Buffer> {
    const outcome = await this.run(words);
    if (outcome.exitCode !== 0)
      throw new TypeError(`${words.join(' ')}: exit ${outcome.exitCode}: ${outcome.stderr}`);
    return outcome.stdout;
  }
}
