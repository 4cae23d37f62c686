// QEMU's control as a capture sees it, whoever carries the commands: a socket of ours
// (qmp-client.ts), or libvirt (virsh-monitor.ts).

import type { Socket } from 'node:net';
import * as t from 'io-ts';
import { isRight } from 'fp-ts/lib/Either.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { FoundProcess } from './qemu-process.ts';

/** Something QEMU tells unasked. */
export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970 by the clock of QEMU's host, in fractions. */
  readonly timeMs: number;
}

/** Arguments of a command. */
export type QmpArguments = Readonly<Record<string, unknown>>;

/** What QEMU says of its version. */
export const QmpVersion = t.type({
  qemu: t.type({ major: t.number, minor: t.number, micro: t.number }),
});

/** A version as `7.2.22`. */
export const versionText = ({ qemu }: t.TypeOf<typeof QmpVersion>): string =>
  `${qemu.major}.${qemu.minor}.${qemu.micro}`;

export abstract class Qmp {
  readonly #listeners = new Set<(event: QmpEvent) => void>();

  /** What messages call it. */
  abstract readonly path: string;
  /** QEMU's version, as `7.2.22`. */
  abstract readonly version: string;
  /** Why it is no longer of use, or null. */
  abstract readonly lost: LedgerError | null;
  /** Whether events are told of; they may come late, and where they do not come QEMU is asked. */
  abstract readonly hasEvents: boolean;
  /** For how long a command of a process that is gone may still come behind what is asked here. */
  abstract readonly stragglesMs: number;

  /** Runs one command. QMP_REFUSED bears QEMU's own sentence. */
  abstract execute(command: string, commandArguments?: QmpArguments): Promise<unknown>;

  /** QEMU's process, where it can be seen. */
  abstract process(): Promise<FoundProcess>;

  /** Lets a new process have the connection too, as a descriptor where it has one. */
  abstract share<A>(start: (descriptor: Socket | 'ignore') => A): A;

  /** Has no more to do with the connection, which goes on where it is shared. */
  abstract leave(): void;

  /** Ends the connection, for a process that shares it too. */
  abstract close(): void;

  /** Runs one command and checks the shape of its answer. */
  async ask<A>(command: string, codec: t.Type<A, unknown>): Promise<A> {
    const decoded = codec.decode(await this.execute(command));
    if (isRight(decoded)) return decoded.right;
    throw this.misshapen(`the answer to ${command} has another shape than expected`);
  }

  /** A command of the human monitor, and its text. */
  async monitor(line: string): Promise<string> {
    const text = await this.execute('human-monitor-command', { 'command-line': line });
    return typeof text === 'string' ? text : '';
  }

  /** Calls back for every event until the returned function is called. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  protected tell(event: QmpEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** What QEMU says no to, and why. */
  protected refused(command: string, description: string): LedgerError {
    return new LedgerError('QMP_REFUSED', `${this.path}: QEMU refused ${command}: ${description}`, {
      path: this.path,
      command,
      description,
    });
  }

  /** QMP_PROTOCOL: an answer that QEMU would not give. */
  protected abstract misshapen(found: string): LedgerError;
}
