// A QEMU for what a real one does when nobody can wait for it: it speaks QMP, and to a migration it sends
// the bytes that a test gives it and ends it as the test says.

import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { answer, greeting, serveFakeQmp, type FakeCommand, type FakeQmp } from './fake-qmp.ts';

const SNAPSHOT = 'background-snapshot';

export interface FakeQemuOptions {
  readonly path: string;
  /** What it sends. */
  readonly stream: Uint8Array;
  /** What happens when all but its end has been sent, and most of it read. */
  readonly nearTheEnd?: () => void;
  /** Its word for how a migration ended. */
  readonly ends?: 'completed' | 'failed' | 'cancelled';
  readonly hasKvm?: boolean;
  /** Whether it takes background snapshots, or when it refuses to; absent: when the capability is set. */
  readonly snapshots?: 'taken' | 'refused when set' | 'refused when begun';
}

interface SentCommand extends FakeCommand {
  readonly arguments?: {
    readonly uri?: string;
    readonly capabilities?: readonly { readonly capability: string; readonly state: boolean }[];
  };
}

export class FakeQemu {
  /** The names of what it was told to do, questions apart. */
  readonly told: string[] = [];
  readonly #options: FakeQemuOptions;
  #served: FakeQmp | null = null;
  #runState = 'running';
  #migration = 'none';
  readonly #capabilities = new Map([
    ['events', false],
    [SNAPSHOT, false],
  ]);

  private constructor(options: FakeQemuOptions) {
    this.#options = options;
  }

  static async start(options: FakeQemuOptions): Promise<FakeQemu> {
    const made = new FakeQemu(options);
    made.#served = await serveFakeQmp(
      options.path,
      greeting((command, socket) => made.#take(command, socket)),
    );
    return made;
  }

  get runState(): string {
    return this.#runState;
  }

  async close(): Promise<void> {
    await this.#served?.close();
  }

  #take(command: SentCommand, socket: Socket): void {
    const { execute } = command;
    if (!execute.startsWith('query-')) this.told.push(execute);
    switch (execute) {
      case 'query-status':
        answer(socket, command, { status: this.#runState });
        return;
      case 'query-migrate':
        answer(socket, command, { status: this.#migration });
        return;
      case 'query-kvm':
        answer(socket, command, { enabled: this.#options.hasKvm === true, present: true });
        return;
      case 'query-migrate-capabilities':
        answer(
          socket,
          command,
          [...this.#capabilities].map(([capability, state]) => ({ capability, state })),
        );
        return;
      case 'migrate-set-capabilities':
        this.#setCapabilities(command, socket);
        return;
      case 'stop':
        this.#become('paused', socket);
        break;
      case 'cont':
        this.#become('running', socket);
        break;
      case 'migrate':
        if (this.#options.snapshots === 'refused when begun' && this.#capabilities.get(SNAPSHOT)) {
          this.#refuse(command, socket);
          return;
        }
        this.#migrate(command.arguments?.uri ?? '', socket);
    }
    answer(socket, command, execute === 'query-block' ? [] : {});
  }

  #setCapabilities(command: SentCommand, socket: Socket): void {
    const { snapshots = 'refused when set' } = this.#options;
    const wanted = command.arguments?.capabilities ?? [];
    const isAsked = wanted.some(({ capability, state }) => capability === SNAPSHOT && state);
    if (isAsked && snapshots === 'refused when set') {
      this.#refuse(command, socket);
      return;
    }
    for (const { capability, state } of wanted) this.#capabilities.set(capability, state);
    answer(socket, command, {});
  }

  #refuse({ id }: SentCommand, socket: Socket): void {
    this.#say(socket, { id, error: { class: 'GenericError', desc: 'not here' } });
  }

  #become(runState: string, socket: Socket): void {
    if (runState === this.#runState) return;
    this.#runState = runState;
    this.#tell(socket, runState === 'running' ? 'RESUME' : 'STOP');
  }

  #migrate(uri: string, socket: Socket): void {
    const { stream, nearTheEnd, ends = 'completed' } = this.#options;
    this.#migration = 'active';
    this.#tell(socket, 'MIGRATION', { status: 'setup' });
    const to = connect({ path: uri.slice('unix:'.length) }, () => {
      // What a write has taken, somebody has read, but for the little that a socket holds.
      to.write(stream.subarray(0, -1), () => {
        nearTheEnd?.();
        to.end(stream.subarray(-1), () => {
          if (ends === 'completed') this.#become('postmigrate', socket);
          this.#migration = ends;
          this.#tell(socket, 'MIGRATION', { status: ends });
        });
      });
    });
    to.on('error', () => undefined);
  }

  #tell(socket: Socket, event: string, data: Readonly<Record<string, unknown>> = {}): void {
    const milliseconds = Date.now();
    const seconds = Math.floor(milliseconds / 1000);
    const microseconds = (milliseconds % 1000) * 1000;
    this.#say(socket, { event, data, timestamp: { seconds, microseconds } });
  }

  #say(socket: Socket, message: unknown): void {
    socket.write(`${JSON.stringify(message)}\r\n`);
  }
}
