// How tests look at what the client package gives them: events to append, iterations gathered, and
// subscriptions written down line by line.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  binaryEvent,
  type AllStreamSubscription,
  type BinaryEventType,
  type EventData,
  type StreamSubscription,
} from '@eventstore/db-client';

/** With credentials of its own a call is a unary Append; an insecure connection sends none. */
export const UNARY = { credentials: { username: 'nobody', password: 'none' } } as const;

/** A binary event; `data` may be bytes or a text. */
export function eventOf(
  data: Uint8Array | string,
  options: { readonly id?: string; readonly type?: string; readonly metadata?: Uint8Array } = {},
): EventData<BinaryEventType> {
  const { id = randomUUID(), type = 'SomethingHappened', metadata } = options;
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  return binaryEvent<BinaryEventType>({
    id,
    type,
    data: bytes,
    ...(metadata === undefined ? {} : { metadata }),
  });
}

/** All that an iteration gives. */
export async function gather<A>(items: AsyncIterable<A>): Promise<A[]> {
  const gathered: A[] = [];
  for await (const item of items) gathered.push(item);
  return gathered;
}

/** The failure of a call; a success is thrown. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (thrown) {
    return thrown;
  }
  throw new TypeError('a failure was expected, but it succeeded');
}

/** A subscription as it was heard. */
export interface Heard {
  /** `confirmed`, `caughtUp`, and events as `stream@revision`, in the order in which they came. */
  readonly lines: string[];
  /** Resolves with the error that ended it. */
  readonly failed: Promise<unknown>;
  /** Resolves as soon as `condition` holds; rejects when the subscription fails before. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/** Reads a subscription as fast as it comes. */
export function listen(subscription: AllStreamSubscription | StreamSubscription): Heard {
  const lines: string[] = [];
  let failure: unknown = null;
  const failed = new Promise<unknown>((resolve) => {
    subscription.on('error', (error) => {
      failure = error;
      resolve(error);
    });
  });
  // The client tells of a control message when it arrives, ahead of the events that it still holds:
  // it is written down when those have been taken, as the server sent it.
  const write = (line: string): void => {
    if (subscription.readableLength === 0) lines.push(line);
    else setImmediate(write, line);
  };
  subscription.on('confirmation', () => lines.push('confirmed'));
  subscription.on('caughtUp', () => write('caughtUp'));
  subscription.on('data', ({ event }) => lines.push(`${event!.streamId}@${event!.revision}`));
  return {
    lines,
    failed,
    until: async (condition) => {
      while (!condition()) {
        if (failure !== null) throw failure;
        await sleep(2);
      }
    },
    close: () => subscription.unsubscribe(),
  };
}
