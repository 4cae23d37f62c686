import { describe, expect, test } from '@jest/globals';
import type { EventLog, NewEvent, StreamRange } from '../../domain/ports/event-log.ts';
import { vmStream } from '../../domain/events/streams.ts';
import {
  CommitAssembler,
  type AssemblerState,
  type CaptureChange,
  type Change,
} from '../../projections/commits.ts';
import {
  controlEvents,
  eventOf,
  HandMadeLedger,
  planCapture,
  type PlannedCapture,
} from '../support/hand-made-captures.ts';
import { goldenBytes } from '../support/golden/golden-capture.ts';
import { itemsOf } from '../support/logs/log-events.ts';

const changesOf = async (ledger: HandMadeLedger): Promise<readonly Change[]> =>
  new CommitAssembler(ledger.log).take(await itemsOf(ledger.log));

const capturesIn = (changes: readonly Change[]): CaptureChange[] =>
  changes.filter((change) => change._tag === 'capture');

/** A capture's packs and batches as a line. */
const lineOf = ({ committed, packs, batches, damage }: CaptureChange): string =>
  [
    `${committed.vm}@${committed.capture}`,
    `${packs.length} packs`,
    batches.map(({ batch, kinds }) => `${batch}:${kinds.length}`).join(' '),
    damage ?? 'whole',
  ].join(', ');

async function interleave(ledger: HandMadeLedger, plans: readonly PlannedCapture[]): Promise<void> {
  const left = plans.map(({ vm, batches }) => ({ vm, batches: [...batches] }));
  while (left.some(({ batches }) => batches.length > 0))
    for (const { vm, batches } of left) {
      const batch = batches.shift();
      if (batch !== undefined) await ledger.append(vmStream(vm), [batch]);
    }
}

const request = (vm: string, first: number) => ({
  vm,
  pages: Array.from({ length: 20 }, (_, i) => first + i),
  rowsMax: 8,
  packPagesMax: 16,
});

test('an event of ours of a later type is passed over with a word, and one of others without', async () => {
  const ledger = new HandMadeLedger();
  await ledger.record({ vm: 'a', pages: [1, 2] });
  const before = await changesOf(ledger);
  await ledger.append(vmStream('a'), [
    eventOf('PageTeleported', new Uint8Array(3)),
    eventOf('foreign:Note', new Uint8Array(0)),
  ]);
  const passedOver: string[] = [];
  const assembler = new CommitAssembler(ledger.log, undefined, {
    onPassedOver: ({ type }) => passedOver.push(type),
  });
  const items = await itemsOf(ledger.log);
  expect(await assembler.take(items)).toEqual(before);
  expect(passedOver).toEqual(['PageTeleported']);
});

describe('batches', () => {
  test('come with their commit, in the order of the commits', async () => {
    const ledger = new HandMadeLedger();
    const a = await planCapture(ledger.state, request('a', 100));
    const b = await planCapture(ledger.state, request('b', 200));
    await interleave(ledger, [a, b]);
    const positions = [await ledger.commit(b), await ledger.commit(a)];
    const captures = capturesIn(await changesOf(ledger));
    expect(captures.map(lineOf)).toEqual([
      'b@1, 2 packs, 0:8 1:8 2:4, whole',
      'a@1, 2 packs, 0:8 1:8 2:4, whole',
    ]);
    expect(captures.map(({ position }) => position)).toEqual(positions);
  });

  test('come after what their commit was appended with', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record(request('a', 100));
    const changes = await changesOf(ledger);
    expect(
      changes.map((change) => (change._tag === 'control' ? change.event.type : change._tag)),
    ).toEqual(['VmRegistered', 'capture']);
  });

  test('without a commit are ignored for ever', async () => {
    const ledger = new HandMadeLedger();
    const lost = await planCapture(ledger.state, request('a', 100));
    await ledger.append(vmStream('a'), lost.batches);
    await ledger.record(request('b', 200));
    expect(capturesIn(await changesOf(ledger)).map(lineOf)).toEqual([
      'b@1, 2 packs, 0:8 1:8 2:4, whole',
    ]);
  });

  test('of an interrupted capture do not get into the next one of the same VM', async () => {
    const ledger = new HandMadeLedger();
    const lost = await planCapture(ledger.state, request('a', 100));
    await ledger.append(vmStream('a'), lost.batches.slice(0, 3));
    await ledger.record({ ...request('a', 300), rowsMax: 20 });
    const [capture] = capturesIn(await changesOf(ledger));
    expect(lineOf(capture!)).toBe('a@1, 2 packs, 0:20, whole');
    expect(capture!.range).toEqual({ firstRevision: 3, count: 3, fromPosition: 3n });
  });

  test('are none where nothing changed', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record(request('a', 100));
    const position = await ledger.record(request('a', 100));
    const capture = capturesIn(await changesOf(ledger)).at(-1)!;
    expect(lineOf(capture)).toBe('a@2, 0 packs, , whole');
    expect(capture).toMatchObject({ position, committed: { written: 0, unchanged: 20 } });
  });
});

