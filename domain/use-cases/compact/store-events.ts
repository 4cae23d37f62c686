// Events of the stream that says where content lies, as they are appended.

import * as either from 'fp-ts/lib/Either.js';
import { encodeControls, newEvent, type EnvelopePorts } from '../../events/envelope.ts';
import { encodePackRewritten, packRewrittenSchema } from '../../events/pack-rewritten.ts';
import type { NewEvent } from '../../ports/event-log.ts';
import type { StoreEvent } from '../../store.ts';
import type { LedgerError } from '../../values/ledger-error.ts';

export interface StoreEventPorts extends EnvelopePorts {
  /** Whether they may have short columns: not in a ledger that releases read which know none. */
  readonly areEventsShort: () => boolean;
}

/** An event ready to append. */
export function encodeStoreEvent(
  ports: StoreEventPorts,
  event: StoreEvent,
): either.Either<LedgerError, NewEvent[]> {
  if (event.type !== 'PackRewritten') return encodeControls(ports, [event]);
  const { type, data: pack } = event;
  const schema = packRewrittenSchema(pack.blocks, ports.areEventsShort());
  return either.right([newEvent(ports, { type, schema, data: encodePackRewritten(pack, schema) })]);
}
