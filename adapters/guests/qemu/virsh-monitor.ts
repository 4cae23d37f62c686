// A monitor that libvirt holds, by way of `virsh qemu-monitor-command`: a process for each command,
// and one that tells events. Which libvirt is meant virsh is told by its own variables
// (LIBVIRT_DEFAULT_URI).

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as t from 'io-ts';
import { errnoOf } from '../../files/failures.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { processOf, type FoundProcess } from './qemu-process.ts';
import { Qmp, QmpVersion, versionText, type QmpArguments } from './qmp.ts';

const PREFIX = 'libvirt:';
const VIRSH = 'virsh';
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const COMMAND_TIMEOUT_MS = 30_000;
/** A virsh that was started outlives who started it. */
const STRAGGLES_MS = 2000;
/** Longest line of an event that is taken. */
const EVENT_CHARS_MAX = 1024 * 1024;
/** `event RESUME at 1700000000.123456 for domain 'web': {...}`, or `<null>`. */
const EVENT_LINE = /^event (\S+) at (\d+)\.(\d{6}) for domain .*?: (\{.*\}|<null>)$/u;
const IS_GONE = /domain is not running|domain not found|failed to get domain/iu;

const Answer = t.type({ return: t.unknown });
const Failure = t.type({ error: t.type({ desc: t.string }) });

/** The domain that an address is of, or null. */
export const libvirtDomainOf = (address: string): string | null =>
  address.startsWith(PREFIX) ? address.slice(PREFIX.length) : null;

interface VirshOutcome {
  readonly stdout: string;
  /** What went wrong; null: nothing. */
  readonly failure: string | null;
  readonly isAbsent: boolean;
  readonly isLate: boolean;
}

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, LC_ALL: 'C' });

/** Runs virsh once; never longer than `timeoutMs`. */
const runVirsh = (words: readonly string[], timeoutMs: number): Promise<VirshOutcome> =>
  new Promise((resolve) => {
    const options = {
      env: environment(),
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: ANSWER_BYTES_MAX,
    } as const;
    const child = execFile(VIRSH, ['-q', ...words], options, (error, stdout, stderr) => {
      const sentence = stderr.trim().replace(/^error: */u, '');
      resolve({
        stdout,
        failure: error === null ? null : sentence || error.message,
        isAbsent: errnoOf(error) === 'ENOENT',
        isLate: error?.killed === true,
      });
    });
    child.stdin?.end();
  });

/** The monitor of a domain. */
export class VirshMonitor extends Qmp {
  readonly path: string;
  readonly stragglesMs = STRAGGLES_MS;
  readonly #domain: string;
  /** Whether only the end of the domain ends this: what fails may be tried again. */
  readonly #isPatient: boolean;
  #version = '';
  #lost: LedgerError | null = null;
  #events: ChildProcess | null = null;

  private constructor(domain: string, isPatient: boolean) {
    super();
    this.path = `${PREFIX}${domain}`;
    this.#domain = domain;
    this.#isPatient = isPatient;
  }

