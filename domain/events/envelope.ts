// The envelope that every event travels in: an id of its own, its type, schema and time beside its data.

import * as either from 'fp-ts/lib/Either.js';
import type { Clock } from '../ports/clock.ts';
import type { NewEvent } from '../ports/event-log.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import type { Actor } from './actor.ts';
import { encodeControl, schemaOf, schemaOfControl, type ControlEvent } from './control.ts';

/** What an envelope takes from the world. */
export interface EnvelopePorts {
  readonly clock: Clock;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Who brings control events about; absent: they do not say. */
  readonly by?: Actor;
}

/** An event ready to append; of its type's current schema, where no other is said. */
export const newEvent = (
  ports: EnvelopePorts,
  event: { readonly type: string; readonly schema?: number; readonly data: Uint8Array },
): NewEvent => ({
  id: ports.randomBytes(16),
  type: event.type,
  schema: event.schema ?? schemaOf(event.type),
  timeMs: ports.clock(),
  data: event.data,
});

/** Encodes control events for one append; the first that does not fit is the failure. */
export function encodeControls(
  ports: EnvelopePorts,
  events: readonly ControlEvent[],
): either.Either<LedgerError, NewEvent[]> {
  const encoded: NewEvent[] = [];
  for (const event of events) {
    const data = encodeControl(event, ports.by);
    if (either.isLeft(data)) return data;
    encoded.push(
      newEvent(ports, { type: event.type, schema: schemaOfControl(event), data: data.right }),
    );
  }
  return either.right(encoded);
}
