// A baseline (docs/events.md, "HistoryForgotten"): what is left to know of everything up to a position,
// once the events that said so have left the log. It is the state of the fold there, without what
// nobody needs any more: whoever folds the log begins with it. Contents keep their numbers.
//
// Its bytes stand in events of their own, as parts, and count once they are committed as a whole.

import * as t from 'io-ts';
import { decodeControl } from '../../domain/events/control.ts';
import * as either from 'fp-ts/lib/Either.js';
import { BASELINE_TYPE } from '../../domain/events/control.ts';
import { HISTORY_STREAM } from '../../domain/events/streams.ts';
import {
  eventAt,
  markOf,
  type EventLog,
  type Position,
  type StoredEvent,
} from '../../domain/ports/event-log.ts';
import { run } from '../../domain/ports/run.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { PACK_SLOTS } from '../../domain/values/page.ts';
import { addSlot, slotsOfBits } from '../../domain/values/slot-set.ts';
import type { AssemblerState } from '../commits.ts';
import type { PageTable } from '../table.ts';
import { position } from './capture-codecs.ts';
import { assemblerState } from './catalogue-state.ts';
import { decodeState, StateReader, StateUnfit, StateWriter } from './state-bytes.ts';

const FORMAT = 2;
/** Slots are told of as bits, or by their numbers where those take less. Format 1: as bits. */
const AS_BITS = 0;
const AS_NUMBERS = 1;
/** Before the bytes of a part: position (u64) and revision (u32) of the HistoryForgotten before, or zeros. */
const PART_HEADER_BYTES = 12;
/** Bytes of a baseline in one part. */
const PART_BYTES = 240 * 1024;

const HEAD = t.strict({
  position,
  timeMs: t.number,
  /** Where folding goes on behind it. */
  from: assemblerState,
  leavesTo: position,
  /** By stream: the first revision that stays. */
  streams: t.array(t.tuple([t.string, t.number])),
});

/** Identifiers of the slots of a pack that are kept, and how many pages hold each content. */
export interface KeptSlots {
  readonly ordinal: number;
  /** As bits: slot s is bit s mod 8 of byte s / 8. */
  readonly slots: Uint8Array;
  /** Of the slots that are kept, in their order. */
  readonly identifiers: Uint8Array;
  /** Of the contents among them. */
  readonly holders: Uint32Array;
}

/** What a baseline says. */
export interface BaselineState {
  readonly position: Position;
  /** When what is there was recorded, by its recorder's clock. */
  readonly timeMs: number;
  readonly from: AssemblerState;
  readonly streams: ReadonlyMap<string, number>;
  /** Of the models of the fold, in the bytes of their states. */
  readonly catalogue: string;
  readonly losses: string;
  readonly contents: Uint8Array;
  readonly kept: readonly KeptSlots[];
  /** Contents and patterns that are found by their identifiers no more, as they are lost. */
  readonly hidden: Uint32Array;
  /** Of VMs of which captures are gone and others are not: the table after the last that is gone. */
  readonly tables: ReadonlyMap<string, PageTable>;
  /** Leaves of the log's tree, and up to which place they are told of (questions/log-leaves.ts). */
  readonly leaves: Uint8Array;
  readonly leavesTo: Position;
}

/** A baseline, and the event that made it count. */
export interface Baseline extends BaselineState {
  readonly at: Position;
  readonly id: string;
}

function writeSlots(writer: StateWriter, slots: Uint8Array): void {
  const numbers = Uint16Array.from(slotsOfBits(slots));
  if (numbers.byteLength < slots.length) writer.u32(AS_NUMBERS).u32(slots.length).column(numbers);
  else writer.u32(AS_BITS).column(slots);
}

function readSlots(reader: StateReader): Uint8Array {
  const as = reader.u32();
  if (as === AS_BITS) return reader.column();
  if (as !== AS_NUMBERS) throw new StateUnfit('slots are told of in another way');
  const lengthBytes = reader.u32();
  if (lengthBytes > PACK_SLOTS / 8) throw new StateUnfit('a pack has too many slots');
  const slots = new Uint8Array(lengthBytes);
  for (const slot of reader.halves()) {
    if (slot >= 8 * lengthBytes) throw new StateUnfit('a slot is beyond its pack');
    addSlot(slots, slot);
  }
  return slots;
}

/** The bytes of a baseline. */
export function baselineBytes(state: BaselineState): Uint8Array {
  const { position: at, timeMs, from, leavesTo, streams } = state;
  const head = HEAD.encode({
    position: at,
    timeMs,
    leavesTo,
    from,
    streams: [...streams],
  });
  const writer = new StateWriter().u32(FORMAT).text(JSON.stringify(head));
  writer.text(state.catalogue).text(state.losses).column(state.contents).column(state.hidden);
  writer.u32(state.kept.length);
  for (const { ordinal, slots, identifiers, holders } of state.kept) {
    writeSlots(writer.u32(ordinal), slots);
    writer.column(identifiers).column(holders);
  }
  writer.u32(state.tables.size);
  for (const [vm, table] of state.tables) writer.text(vm).column(table);
  return writer.column(state.leaves).bytes();
}

