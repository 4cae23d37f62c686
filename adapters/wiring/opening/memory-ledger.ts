// A ledger in memory, for tests of what stands on a ledger: a new one at each opening, that does
// whatever one in a folder does and is gone when it is closed. `copyLedger` keeps it elsewhere.

import { randomUUID } from 'node:crypto';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { MemoryFiles } from '../../files/memory-files.ts';
import {
  createMemoryEventLog,
  MemoryLogStore,
} from '../../stores/event-log-memory/event-log-memory.ts';
import { createMemoryPageStore } from '../../stores/page-store-memory/page-store-memory.ts';
import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { decideLedger } from '../../../domain/ledger.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { LedgerParts } from '../ledger/ledger-parts.ts';
import { MEMORY_URL } from './memory-url.ts';
import type { OpenLedgerOptions } from './options.ts';

function memoryParts(id: string): LedgerParts {
  const events = new MemoryLogStore();
  return {
    id,
    log: createMemoryEventLog(events),
    store: {
      ...createMemoryPageStore(),
      removeLeftovers: () => taskEither.of(0),
      close: () => Promise.resolve(),
    },
    local: {
      files: new MemoryFiles(),
      keys: '/keys',
      projections: '/projections',
      locks: '/locks',
    },
    isShared: false,
    findings: [],
    logBytes: () => Promise.resolve(events.events.reduce((sum, { data }) => sum + data.length, 0)),
  };
}

/** Makes a ledger in memory. */
export async function openMemory(options: OpenLedgerOptions): Promise<Ledger> {
  if (options.mode !== 'init' && options.mode !== 'create')
    throw new LedgerError(
      'NOT_FOUND',
      `a ledger at ${MEMORY_URL} is a new one at each opening, so there is none to be opened as it is; open it with mode 'create'`,
      { path: MEMORY_URL },
    );
  if (options.pageStore !== undefined || options.keys !== undefined)
    throw refuse({
      _tag: 'BadUrl',
      url: MEMORY_URL,
      why: 'a ledger in memory keeps its packs and keys there too; leave the page store and the keys out',
    });
  const id = randomUUID();
  const ledger = new Ledger(memoryParts(id), options);
  await ledger.load();
  const command = { _tag: 'CreateLedger', ledger: id, pageStore: null } as const;
  await ledger.decide(LEDGER_STREAM, () => decideLedger(ledger.state.catalogue.facts)(command));
  return ledger;
}
