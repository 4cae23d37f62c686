// What a ledger is made of, whatever its URL: a log, a page store, and what this host keeps of it.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { FilePort } from '../../files/file-port.ts';
import type { Actor } from '../../../domain/events/actor.ts';
import type { ControlEvent } from '../../../domain/events/control.ts';
import type { Clock } from '../../../domain/ports/clock.ts';
import type { EventLog, Position } from '../../../domain/ports/event-log.ts';
import type { PageStore } from '../../../domain/ports/page-store.ts';
import type { Decide } from '../../../domain/use-cases/decide.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import type { Zone } from '../../../domain/values/instant.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';

/**
 * How a ledger is opened: made, LEDGER_EXISTS where there is one; made where there is none; to append
 * to; to use points, and to say so where it can be written; to write only what is derived. In the last
 * three NOT_FOUND where there is none.
 */
export type LedgerMode = 'init' | 'create' | 'write' | 'use' | 'read';

/** A log as a ledger uses it. */
export interface LedgerLog extends EventLog {
  /** Reads everything and names each damage. */
  check(): AsyncIterable<Finding>;
  /** Format of the files that the log is written to, and how to go on in the newest; absent: a server's. */
  format?(): TaskEither<LedgerError, number>;
  seal?(): TaskEither<LedgerError, void>;
  /** The heads of all streams at a position, to begin there another time; absent: the log keeps them. */
  readonly heads?: {
    at(position: Position): TaskEither<LedgerError, Uint8Array>;
    /** False: they do not fit the log, nothing is lost. */
    offer(bytes: Uint8Array): TaskEither<LedgerError, boolean>;
  };
}

/** A page store as a ledger uses it. */
export interface LedgerPages extends PageStore {
  /** The place itself, past what this host keeps of it: for whoever checks it. Absent: this is it. */
  readonly origin?: PageStore;
  /** Whether the place says that it is this ledger's; absent: it lies with its log. */
  readonly isOurs?: () => TaskEither<LedgerError, void>;
  /** Forgets what this host keeps of all packs; absent: nothing is. */
  readonly dropAll?: () => Promise<void>;
  /** Removes what crashes left half written over an hour ago: how many. */
  removeLeftovers(nowMs: number): TaskEither<LedgerError, number>;
  close(): Promise<void>;
}

/** What this host keeps of a ledger: folders of files. */
export interface LocalPlace {
  readonly files: FilePort;
  readonly keys: string;
  readonly projections: string;
  readonly locks: string;
}

/** What a ledger is made of. */
export interface LedgerParts {
  /** As LedgerCreated bears it; null where what says so is damaged. */
  readonly id: string | null;
  readonly log: LedgerLog;
  readonly store: LedgerPages;
  readonly local: LocalPlace;
  /** Whether other hosts may have the log, or the packs, as well. */
  readonly isShared: boolean;
  /** What is wrong with where the ledger lies, and stops nobody from reading. */
  readonly findings: readonly Finding[];
  /** Bytes that the log takes where it is kept. */
  logBytes(): Promise<number>;
}

/** Appends to a stream what is decided on the state as it is folded then. */
export type LedgerDecide = <E extends ControlEvent>(
  stream: string,
  decide: Decide<E>,
) => Promise<readonly E[]>;

/** What a program may say of any ledger that it opens. */
export interface LedgerSettings {
  readonly mode: LedgerMode;
  /** Worker threads; absent: one a core where there is more than one, once there is much to do. 0: inline. */
  readonly threads?: number;
  readonly files?: FilePort;
  readonly clock?: Clock;
  /** Told what is being waited for, that it is there again, and what cannot be had. */
  readonly onNotice?: (sentence: string) => void;
  /** Of times that bear no zone; absent: UTC. */
  readonly zone?: Zone;
  /** Whether VMs, captures and checkpoints are all that is asked for: what else there is, `state.whole` loads. */
  readonly isForCatalogue?: boolean;
  /** Who is said to bring events about; absent: the user of this process, this host and release. */
  readonly by?: Actor;
}
