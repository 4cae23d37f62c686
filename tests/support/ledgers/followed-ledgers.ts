// Ledgers to follow, and what a subscriber of one has seen when it has caught up.

import type { ControlEvent } from '../../../domain/events/control.ts';
import type { EventLog, LogSignal } from '../../../domain/ports/event-log.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { LedgerState } from '../../../projections/models/ledger-state.ts';
import { replayCommits } from '../../../projections/observable.ts';
import { rows } from '../../../projections/subscriptions/subscribe.ts';
import {
  type FollowedLedger,
  type RowMessage,
  type RowsRequest,
} from '../../../projections/subscriptions/messages.ts';
import type { EventRow } from '../../../projections/questions/event-rows.ts';
import { HandMadeLedger, planCapture } from '../hand-made-captures.ts';
import { seededRandom } from '../images.ts';
import { eventsOf } from '../logs/log-events.ts';
import { MapStateFiles } from '../disks/map-state-files.ts';
import { valueOf } from '../outcomes.ts';

const LEDGER_ID = '6f1ad9f2-2b5e-4c1a-9c55-0d3f6a1f7a10';

const createdEvents = (ledger: string): readonly ControlEvent[] => [
  { type: 'LedgerCreated', data: { ledger, format: 1, pageStore: null } },
  { type: 'GroupCreated', data: { group: 'default', keyCheck: 'check' } },
];

/** What another process has of a hand-made ledger: a state of its own, derived files of its own. */
export function followed(
  hand: HandMadeLedger,
  files = new MapStateFiles(),
  log: EventLog = hand.log,
): FollowedLedger {
  const { identifiers: column } = files;
  return { id: LEDGER_ID, log, state: hand.open(files), column, stateFiles: files };
}

/** A ledger on any log that holds the same events. */
export function followedLog(log: EventLog): FollowedLedger {
  const files = new MapStateFiles();
  const { identifiers: column } = files;
  const state = new LedgerState({
    log,
    files,
    identifiers: () => column,
    replay: (from, consume) => replayCommits(log, from, consume),
  });
  return { id: LEDGER_ID, log, state, column, stateFiles: files };
}

/** Appends the events of one log to another, each as an append of its own. */
export async function copyEvents(source: EventLog, target: EventLog): Promise<void> {
  for (const event of await eventsOf(source)) {
    const { stream, revision } = event;
    const request = { stream, expectedRevision: revision - 1, events: [event] };
    await valueOf(target.append(request));
  }
}

const EVENTFUL_PAGES = 24;
/** What the pages hold that are plugged in: zeros, contents that others have, and a new one. */
const PLUGGED = [0, 3, 3, 77, 5];

/**
 * A ledger in which everything happens that a log can hold: captures of several VMs under way at once,
 * in many packs and batches, equal contents stored twice, device states, batches that nobody commits,
 * memory that is plugged in, a capture without a change, a checkpoint, a VM's end.
 */
export async function makeEventfulLedger(seed = 1, id = LEDGER_ID): Promise<HandMadeLedger> {
  const hand = new HandMadeLedger();
  await hand.appendLedger(...createdEvents(id));
  const random = seededRandom(seed);
  const memories = new Map(
    ['red', 'green', 'blue'].map((vm) => [vm, Array.from({ length: EVENTFUL_PAGES }, () => 0)]),
  );
  for (let round = 0; round < 4; round += 1) {
    const changes = round < 3 ? 9 : 0;
    const plans = [];
    for (const [vm, pages] of memories) {
      if (vm === 'red' && round === 2) pages.push(...PLUGGED);
      for (let i = 0; i < changes; i += 1) pages[random(EVENTFUL_PAGES)] = random(12);
      const how = { rowsMax: 4, packPagesMax: 3, hasDevice: vm === 'red' };
      const more = pages.length - EVENTFUL_PAGES;
      const blocks = [EVENTFUL_PAGES, ...(more > 0 ? [more] : [])];
      plans.push(await planCapture(hand.state, { vm, pages: [...pages], blocks, ...how }));
    }
    // All are under way before the first one commits, and blue's is left behind once.
    for (const [i, plan] of plans.entries()) {
      const stream = vmStream(plan.vm);
      if (plan.batches.length > 0) await hand.append(stream, plan.batches.slice(0, 2));
      if (round === 1 && i === 2) continue;
      if (plan.batches.length > 2) await hand.append(stream, plan.batches.slice(2));
    }
    const committed = round === 1 ? plans.slice(0, 2) : plans;
    for (const plan of committed) await hand.commit(plan);
    await hand.checkpoint('red', `round-${round}`, round + 1);
  }
  await hand.retire('green');
  return hand;
}

/** The messages of a subscriber until it has caught up. */
export async function messagesOf(
  ledger: FollowedLedger,
  request: RowsRequest = {},
): Promise<RowMessage[]> {
  const messages: RowMessage[] = [];
  for await (const message of rows(ledger, request)) {
    messages.push(message);
    if (message._tag === 'caughtUp') break;
  }
  return messages;
}

/** The rows that a subscriber sees until it has caught up. */
export const seenOf = async (
  ledger: FollowedLedger,
  request: RowsRequest = {},
): Promise<EventRow[]> =>
  (await messagesOf(ledger, request)).flatMap((message) =>
    message._tag === 'row' ? [message.row] : [],
  );

/** A log whose subscriptions go through `between`, as those of a server do. */
export function logThrough(
  log: EventLog,
  between: (signals: AsyncIterable<LogSignal>) => AsyncIterable<LogSignal>,
): EventLog {
  return {
    append: (request) => log.append(request),
    read: (range) => log.read(range),
    readStream: (range) => log.readStream(range),
    subscribe: (request) => between(log.subscribe(request)),
    head: () => log.head(),
    streamRevision: (stream) => log.streamRevision(stream),
    last: (stream) => log.last(stream),
    cut: (firstKept) => log.cut(firstKept),
    close: () => log.close(),
  };
}
