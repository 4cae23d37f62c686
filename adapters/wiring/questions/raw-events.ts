// The events of a log as they are kept, for readers in other languages (docs/events.md, "Without
// pageledger").

import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LogBound } from './events.ts';

/** An event and its bytes. */
export interface RawEvent {
  readonly stream: string;
  readonly revision: number;
  readonly position: string;
  readonly type: string;
  readonly schema: number;
  /** Milliseconds since 1970 by the recorder's clock. */
  readonly time: number;
  /** 32 hex digits. */
  readonly id: string;
  /** In base64. */
  readonly data: string;
}

/** Which events: included, both. */
export interface RawFilter {
  readonly from: LogBound | null;
  readonly to: LogBound | null;
}

/** The events between two places, in the order of the log. LOG_DAMAGED where one cannot be read. */
export async function* rawEvents(
  { log }: Ledger,
  { from, to }: RawFilter,
): AsyncGenerator<RawEvent> {
  const start = from?._tag === 'position' ? from.position : 0n;
  for await (const { items } of log.read({ from: start }))
    for (const item of items) {
      if (item._tag === 'damage')
        throw new LedgerError(
          'LOG_DAMAGED',
          `events at position ${item.damage.position} cannot be read: ${item.damage.reason}; run \`pageledger verify\``,
          { position: item.damage.position },
        );
      const { stream, revision, position, type, schema, timeMs, id, data } = item.event;
      if (to?._tag === 'position' && position > to.position) return;
      if (from?._tag === 'time' && timeMs < from.timeMs) continue;
      if (to?._tag === 'time' && timeMs > to.timeMs) continue;
      yield {
        stream,
        revision,
        position: String(position),
        type,
        schema,
        time: timeMs,
        id: toHex(id),
        data: Buffer.from(data).toString('base64'),
      };
    }
}
