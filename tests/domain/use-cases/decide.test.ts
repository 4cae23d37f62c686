import { describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import { decideInto, type DecidePorts } from '../../../domain/use-cases/decide.ts';
import {
  decidePoints,
  evolvePoints,
  initialPoints,
  type PointsEvent,
  type PointsState,
} from '../../../domain/points.ts';
import { decodeControl } from '../../../domain/events/control.ts';
import { run, valueOf } from '../../../domain/ports/run.ts';
import type { EventLog } from '../../../domain/ports/event-log.ts';
import { createMemoryEventLog } from '../../../adapters/stores/event-log-memory/event-log-memory.ts';

const STREAM = 'points-web';

/** A process with a fold of its own over a log that others append to as well. */
class Host {
  state: PointsState = initialPoints;
  folds = 0;
  readonly #log: EventLog;
  #revision = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  get ports(): DecidePorts {
    return { log: this.#log, clock: () => 0, randomBytes, catchUp: () => this.catchUp() };
  }

  async catchUp(): Promise<void> {
    this.folds += 1;
    const count = (await run(this.#log.streamRevision(STREAM))) + 1 - this.#revision;
    const range = { stream: STREAM, fromRevision: this.#revision, count, fromPosition: 0n };
    if (count === 0) return;
    for await (const events of this.#log.readStream(range))
      for (const event of events) {
        this.state = evolvePoints(this.state, valueOf(decodeControl(event)) as PointsEvent);
        this.#revision += 1;
      }
  }

  take(name: string, capture: number, before: () => Promise<void> = async () => undefined) {
    const ports = this.ports;
    const catchUp = async (): Promise<void> => {
      await ports.catchUp();
      await before();
    };
    return decideInto({ ...ports, catchUp }, STREAM, () =>
      decidePoints(this.state)({
        _tag: 'TakeCheckpoint',
        vm: 'web',
        name,
        capture,
        isRetired: false,
      }),
    );
  }
}

describe('deciding into a stream', () => {
  test('appends what is decided, and folds it', async () => {
    const host = new Host(createMemoryEventLog());
    const data = { vm: 'web', name: 'booted', capture: 3, note: null, layout: null };
    expect(await host.take('booted', 3)).toEqual([{ type: 'CheckpointTaken', data }]);
    expect([...host.state.names]).toEqual([['booted', 3]]);
  });

  test('throws the no of the domain, and appends nothing', async () => {
    const log = createMemoryEventLog();
    await expect(new Host(log).take('a b', 3)).rejects.toMatchObject({
      refusal: { _tag: 'BadCheckpointName', name: 'a b' },
    });
    expect(await run(log.streamRevision(STREAM))).toBe(-1);
  });

  test('appends nothing where there is nothing to do', async () => {
    const log = createMemoryEventLog();
    const { ports } = new Host(log);
    expect(await decideInto(ports, STREAM, () => either.right([]))).toEqual([]);
    expect(await run(log.streamRevision(STREAM))).toBe(-1);
  });

  test('decides again on what another process appended in between', async () => {
    const log = createMemoryEventLog();
    const other = new Host(log);
    let isFirst = true;
    const between = async (): Promise<void> => {
      if (isFirst) {
        isFirst = false;
        await other.take('booted', 1);
      }
    };
    const host = new Host(log);
    await expect(host.take('booted', 2, between)).rejects.toMatchObject({
      refusal: { _tag: 'CheckpointExists', name: 'booted', capture: 1 },
    });
    await expect(host.take('login', 2)).resolves.toHaveLength(1);
    expect([...host.state.names.keys()]).toEqual(['booted', 'login']);
  });

  test('gives up where others always come first', async () => {
    const log = createMemoryEventLog();
    const other = new Host(log);
    let count = 0;
    const between = async (): Promise<void> => {
      count += 1;
      await other.take(`other-${count}`, 1);
    };
    await expect(new Host(log).take('mine', 1, between)).rejects.toMatchObject({
      code: 'REVISION_CONFLICT',
    });
    expect(count).toBe(21);
  });
});