describe('an event in a stream that it does not belong to', () => {
  test.each([
    ['CaptureCommitted', 'points-a'],
    ['PointsForgotten', 'vm-b'],
    ['VmRetired', 'ledger'],
    ['CheckpointTaken', 'vm-a'],
    ['GroupCreated', 'vm-a'],
    ['ContentReleased', 'vm-a'],
    ['PackRewritten', 'vm-a'],
  ])('counts for nothing: a %s in %s', async (type, stream) => {
    const ledger = new HandMadeLedger();
    const data = goldenBytes(`events-1/${type}.bin`);
    const id = new Uint8Array(16).fill(9);
    await ledger.append(stream, [{ id, type, schema: 1, timeMs: 0, data }]);
    const [change] = await changesOf(ledger);
    expect(change).toMatchObject({
      _tag: 'damage',
      damage: { stream, reason: expect.stringContaining('it counts for nothing') },
    });
  });
});

describe('an assembler', () => {
  test('goes on from any place where another one stopped', async () => {
    const ledger = new HandMadeLedger();
    const a = await planCapture(ledger.state, request('a', 100));
    const b = await planCapture(ledger.state, request('b', 200));
    await interleave(ledger, [a, b]);
    await ledger.commit(a);
    await ledger.record({ ...request('c', 300), rowsMax: 3 });
    await ledger.commit(b);
    const items = await itemsOf(ledger.log);
    const all = await changesOf(ledger);
    for (let stop = 0; stop <= items.length; stop += 1) {
      const before = new CommitAssembler(ledger.log);
      const first = await before.take(items.slice(0, stop));
      // What is kept goes through a state file: it is plain.
      const state: AssemblerState = before.stateAt(BigInt(stop));
      const after = new CommitAssembler(ledger.log, state);
      const changes = [...first, ...(await after.take(items.slice(stop)))];
      expect(capturesIn(changes).map(lineOf)).toEqual(capturesIn(all).map(lineOf));
      for (const [i, change] of changes.entries()) {
        const expected = all[i]!;
        if (change._tag !== 'capture' || expected._tag !== 'capture') continue;
        const { range: _range, ...rest } = change;
        const { range: _expectedRange, ...expectedRest } = expected;
        expect(rest).toEqual(expectedRest);
      }
    }
  });

  test('drops what waits above its limit and reads it again at the commit', async () => {
    const ledger = new HandMadeLedger();
    const a = await planCapture(ledger.state, { ...request('a', 100), rowsMax: 1 });
    const b = await planCapture(ledger.state, request('b', 200));
    await ledger.append(vmStream('a'), a.batches);
    await ledger.append(vmStream('b'), b.batches);
    const reads: string[] = [];
    const log: EventLog = Object.create(ledger.log, {
      readStream: {
        value: (range: StreamRange) => {
          reads.push(range.stream);
          return ledger.log.readStream(range);
        },
      },
    });
    const sizeOf = ({ batches }: PlannedCapture): number =>
      batches.reduce((sum, { data }) => sum + data.length, 0);
    const assembler = new CommitAssembler(log, undefined, {
      pendingBytesMax: Math.max(sizeOf(a) - 1, sizeOf(b)),
    });
    expect(await assembler.take(await itemsOf(ledger.log))).toEqual([]);
    await ledger.commit(a);
    await ledger.commit(b);
    const rest = await itemsOf(ledger.log, BigInt(a.batches.length + b.batches.length));
    const captures = capturesIn(await assembler.take(rest));
    expect(captures).toEqual(capturesIn(await changesOf(ledger)));
    expect(captures.map(lineOf)).toEqual([
      `a@1, 2 packs, ${Array.from({ length: 20 }, (_, i) => `${i}:1`).join(' ')}, whole`,
      'b@1, 2 packs, 0:8 1:8 2:4, whole',
    ]);
    expect(reads).toEqual(['vm-a']);
    expect(assembler.stateAt(0n).pending).toEqual([]);
  });
});

