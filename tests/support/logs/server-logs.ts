// Event logs on the double of EventStoreDB, with the notices that their user would see.

import type {
  LogLimits,
  LogNotice,
} from '../../../adapters/stores/event-log-eventstoredb/connection.ts';
import {
  openEventStoreLog,
  type EventStoreLog,
} from '../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import {
  startEventStoreDouble,
  type DoubleOptions,
  type EventStoreDouble,
} from '../eventstoredb-double/eventstoredb-double.ts';
import { valueOf } from '../outcomes.ts';

/** The ledger that logs are of unless said otherwise. */
export const LEDGER = 'here';

/** Pauses short enough for tests, and patience long enough for a loaded machine. */
const QUICK: Partial<LogLimits> = { pauseFirstMs: 1, pauseMaxMs: 20 };

export interface OpenServerLog {
  readonly ledger?: string;
  readonly url?: string;
  readonly limits?: Partial<LogLimits>;
}

/** A double and the logs opened on it. */
export class ServerLogs {
  readonly double: EventStoreDouble;
  readonly notices: LogNotice[] = [];
  readonly #logs: EventStoreLog[] = [];

  constructor(double: EventStoreDouble) {
    this.double = double;
  }

  static async start(options: DoubleOptions = {}): Promise<ServerLogs> {
    return new ServerLogs(await startEventStoreDouble(options));
  }

  async open({ ledger = LEDGER, url, limits }: OpenServerLog = {}): Promise<EventStoreLog> {
    const log = await valueOf(
      openEventStoreLog({
        url: url ?? this.double.url,
        ledger,
        limits: { ...QUICK, ...limits },
        onNotice: (notice) => this.notices.push(notice),
      }),
    );
    this.#logs.push(log);
    return log;
  }

  async close(): Promise<void> {
    this.double.faults.clear();
    for (const log of this.#logs) await log.close();
    await this.double.stop();
  }
}

/** Runs `work` on a double of its own, which is gone afterwards. */
export async function withServerLogs<T>(
  work: (logs: ServerLogs) => Promise<T>,
  options: DoubleOptions = {},
): Promise<T> {
  const logs = await ServerLogs.start(options);
  try {
    return await work(logs);
  } finally {
    await logs.close();
  }
}
