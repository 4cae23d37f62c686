// A client of GDB's remote protocol that says what it is told to say, for tests of servers of it: ours
// over standard input and output or a socket, and QEMU's own.

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Duplex, Readable, Writable } from 'node:stream';
import { COMMAND_LINE } from '../command-line.ts';

const checksum = (payload: string): string => {
  const sum = Buffer.from(payload, 'latin1').reduce((all, byte) => (all + byte) & 0xff, 0);
  return sum.toString(16).padStart(2, '0');
};

/** A packet as a client sends it. */
export const sentPacket = (payload: string): Buffer =>
  Buffer.from(`$${payload}#${checksum(payload)}`, 'latin1');

export class GdbClient {
  readonly #out: Writable;
  readonly #end: () => void;
  readonly #packets: string[] = [];
  #kept = '';
  #isOver = false;
  #changed = (): void => undefined;
  /** Resolves when the server let it go. */
  readonly ended: Promise<void>;

  constructor(of: { readonly in: Readable; readonly out: Writable; readonly end: () => void }) {
    this.#out = of.out;
    this.#end = of.end;
    of.out.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      const over = (): void => {
        this.#isOver = true;
        this.#changed();
        resolve();
      };
      of.in.on('data', (bytes: Buffer) => this.#take(bytes.toString('latin1')));
      of.in.on('error', over).on('close', over).on('end', over);
    });
  }

  /** Of our server on standard input and output. */
  static stdio(words: readonly string[]): GdbClient {
    const child = spawn(process.execPath, [COMMAND_LINE, ...words, '--stdio'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    return new GdbClient({
      in: child.stdout,
      out: child.stdin,
      end: () => child.kill('SIGKILL'),
    });
  }

  /** Of a server on a Unix socket. */
  static socket(path: string): GdbClient {
    const socket: Duplex = connect(path);
    return new GdbClient({ in: socket, out: socket, end: () => socket.destroy() });
  }

  #take(text: string): void {
    this.#kept += text;
    for (;;) {
      const found = /\$([^#]*)#[0-9a-f]{2}/u.exec(this.#kept);
      if (found === null) break;
      this.#kept = this.#kept.slice(found.index + found[0].length);
      this.#packets.push(found[1]!);
      this.#out.write('+');
    }
    this.#changed();
  }

  /** Sends bytes as they are. */
  send(bytes: Uint8Array | string): void {
    this.#out.write(bytes);
  }

  /** The next packet that the server sends; null: it let us go. */
  async next(): Promise<string | null> {
    while (this.#packets.length === 0 && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    return this.#packets.shift() ?? null;
  }

  /** Asks, and waits for the answer. */
  async ask(payload: string): Promise<string | null> {
    this.#out.write(sentPacket(payload));
    return this.next();
  }

  /** What `monitor` shows. */
  async monitor(words: string): Promise<string> {
    this.#out.write(sentPacket(`qRcmd,${Buffer.from(words).toString('hex')}`));
    let shown = '';
    for (let packet = await this.next(); packet !== 'OK'; packet = await this.next()) {
      if (packet?.startsWith('O') !== true) throw new Error(`${words}: ${packet ?? 'it ended'}`);
      shown += Buffer.from(packet.slice(1), 'hex').toString();
    }
    return shown;
  }

  end(): void {
    this.#end();
  }
}
