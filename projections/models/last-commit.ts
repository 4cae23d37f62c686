// Whether what was folded is of this log's present past: the last commit folded is still where it was.

import * as either from 'fp-ts/lib/Either.js';
import { isSameCommit, type CommitFacts } from '../../domain/evidence.ts';
import { decodeControl } from '../../domain/events/control.ts';
import { isLedgerError } from '../../domain/values/ledger-error.ts';
import type { EventLog, StoredEvent } from '../../domain/ports/event-log.ts';
import { vmStream } from '../../domain/events/streams.ts';
import type { CaptureRow, Catalogue } from './catalogue.ts';

/** A capture of a VM, by its commit. */
export interface Commit {
  readonly vm: string;
  readonly row: CaptureRow;
}

/** The commit that was folded last; null: none was. */
export function newestCommit(catalogue: Catalogue): Commit | null {
  let newest: Commit | null = null;
  for (const { vm, captures } of catalogue.vms.values()) {
    const row = captures.at(-1);
    if (row === undefined) continue;
    if (newest === null || row.position > newest.row.position) newest = { vm, row };
  }
  return newest;
}

/** What the event of a commit says and where it stands; null: it is none. */
function commitIn(event: StoredEvent): CommitFacts | null {
  const decoded = decodeControl(event);
  if (either.isLeft(decoded) || decoded.right.type !== 'CaptureCommitted') return null;
  const { position, revision } = event;
  return { ...decoded.right.data, ledger: null, position, revision };
}

/** Whether the log has that commit at that place. Reads one event. */
export async function isInLog(log: EventLog, { vm, row }: Commit): Promise<boolean> {
  const range = { stream: vmStream(vm), fromRevision: row.revision, count: 1 };
  try {
    for await (const [event] of log.readStream({ ...range, fromPosition: row.position })) {
      if (event === undefined) continue;
      const found = commitIn(event);
      return found !== null && isSameCommit(found, { ...row, ledger: null, vm });
    }
  } catch (thrown) {
    // What was damaged since is told by who folds the log anew.
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
  }
  return false;
}
