// The part of the event logs' contract (event-log.ts) that compares a log with a model of it.

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NO_STREAM, type EventLog } from '../../domain/ports/event-log.ts';
import { eventsOf, makeEvents } from '../support/logs/log-events.ts';
import type { EventLogWorld } from './event-log-world.ts';
import { triesOf } from '../support/long-run.ts';

interface Step {
  readonly writer: number;
  readonly stream: number;
  readonly count: number;
  /** How far from the true revision the writer's expectation is. */
  readonly off: number;
}

const steps = fc.array(
  fc.record({
    writer: fc.nat(2),
    stream: fc.nat(2),
    count: fc.integer({ min: 1, max: 4 }),
    off: fc.constantFrom(0, 0, 0, 0, -1, 1, -3),
  }),
  { minLength: 1, maxLength: 25 },
);

/** What the model says that an append to a stream of so many events does. */
async function takeStep(
  writer: EventLog,
  step: Step,
  model: { readonly stream: string; readonly id: string }[],
): Promise<void> {
  const stream = `vm-${step.stream}`;
  const held = model.filter((event) => event.stream === stream).length;
  const expectedRevision = Math.max(NO_STREAM, held - 1 + step.off);
  const events = makeEvents(step.count);
  const outcome = await writer.append({ stream, expectedRevision, events })();
  expect(outcome._tag).toBe(expectedRevision === held - 1 ? 'Right' : 'Left');
  if (outcome._tag === 'Left') return;
  for (const { id } of events) model.push({ stream, id: Buffer.from(id).toString('hex') });
}

export function contractOfModel(factory: () => Promise<EventLogWorld>): void {
  test('random appends by several writers do what a list of events does', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const world = await factory();
        try {
          const writers = [world.log, await world.another(), await world.another()];
          const model: { stream: string; id: string }[] = [];
          for (const step of taken) await takeStep(writers[step.writer]!, step, model);
          for (const reader of [...writers, await world.another()]) {
            const found = await eventsOf(reader);
            expect(
              found.map(({ stream, id }) => ({ stream, id: Buffer.from(id).toString('hex') })),
            ).toEqual(model);
          }
        } finally {
          await world.close();
        }
      }),
      { numRuns: triesOf(25) },
    );
  });
}
