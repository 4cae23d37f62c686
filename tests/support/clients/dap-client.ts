// A client of the Debug Adapter Protocol that says what it is told to say, as an editor does.

import { spawn, type ChildProcess } from 'node:child_process';
import { COMMAND_LINE } from '../command-line.ts';

/** A message as it came. */
export interface DapMessage {
  readonly type: 'response' | 'event';
  readonly event?: string;
  readonly request_seq?: number;
  readonly success?: boolean;
  readonly message?: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into whatever came
  readonly body?: any;
}

/** A message as a client sends it. */
export function dapFrame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
}

export class DapClient {
  readonly #child: ChildProcess;
  readonly #messages: DapMessage[] = [];
  #kept: Buffer = Buffer.alloc(0);
  #seq = 0;
  #isOver = false;
  #changed = (): void => undefined;
  stderr = '';
  /** How it ended. */
  readonly ended: Promise<number | null>;

  constructor(words: readonly string[]) {
    const child = spawn(process.execPath, [COMMAND_LINE, ...words], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
    child.stdout.on('data', (bytes: Buffer) => this.#take(bytes));
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        this.#isOver = true;
        this.#changed();
        resolve(code);
      });
    });
  }

  #take(bytes: Buffer): void {
    this.#kept = Buffer.concat([this.#kept, bytes]);
    for (;;) {
      const header = /^Content-Length: (\d+)\r\n\r\n/u.exec(this.#kept.toString('latin1', 0, 64));
      if (header === null) break;
      const [from, length] = [header[0].length, Number(header[1])];
      if (this.#kept.length < from + length) break;
      this.#messages.push(JSON.parse(this.#kept.toString('utf8', from, from + length)));
      this.#kept = this.#kept.subarray(from + length);
    }
    this.#changed();
  }

  /** Sends bytes as they are. */
  send(bytes: Uint8Array): void {
    this.#child.stdin?.write(bytes);
  }

  /** Sends a request; its number. */
  request(command: string, of?: object): number {
    this.#seq += 1;
    this.send(dapFrame({ seq: this.#seq, type: 'request', command, arguments: of }));
    return this.#seq;
  }

  /** The next message of a kind; fails where the server ends before. */
  async #next(isWanted: (message: DapMessage) => boolean): Promise<DapMessage> {
    for (;;) {
      const at = this.#messages.findIndex(isWanted);
      if (at >= 0) return this.#messages.splice(at, 1)[0]!;
      if (this.#isOver) throw new TypeError(`it ended before: ${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Asks, and waits for the answer. */
  ask(command: string, of?: object): Promise<DapMessage> {
    const seq = this.request(command, of);
    return this.#next(({ request_seq: number }) => number === seq);
  }

  event(name: string): Promise<DapMessage> {
    return this.#next(({ event }) => event === name);
  }

  /** Asks for something that runs; where it stopped. */
  async stopAfter(command: string): Promise<[reason: string, text: string]> {
    await this.ask(command, { threadId: 1 });
    const { body } = await this.event('stopped');
    return [body.reason, body.text];
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
