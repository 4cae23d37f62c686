// Servers do not agree on what they say of a read from a place that is no record's: UNKNOWN, or
// INVALID_ARGUMENT. It means the same.

import { status } from '@grpc/grpc-js';
import { expect, test } from '@jest/globals';
import { NO_STREAM } from '../../../../domain/ports/event-log.ts';
import { eventsOf, lineOf, makeEvents } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';
import { ServerLogs } from '../../../support/logs/server-logs.ts';

test.each([
  ['UNKNOWN', status.UNKNOWN],
  ['INVALID_ARGUMENT', status.INVALID_ARGUMENT],
])('a place that is no record\u2019s is answered with %s', async (_, noRecordStatus) => {
  const logs = await ServerLogs.start({ noRecordStatus });
  try {
    const log = await logs.open();
    const events = makeEvents(4);
    await valueOf(log.append({ stream: 'vm-a', expectedRevision: NO_STREAM, events }));
    const all = await eventsOf(log);
    // Just before an event's own position there is no record.
    for (const [i, { position }] of all.entries())
      expect((await eventsOf(log, position)).map(lineOf)).toEqual(all.slice(i).map(lineOf));
    const last = all.at(-1)!;
    const beside = { position: last.position - 1n, id: '00'.repeat(16) };
    const reading = log.read({ from: last.position, after: beside });
    await expect(gather(reading)).rejects.toMatchObject({ code: 'LOG_REPLACED' });
    const nowhere = log.read({ from: all[0]!.position + 5n });
    await expect(gather(nowhere)).rejects.toMatchObject({ code: 'LOG_REFUSED' });
  } finally {
    await logs.close();
  }
});