const committing = (vm: string, batches: number): NewEvent[] =>
  controlEvents({
    type: 'CaptureCommitted',
    data: {
      vm,
      capture: 1,
      timeMs: 1,
      batches,
      firstRevision: 0,
      hash: '',
      written: 0,
      stored: 0,
      merged: 0,
      pattern: 0,
      unknown: 0,
      unchanged: 0,
      pauseMs: null,
      mode: 'image',
      source: 'made by hand',
      note: null,
      attachments: [],
      image: null,
    },
  });

describe('a capture that cannot be read whole', () => {
  test('says which of its batches is malformed, and hands on the others', async () => {
    const ledger = new HandMadeLedger();
    const plan = await planCapture(ledger.state, request('a', 100));
    const batches = plan.batches.map((batch, i) =>
      i === 3 ? { ...batch, data: batch.data.subarray(1) } : batch,
    );
    await ledger.append(vmStream('a'), batches);
    await ledger.commit(plan);
    const [capture] = capturesIn(await changesOf(ledger));
    expect(capture!.damage).toContain('position 3');
    expect(capture!.batches.map(({ batch }) => batch)).toEqual([0, 2]);
  });

  test('says how many batches are missing', async () => {
    const ledger = new HandMadeLedger();
    await ledger.append(vmStream('a'), committing('a', 3));
    const [capture] = capturesIn(await changesOf(ledger));
    expect(capture!.damage).not.toBeNull();
  });
});

describe('events of a newer version', () => {
  test('of a type we do not know change nothing', async () => {
    const ledger = new HandMadeLedger();
    await ledger.append('room-x', [eventOf('PagesDreamt', new Uint8Array(0))]);
    expect(await changesOf(ledger)).toEqual([]);
  });

  test.each([
    ['VmRetired', 'vm-a'],
    ['CheckpointTaken', 'points-a'],
    ['PackRewritten', 'store'],
    ['GroupCreated', 'vm-a'],
  ])('of the type %s are lost events of the stream %s', async (type, stream) => {
    const ledger = new HandMadeLedger();
    await ledger.append(stream, [{ ...eventOf(type, new Uint8Array(0)), schema: 9 }]);
    await ledger.record(request('b', 1));
    const changes = await changesOf(ledger);
    const reason = expect.stringContaining('schema 9, which this version does not know');
    expect(changes[0]).toMatchObject({ _tag: 'damage', damage: { stream, reason } });
    expect(capturesIn(changes)).toHaveLength(1);
  });

  test.each(['PagesWritten', 'PackWritten', 'DeviceStateWritten'])(
    'of the type %s damage the capture that they are of, and nothing without a commit',
    async (type) => {
      const ledger = new HandMadeLedger();
      const newer = { ...eventOf(type, new Uint8Array(0)), schema: 9 };
      await ledger.append('vm-a', [newer]);
      expect(await changesOf(ledger)).toEqual([]);
      await ledger.append('vm-a', committing('a', 1));
      const [capture] = capturesIn(await changesOf(ledger));
      expect(capture!.damage).toContain('schema 9, which this version does not know');
    },
  );

  test("in the ledger's own stream keep this release away", async () => {
    const ledger = new HandMadeLedger();
    await ledger.append('ledger', [{ ...eventOf('GroupCreated', new Uint8Array(0)), schema: 9 }]);
    await expect(changesOf(ledger)).rejects.toMatchObject({ code: 'EVENT_NEWER' });
  });

  test('that are no events at all are damage, and the log goes on', async () => {
    const ledger = new HandMadeLedger();
    await ledger.append('vm-a', [eventOf('VmRetired', new Uint8Array([1, 2, 3]))]);
    await ledger.record(request('b', 1));
    const changes = await changesOf(ledger);
    expect(changes[0]).toMatchObject({
      _tag: 'damage',
      damage: { stream: 'vm-a', revisions: [0, 0] },
    });
    expect(capturesIn(changes)).toHaveLength(1);
  });
});
