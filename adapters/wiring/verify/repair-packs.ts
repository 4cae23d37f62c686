// Packs that a repair writes, of content that has its numbers and gets another place.

import { randomBytes } from 'node:crypto';
import { areBlocksSalted, areEventsShort } from '../../../domain/ledger.ts';
import type { PackRewritten } from '../../../domain/events/pack-rewritten.ts';
import { STORE_STREAM } from '../../../domain/events/streams.ts';
import { run, valueOf } from '../../../domain/ports/run.ts';
import { decideStore, initialStore, type StoreEvent } from '../../../domain/store.ts';
import { encodeStoreEvent } from '../../../domain/use-cases/compact/store-events.ts';
import { appendDecided } from '../../../domain/use-cases/decide.ts';
import { lockCompactor } from '../../stores/locks/compactor-lock.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Names a pack that is durable. What is lost is not moved by who compacts meanwhile, so it is as it was. LOG_TOO_OLD. */
export async function appendPack(ledger: Ledger, pack: PackRewritten): Promise<void> {
  const { log, clock, state } = ledger;
  const envelope = {
    clock,
    randomBytes,
    areEventsShort: () => areEventsShort(state.catalogue.facts),
  };
  const ports = {
    log,
    catchUp: () => state.catchUp({ heavy: true }),
    checkPast: () => ledger.marks.check(),
    encode: (events: readonly StoreEvent[]) =>
      events.flatMap((event) => valueOf(encodeStoreEvent(envelope, event))),
  };
  await appendDecided(ports, STORE_STREAM, () => {
    const isNamed = state.contents.named(pack.name) !== undefined;
    const said = { ...initialStore, rewritten: new Set(isNamed ? [pack.name] : []) };
    return decideStore(said)({ _tag: 'RewriteContent', pack });
  });
}

/** What writing packs takes of a ledger, beside what is written. */
export function packPorts(ledger: Ledger) {
  const { store, state } = ledger;
  return {
    store,
    sha256,
    randomBytes,
    areBlocksSalted: () => areBlocksSalted(state.catalogue.facts),
    append: (pack: PackRewritten) => appendPack(ledger, pack),
  };
}

/** Works while nobody compacts, on what the log says now. COMPACTION_BUSY. */
export async function alone<A>(ledger: Ledger, work: () => Promise<A>): Promise<A> {
  const lock = ledger.told(await run(lockCompactor(ledger.locks)));
  try {
    await ledger.state.catchUp({ heavy: true });
    return await work();
  } finally {
    await lock.release();
  }
}
