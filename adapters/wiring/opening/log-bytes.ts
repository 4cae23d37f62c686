// What a log on a server takes there, about: the server does not say, so the events are counted, and
// where the count stands is kept.

import type { StateFiles } from '../../../domain/ports/derived-files.ts';
import type { EventLog } from '../../../domain/ports/event-log.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';

const LOG_BYTES_FILE = 'log-bytes';
/** What an event takes in the server's log besides its data, about. */
const EVENT_OVERHEAD_BYTES = 100;

/** Bytes of the events, counted on from what was counted before. */
export async function countLogBytes(log: EventLog, files: StateFiles): Promise<number> {
  try {
    return await countOn(log, files);
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_REFUSED') throw thrown;
    // The log was put back from a copy: what was counted last is not in it any more.
    await files.drop(LOG_BYTES_FILE);
    return countOn(log, files);
  }
}

async function countOn(log: EventLog, files: StateFiles): Promise<number> {
  const kept = await files.load(LOG_BYTES_FILE);
  const isWhole = kept?.length === 16;
  const view = isWhole ? new DataView(kept.buffer, kept.byteOffset) : null;
  let next = view?.getBigUint64(0, true) ?? 0n;
  let bytes = Number(view?.getBigUint64(8, true) ?? 0n);
  for await (const chunk of log.read({ from: next })) {
    ({ next } = chunk);
    for (const item of chunk.items)
      if (item._tag === 'event') bytes += item.event.data.length + EVENT_OVERHEAD_BYTES;
  }
  const counted = new DataView(new ArrayBuffer(16));
  counted.setBigUint64(0, next, true);
  counted.setBigUint64(8, BigInt(bytes), true);
  await files.save(LOG_BYTES_FILE, new Uint8Array(counted.buffer));
  return bytes;
}