/** The baseline in these bytes. StateUnfit where there is none. */
export function baselineOf(bytes: Uint8Array): BaselineState {
  const reader = new StateReader(bytes);
  const format = reader.u32();
  if (format !== 1 && format !== FORMAT) throw new StateUnfit('a baseline of another format');
  const head = decodeState(reader.text(), HEAD);
  const [catalogue, losses] = [reader.text(), reader.text()];
  const [contents, hidden] = [reader.part(), reader.words()];
  const kept: KeptSlots[] = [];
  for (let left = reader.u32(); left > 0; left -= 1)
    kept.push({
      ordinal: reader.u32(),
      slots: format === 1 ? reader.column() : readSlots(reader),
      identifiers: reader.column(),
      holders: reader.words(),
    });
  const tables = new Map<string, PageTable>();
  for (let left = reader.u32(); left > 0; left -= 1) tables.set(reader.text(), reader.words());
  const leaves = reader.column();
  const streams = new Map(head.streams);
  return { ...head, streams, catalogue, losses, contents, kept, hidden, tables, leaves };
}

/** The place of an event of the stream of history. */
export interface HistoryPlace {
  readonly position: Position;
  readonly revision: number;
}

/** The parts that a baseline is appended in; `before` is the HistoryForgotten before it. */
export function* partsOf(bytes: Uint8Array, before: HistoryPlace | null): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    const some = bytes.subarray(at, at + PART_BYTES);
    const part = new Uint8Array(PART_HEADER_BYTES + some.length);
    const view = new DataView(part.buffer);
    view.setBigUint64(0, before?.position ?? 0n, true);
    view.setUint32(8, before === null ? 0 : before.revision + 1, true);
    part.set(some, PART_HEADER_BYTES);
    yield part;
  }
}

const damaged = (at: StoredEvent, why: string): LedgerError =>
  new LedgerError(
    'LOG_DAMAGED',
    `the baseline at position ${at.position}, where history begins, cannot be read: ${why}; verify the ledger, and restore the log from a copy`,
    { position: at.position, stream: HISTORY_STREAM },
  );

/** The newest HistoryForgotten; parts behind it are of a baseline that was never committed. */
export async function lastForgotten(log: EventLog): Promise<StoredEvent | null> {
  const last = await run(log.last(HISTORY_STREAM));
  if (last === null || last.type !== BASELINE_TYPE) return last;
  if (last.data.length < PART_HEADER_BYTES) throw damaged(last, 'a part of it is too short');
  const view = new DataView(last.data.buffer, last.data.byteOffset, PART_HEADER_BYTES);
  const revision = view.getUint32(8, true) - 1;
  if (revision < 0) return null;
  const fromPosition = view.getBigUint64(0, true);
  return eventAt(log, { stream: HISTORY_STREAM, fromRevision: revision, fromPosition });
}

/** The bytes of the parts that an event commits. */
async function bytesOf(
  log: EventLog,
  event: StoredEvent,
  range: { readonly fromRevision: number; readonly count: number; readonly fromPosition: Position },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const events of log.readStream({ stream: HISTORY_STREAM, ...range }))
    for (const { type, data } of events) {
      if (type !== BASELINE_TYPE || data.length < PART_HEADER_BYTES)
        throw damaged(event, `a ${type} stands where a part of it was expected`);
      parts.push(data.subarray(PART_HEADER_BYTES));
    }
  if (parts.length !== range.count) throw damaged(event, 'a part of it is missing');
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Where the log's history begins, as its newest baseline says; null: with its first event. */
export async function readBaseline(log: EventLog): Promise<Baseline | null> {
  const event = await lastForgotten(log);
  if (event === null) return null;
  const decoded = decodeControl(event);
  if (either.isLeft(decoded)) throw decoded.left;
  if (decoded.right.type !== 'HistoryForgotten')
    throw damaged(event, `a ${event.type} stands where a HistoryForgotten was expected`);
  const { firstRevision, parts: count, from, bytes: sizeBytes } = decoded.right.data;
  const fromPosition = BigInt(from);
  const bytes = await bytesOf(log, event, { fromRevision: firstRevision, count, fromPosition });
  if (bytes.length !== sizeBytes)
    throw damaged(event, `it has ${bytes.length} bytes, not ${sizeBytes}`);
  const { position: at, id } = markOf(event);
  try {
    return { ...baselineOf(bytes), at, id };
  } catch (thrown) {
    if (thrown instanceof StateUnfit) throw damaged(event, thrown.message);
    throw thrown;
  }
}
