// The log on a server after history was forgotten and the server was scavenged: what the ledger let go
// of is no damage, and what somebody else cut off is.

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  openEventStoreLog,
  type EventStoreLog,
} from '../../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import type { LogLimits } from '../../../../adapters/stores/event-log-eventstoredb/connection.ts';
import { parseLedgerUrl } from '../../../../adapters/stores/event-log-eventstoredb/ledger-url.ts';
import type { LogItem } from '../../../../domain/ports/event-log.ts';
import { fill } from '../../../contracts/event-log-world.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../../support/eventstoredb-double/eventstoredb-double.ts';
import { eventsOf, lineOf, lineOfItem, makeEvents } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';

let double: EventStoreDouble;
beforeAll(async () => {
  double = await startEventStoreDouble();
});
afterAll(() => double.stop());

async function withLog(
  ledger: string,
  work: (open: (limits?: Partial<LogLimits>) => Promise<EventStoreLog>) => Promise<void>,
) {
  const { connectionString: url } = parseLedgerUrl(double.url);
  const logs: EventStoreLog[] = [];
  const open = async (limits: Partial<LogLimits> = {}): Promise<EventStoreLog> => {
    logs.push(await valueOf(openEventStoreLog({ url, ledger, limits })));
    return logs.at(-1)!;
  };
  await work(open);
  for (const log of logs) await log.close();
}

test('what was let go of is not missed, and keeps what else is said of its streams', () =>
  withLog('tidy', async (open) => {
    const log = await open();
    const before = await fill(log, 30);
    double.records.setStreamMetadata('tidy.vm-0', { $acl: { $r: 'auditor' } });
    await valueOf(
      log.cut(
        new Map([
          ['vm-0', 7],
          ['vm-1', 3],
        ]),
      ),
    );
    expect(await gather(log.check())).toEqual([]);
    double.records.scavenge();
    const after = await open();
    const cuts: Readonly<Record<string, number>> = { 'vm-0': 7, 'vm-1': 3 };
    const kept = before.filter(({ stream, revision }) => revision >= (cuts[stream] ?? 0));
    expect((await eventsOf(after)).map(lineOf)).toEqual(kept.map(lineOf));
    expect(await gather(after.check())).toEqual([]);
    const expectedRevision = await valueOf(after.streamRevision('vm-0'));
    const events = makeEvents(1);
    await valueOf(after.append({ stream: 'vm-0', expectedRevision, events }));
    const settings = Buffer.from(double.records.list('$$tidy.vm-0').at(-1)!.data).toString();
    expect(JSON.parse(settings)).toMatchObject({ $acl: { $r: 'auditor' }, $tb: 7 });
  }));

test('what somebody else cut off is damage', () =>
  withLog('cut', async (open) => {
    await fill(await open(), 30);
    double.records.setStreamMetadata('cut.vm-0', { $tb: 5 });
    double.records.scavenge();
    const findings = await gather((await open()).check());
    expect(findings.map(({ kind, stream }) => [kind, stream])).toContainEqual([
      'log-damaged',
      'vm-0',
    ]);
  }));

test('who follows waits for a server that is away just when it is asked what was let go of', () =>
  withLog('away', async (open) => {
    const before = await fill(await open(), 30);
    await valueOf((await open()).cut(new Map([['vm-0', 7]])));
    double.records.scavenge();
    const log = await open({ giveUpAfterMs: 1, pauseFirstMs: 1, pauseMaxMs: 20 });
    const hold = double.faults.hold('subscribe');
    const { signal } = new AbortController();
    const following = log.subscribe({ from: 0n, signal })[Symbol.asyncIterator]();
    const first = following.next();
    await hold.reached(1);
    double.faults.fail({ method: 'read', status: status.UNAVAILABLE, count: 5 });
    hold.release();
    const items: LogItem[] = [];
    for (let { value } = await first; value._tag !== 'caughtUp'; { value } = await following.next())
      if (value._tag === 'items') items.push(...value.items);
    await following.return?.();
    const kept = before.filter(({ stream, revision }) => stream !== 'vm-0' || revision >= 7);
    expect(items.map(lineOfItem)).toEqual(
      kept.map((event) => lineOfItem({ _tag: 'event', event })),
    );
  }));
