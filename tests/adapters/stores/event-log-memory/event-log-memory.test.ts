// The in-memory event log is an event log.

import {
  MemoryLogStore,
  createMemoryEventLog,
} from '../../../../adapters/stores/event-log-memory/event-log-memory.ts';
import type { EventLog } from '../../../../domain/ports/event-log.ts';
import { eventLogContract } from '../../../contracts/event-log.ts';

eventLogContract('in memory', () => {
  const store = new MemoryLogStore();
  const logs: EventLog[] = [];
  const another = (): EventLog => {
    const log = createMemoryEventLog(store);
    logs.push(log);
    return log;
  };
  return Promise.resolve({
    log: another(),
    another: () => Promise.resolve(another()),
    openCount: () => store.listenerCount,
    close: async () => {
      for (const log of logs) await log.close();
    },
  });
});