  /** QMP_UNREACHABLE where libvirt does not answer, or knows no such domain that runs. */
  static async connect(domain: string): Promise<VirshMonitor> {
    const made = new VirshMonitor(domain, false);
    try {
      made.#version = versionText(await made.ask('query-version', QmpVersion));
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'QMP_LOST') throw error;
      throw new LedgerError('QMP_UNREACHABLE', error.message, error.facts, error);
    }
    made.#hear();
    return made;
  }

  /** Goes on where another process has connected, for as long as the domain runs. */
  static adopt(domain: string): VirshMonitor {
    return new VirshMonitor(domain, true);
  }

  get version(): string {
    return this.#version;
  }

  get lost(): LedgerError | null {
    return this.#lost;
  }

  get hasEvents(): boolean {
    return this.#events !== null;
  }

  async execute(command: string, commandArguments: QmpArguments = {}): Promise<unknown> {
    if (this.#lost !== null) throw this.#lost;
    const text = JSON.stringify({ execute: command, arguments: commandArguments });
    const { failure, stdout, ...why } = await runVirsh(
      ['qemu-monitor-command', '--domain', this.#domain, '--cmd', text],
      COMMAND_TIMEOUT_MS,
    );
    // Given up meanwhile.
    if (this.#lost !== null) throw this.#lost;
    if (failure !== null) throw this.#failed(command, { failure, ...why });
    return this.#answerIn(stdout, command);
  }

  async process(): Promise<FoundProcess> {
    const { stdout, failure } = await runVirsh(
      ['domname', '--domain', this.#domain],
      COMMAND_TIMEOUT_MS,
    );
    const name = failure === null ? stdout.trim() : this.#domain;
    const { XDG_RUNTIME_DIR } = process.env;
    const folders = ['/run/libvirt/qemu'];
    if (XDG_RUNTIME_DIR !== undefined) folders.push(join(XDG_RUNTIME_DIR, 'libvirt/qemu/run'));
    for (const folder of folders) {
      const text = await readFile(join(folder, `${name}.pid`), 'latin1').catch(() => '');
      if (/^\d+\s*$/u.test(text)) return processOf(text.trim());
    }
    return { process: null, reason: `libvirt keeps no ${name}.pid in ${folders.join(' or ')}` };
  }

  share<A>(start: (descriptor: 'ignore') => A): A {
    return start('ignore');
  }

  leave(): void {
    this.#lost ??= this.#lostBecause('it was given up here');
    this.#events?.kill();
  }

  close(): void {
    this.leave();
  }

  protected misshapen(found: string): LedgerError {
    return new LedgerError('QMP_PROTOCOL', `${this.path}: ${found}; is this a domain of QEMU?`, {
      path: this.path,
    });
  }

  #answerIn(stdout: string, command: string): unknown {
    let message: unknown;
    try {
      message = JSON.parse(stdout);
    } catch {
      throw this.misshapen(`virsh gave no JSON as the answer to ${command}`);
    }
    if (Failure.is(message)) throw this.refused(command, message.error.desc);
    if (Answer.is(message)) return message.return;
    throw this.misshapen(`virsh gave no answer of QEMU's to ${command}`);
  }

  #failed(
    command: string,
    why: { readonly failure: string; readonly isAbsent: boolean; readonly isLate: boolean },
  ): LedgerError {
    if (why.isAbsent)
      return new LedgerError(
        'QMP_UNREACHABLE',
        `${this.path}: there is no ${VIRSH} on the PATH: install libvirt's clients (Debian: ` +
          'libvirt-clients), or give the domain a -qmp socket of its own',
        { path: this.path },
      );
    const error = why.isLate
      ? new LedgerError(
          'QMP_UNREACHABLE',
          `${this.path}: no answer to ${command} within ${COMMAND_TIMEOUT_MS} ms; is QEMU stopped, ` +
            'or libvirt?',
          { path: this.path },
        )
      : this.#lostBecause(`virsh failed at ${command}: ${why.failure}`);
    if (IS_GONE.test(why.failure) || !this.#isPatient) this.#lost = error;
    return error;
  }

  #lostBecause(found: string): LedgerError {
    return new LedgerError(
      'QMP_LOST',
      `${this.path}: ${found}; check that the domain runs (virsh list) and which libvirt is meant ` +
        '(LIBVIRT_DEFAULT_URI)',
      { path: this.path },
    );
  }

  /** Has events told. Where virsh cannot do that, there are none. */
  #hear(): void {
    const words = ['-q', 'qemu-monitor-event', '--domain', this.#domain, '--loop'];
    const child = spawn(VIRSH, words, {
      env: environment(),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#events = child;
    const over = (): void => {
      this.#events = null;
    };
    child.once('error', over);
    child.once('exit', over);
    child.unref();
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      const lines = (text + part).split('\n');
      text = lines.pop()!.slice(0, EVENT_CHARS_MAX);
      for (const line of lines) this.#takeEvent(line);
    });
  }

  #takeEvent(line: string): void {
    const [, event, seconds, microseconds, text] = EVENT_LINE.exec(line) ?? [];
    if (event === undefined) return;
    let data: unknown = {};
    try {
      data = JSON.parse(text!);
    } catch {
      // No data, which virsh shows as it does.
    }
    const timeMs = Number(seconds) * 1000 + Number(microseconds) / 1000;
    this.tell({ event, data: t.UnknownRecord.is(data) ? data : {}, timeMs });
  }
}
