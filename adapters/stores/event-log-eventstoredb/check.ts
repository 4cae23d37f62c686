// The check of the log on a server: reads every event of the ledger, and names what is missing, what
// is deleted, and what others wrote into its streams. The bytes on the server's disk are the server's.

import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import type { EventLog, LogDamage } from '../../../domain/ports/event-log.ts';
import { FOREIGN_PREFIX } from './event-codec.ts';
import type { LedgerStreams } from './streams.ts';

export interface CheckedLog {
  readonly place: string;
  readonly streams: LedgerStreams;
  readonly read: EventLog['read'];
}

/** Events of one type that others wrote into one stream. */
interface Foreign {
  readonly stream: string;
  readonly type: string;
  readonly revision: number;
  count: number;
}

function ofDamage({ place, streams }: CheckedLog, damage: LogDamage): Finding {
  const { stream, position, revisions, reason } = damage;
  const name = stream === null ? 'unknown' : streams.nameOf(stream);
  const which = revisions === null ? 'all revisions' : `revisions ${revisions.join(' to ')}`;
  return {
    kind: 'log-damaged',
    where: `${place}, stream ${name}, ${which}, before position ${position}`,
    reason,
    affects: [],
    stream,
  };
}

const ofForeign = ({ place, streams }: CheckedLog, foreign: Foreign): Finding => ({
  kind: 'foreign-event',
  where: `${place}, stream ${streams.nameOf(foreign.stream)}, from revision ${foreign.revision} on`,
  reason: `found ${foreign.count} events of type ${foreign.type} that pageledger did not write, expected only its own; they are passed over. Give no one else the right to write to this stream`,
  affects: [],
  isNote: true,
});

/** What cannot be read of a stream by its revisions, though the log as a whole shows it. */
async function ofStream(
  { place, streams }: CheckedLog,
  { stream, revision }: { readonly stream: string; readonly revision: number },
): Promise<Finding | null> {
  const finding = (reason: string): Finding => ({
    kind: 'log-damaged',
    where: `${place}, stream ${streams.nameOf(stream)}`,
    reason,
    affects: [],
    stream,
  });
  try {
    const ends = [await streams.firstKept(stream), revision].map((at) => ({
      stream,
      fromRevision: at,
      count: 1,
    }));
    for (const range of ends) {
      let count = 0;
      for await (const events of streams.read(range)) count += events.length;
      if (count === 0) return finding(`found no revision ${range.fromRevision}, expected one`);
    }
    return null;
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
    return finding(thrown.message);
  }
}

/** Everything that is wrong with a log, as it is now. */
export async function* checkLog(log: CheckedLog): AsyncGenerator<Finding> {
  const foreigns = new Map<string, Foreign>();
  const heads = new Map<string, number>();
  for await (const { items } of log.read({ from: 0n })) {
    for (const item of items) {
      if (item._tag === 'damage') {
        yield ofDamage(log, item.damage);
        continue;
      }
      const { stream, type, revision } = item.event;
      if (!type.startsWith(FOREIGN_PREFIX)) {
        heads.set(stream, revision);
        continue;
      }
      const key = `${stream} ${type}`;
      const known = foreigns.get(key);
      if (known === undefined)
        foreigns.set(key, { stream, type: type.slice(FOREIGN_PREFIX.length), revision, count: 1 });
      else known.count += 1;
    }
  }
  for (const foreign of foreigns.values()) yield ofForeign(log, foreign);
  for (const [stream, revision] of heads) {
    const finding = await ofStream(log, { stream, revision });
    if (finding !== null) yield finding;
  }
}
