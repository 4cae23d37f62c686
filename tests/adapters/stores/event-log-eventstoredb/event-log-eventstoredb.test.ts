// The event log on EventStoreDB is an event log: on the double, and on a real server where
// PAGELEDGER_ESDB_URL names one (`esdb://127.0.0.1:2113?tls=false`). Every world there has a ledger
// name of its own, so that neither runs nor tests meet.

import { randomUUID } from 'node:crypto';
import { describe } from '@jest/globals';
import {
  openEventStoreLog,
  type EventStoreLog,
} from '../../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { parseLedgerUrl } from '../../../../adapters/stores/event-log-eventstoredb/ledger-url.ts';
import { eventLogContract } from '../../../contracts/event-log.ts';
import type { EventLogWorld } from '../../../contracts/event-log-world.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../../support/eventstoredb-double/eventstoredb-double.ts';
import { valueOf } from '../../../support/outcomes.ts';

async function worldOn(url: string, double: EventStoreDouble | null): Promise<EventLogWorld> {
  const ledger = `contract-${randomUUID()}`;
  const { connectionString } = parseLedgerUrl(url);
  const logs: EventStoreLog[] = [];
  const another = async (): Promise<EventStoreLog> => {
    const log = await valueOf(openEventStoreLog({ url: connectionString, ledger }));
    logs.push(log);
    return log;
  };
  const close = async (): Promise<void> => {
    for (const log of logs.splice(0)) await log.close();
  };
  return {
    log: await another(),
    another,
    reopen: async () => {
      await close();
      return another();
    },
    ...(double === null ? {} : { openCount: () => double.openCalls() }),
    close: async () => {
      await close();
      await double?.stop();
    },
  };
}

eventLogContract('on the double of EventStoreDB', async () => {
  const double = await startEventStoreDouble();
  return worldOn(double.url, double);
});

const REAL_URL = process.env['PAGELEDGER_ESDB_URL'];
const onRealServer = REAL_URL === undefined ? describe.skip : describe;

onRealServer('where PAGELEDGER_ESDB_URL names a server', () => {
  eventLogContract('on a real EventStoreDB', () => worldOn(REAL_URL!, null));
});
