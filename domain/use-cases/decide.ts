// The handler of commands: load, fold, decide, append, and all of it again where another process came
// first. What is decided, and on what, are the deciders' (ledger.ts, vm.ts, points.ts, store.ts).

import type { Either } from 'fp-ts/lib/Either.js';
import type { ControlEvent } from '../events/control.ts';
import { encodeControls, type EnvelopePorts } from '../events/envelope.ts';
import type { EventLog, NewEvent } from '../ports/event-log.ts';
import { accepted, valueOf } from '../ports/run.ts';
import type { Refusal } from '../values/refusals.ts';
import { isConflict, StreamEnd } from './stream-end.ts';

/** Times that something is decided again after another process's append came first. */
const RETRIES_MAX = 20;

interface FoldPorts {
  readonly log: EventLog;
  /** Folds what the log holds beyond the state that is decided on. */
  readonly catchUp: () => Promise<void>;
  /** LOG_TOO_OLD where packs were deleted by what the log does not have; absent: there are none. */
  readonly checkPast?: () => Promise<void>;
}

export interface DecidePorts extends FoldPorts, EnvelopePorts {
  readonly makeRoom?: (events: readonly ControlEvent[]) => Promise<void>;
}

export interface AppendPorts<E> extends FoldPorts {
  /** Raises the ledger's format where releases of the one it has do not know such events; absent: it is not. */
  readonly makeRoom?: (events: readonly E[]) => Promise<void>;
  readonly encode: (events: readonly E[]) => readonly NewEvent[];
}

/** Decides on the state as it is folded then: asked again after each conflict. */
export type Decide<E> = () => Either<Refusal, readonly E[]>;

/**
 * Appends to a stream what is decided, and folds it. Gives the events: none where there was nothing to
 * do. Refused where the domain says no.
 */
export const decideInto = <E extends ControlEvent>(
  ports: DecidePorts,
  stream: string,
  decide: Decide<E>,
): Promise<readonly E[]> => {
  const encode = (events: readonly E[]): NewEvent[] => valueOf(encodeControls(ports, events));
  return appendDecided({ ...ports, encode }, stream, decide);
};

/** The same of events that are encoded otherwise. */
export async function appendDecided<E>(
  ports: AppendPorts<E>,
  stream: string,
  decide: Decide<E>,
): Promise<readonly E[]> {
  for (let attempt = 0; ; attempt += 1) {
    const end = await StreamEnd.of(ports.log, stream);
    await ports.catchUp();
    const events = accepted(decide());
    if (events.length === 0) return events;
    await ports.checkPast?.();
    await ports.makeRoom?.(events);
    const encoded = ports.encode(events);
    try {
      await end.append(encoded);
    } catch (thrown) {
      if (!isConflict(thrown) || attempt >= RETRIES_MAX) throw thrown;
      continue;
    }
    await ports.catchUp();
    return events;
  }
}
