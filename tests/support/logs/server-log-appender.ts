// A process of its own that appends to a log on a server: started by tests with a connection string, a
// ledger, a number of streams and a number of appends to each. It asks for all streams at once. Prints,
// as JSON, the revisions that it was told; whatever it does not expect ends it with a failure.

import { openEventStoreLog } from '../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { valueOf } from '../outcomes.ts';

const [url, ledger, streamsText, appendsText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
];
const DATA_BYTES = 200 * 1024;
const limits = { pauseFirstMs: 1, pauseMaxMs: 20 };
const log = await valueOf(openEventStoreLog({ url, ledger, limits }));

const idOf = (stream: number, made: number): Uint8Array =>
  new TextEncoder().encode(`${stream}-${made}`.padEnd(16));

async function fill(stream: number): Promise<number[]> {
  const revisions: number[] = [];
  for (let made = 0; made < Number(appendsText); made += 1) {
    const data = new Uint8Array(DATA_BYTES).fill(made);
    const event = { id: idOf(stream, made), type: 'Appended', schema: 1, timeMs: made, data };
    const request = { stream: `vm-${stream}`, expectedRevision: made - 1, events: [event] };
    revisions.push((await valueOf(log.append(request))).revision);
    process.stderr.write('.');
  }
  return revisions;
}

const told = await Promise.all(Array.from({ length: Number(streamsText) }, (_, i) => fill(i)));
await log.close();
process.stdout.write(JSON.stringify(told));
