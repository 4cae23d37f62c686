// What a recorder and the guard of its guest say to each other.

import type { CommandOutcome } from '../../../domain/values/command-outcome.ts';
import type { CommandRequest } from './bounded-command.ts';
import type { Unfinished } from './migration-control.ts';
import type { ListenAt } from './stream-place.ts';

/** A capture that begins: what the guard must know to bring it to an end by itself. */
export interface Watch extends Unfinished {
  readonly kind: 'begin';
  /** The address of the monitor: messages call it so, and libvirt's is reached by it. */
  readonly qmp: string;
  /** The folder that goes when the capture has ended; null: none. */
  readonly folder: string | null;
  /** Where QEMU connects to. */
  readonly listen: ListenAt;
}

/** As messages take it: the output in base64. */
export interface SentOutcome extends Omit<CommandOutcome, 'output'> {
  readonly output: string;
}

export type ToGuard =
  | Watch
  /** A command is to run while the guest stands still. */
  | { readonly kind: 'run'; readonly request: CommandRequest }
  /** The recorder is not standing still. */
  | { readonly kind: 'alive' }
  /** The capture is over, and the guest as it was. */
  | { readonly kind: 'end' }
  /** The recorder gives the capture up and has let go of QMP and of the stream. */
  | { readonly kind: 'give up' };

export type FromGuard =
  /** At that port, where it listens at one. */
  | { readonly kind: 'listening'; readonly port: number }
  /** It cannot listen; the system's code and sentence. */
  | { readonly kind: 'deaf'; readonly code: string; readonly sentence: string }
  /** QEMU has connected: the stream's socket comes with this. */
  | { readonly kind: 'stream' }
  /** The command that was to run does, in the group of processes of that number. */
  | { readonly kind: 'runs'; readonly group: number }
  /** It has ended. */
  | { readonly kind: 'ran'; readonly outcome: SentOutcome }
  | { readonly kind: 'ended' }
  /** The recorder stood still for too long: what it reads from now on is not the stream. */
  | { readonly kind: 'taken' }
  /** The guest is as it was. */
  | { readonly kind: 'settled' };

/** How often a recorder says that it is alive, and after what silence it is taken for frozen. */
export const ALIVE_EVERY_MS = 500;
export const FROZEN_AFTER_MS = 5_000;
/** The same of a recorder that the kernel says was stopped (SIGSTOP, Ctrl-Z, a debugger). */
export const STOPPED_AFTER_MS = 1_000;
