// What a recorder and the guard of its guest say to each other.

import type { MigrationSettings } from './migration-control.ts';

/** A capture that begins: what the guard must know to bring it to an end by itself. */
export interface Watch {
  readonly kind: 'begin';
  /** Path of the QMP socket, for messages. */
  readonly qmp: string;
  /** The folder that goes when the capture has ended. */
  readonly folder: string;
  /** Where in it QEMU connects to. */
  readonly socket: string;
  /** The user QEMU runs as; absent: not known. */
  readonly uid?: number;
  readonly wasRunning: boolean;
  /** A background snapshot must be read to its end; a migration may be cancelled first. */
  readonly isCancellable: boolean;
  readonly settings: MigrationSettings;
}

export type ToGuard =
  | Watch
  /** The recorder is not standing still. */
  | { readonly kind: 'alive' }
  /** The capture is over, and the guest as it was. */
  | { readonly kind: 'end' }
  /** The recorder gives the capture up and has let go of QMP and of the stream. */
  | { readonly kind: 'give up' };

export type FromGuard =
  | { readonly kind: 'listening' }
  /** It cannot listen; the system's code and sentence. */
  | { readonly kind: 'deaf'; readonly code: string; readonly sentence: string }
  /** QEMU has connected: the stream's socket comes with this. */
  | { readonly kind: 'stream' }
  | { readonly kind: 'ended' }
  /** The recorder stood still for too long: what it reads from now on is not the stream. */
  | { readonly kind: 'taken' }
  /** The guest is as it was. */
  | { readonly kind: 'settled' };

/** How often a recorder says that it is alive, and after what silence it is taken for frozen. */
export const ALIVE_EVERY_MS = 500;
export const FROZEN_AFTER_MS = 5_000;
