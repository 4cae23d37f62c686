// How events that are JSON are told and read: the closed set of all types, the stream, the schema and the
// ledger format of each, and their bytes (docs/events.md). What they say: control-codecs.ts. The others
// are columns: see pages-written.ts and pack-written.ts. Every event travels in an envelope with its type
// and schema version, so a later catalogue needs no new format.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { assert } from '../values/assert.ts';
import { LedgerError } from '../values/ledger-error.ts';
import { EVENT_BYTES_MAX } from '../values/page.ts';
import { actorIn, boundedActor, type Actor } from './actor.ts';
import {
  CONTROL_CODECS,
  type ControlEvent,
  type ControlType,
  type PointsForgotten,
  type ToldEvent,
} from './control-codecs.ts';
import {
  BASELINE_TYPE,
  BLANK_TYPE,
  isBatchType,
  isStoreType,
  newerEvent,
  PAGE_EVENT_TYPES,
  schemaOf,
  type Envelope,
} from './event-types.ts';
import { capture } from './number-codecs.ts';
import {
  HISTORY_STREAM,
  LEDGER_STREAM,
  STORE_STREAM,
  hostStream,
  migrationsStream,
  largeStream,
  pointsStream,
  restoresStream,
  vmStream,
} from './streams.ts';

export {
  CONTROL_CODECS,
  type CaptureCommitted,
  type CheckpointLayout,
  type ContentLost,
  type ContentReleased,
  type ControlEvent,
  type ControlType,
  type EventOf,
  type GroupCreated,
  type HistoryForgotten,
  type LedgerCreated,
  type PatternAdded,
  type PointLeased,
  type PointsForgotten,
  type RegionRow,
  type SharePolicy,
  type ToldEvent,
  type VmRegistered,
} from './control-codecs.ts';
export {
  BASELINE_TYPE,
  BATCH_TYPES,
  BLANK_TYPE,
  isBatchType,
  isStoreType,
  newerEvent,
  PAGE_EVENT_TYPES,
  schemaOf,
  STORE_TYPES,
  type BatchType,
} from './event-types.ts';

/** The stream that an event belongs to; it counts in no other. */
export function streamOf(event: ControlEvent): string {
  switch (event.type) {
    case 'LedgerCreated':
    case 'GroupCreated':
    case 'PatternAdded':
      return LEDGER_STREAM;
    case 'ContentReleased':
    case 'ContentLost':
    case 'ContentFound':
      return STORE_STREAM;
    case 'VmRegistered':
    case 'MemoryMapChanged':
    case 'CommandLineObserved':
    case 'CaptureCommitted':
    case 'VmRetired':
      return vmStream(event.data.vm);
    case 'CheckpointTaken':
    case 'CheckpointLaidOut':
    case 'CheckpointDropped':
    case 'PointsForgotten':
    case 'PointLeased':
    case 'LeaseEnded':
    case 'MasterPublished':
    case 'CloneStarted':
    case 'PageFetched':
    case 'PageEvicted':
    case 'CloneEnded':
    case 'CloneParked':
    case 'CloneWoken':
      return pointsStream(event.data.vm);
    case 'CheckpointRestored':
    case 'PageRequested':
      return restoresStream(event.data.vm);
    case 'HostJoined':
    case 'ContentsAdvertised':
    case 'HostLeft':
      return hostStream(event.data.host);
    case 'CandidatesRanked':
    case 'MigrationStarted':
    case 'RegionsMoved':
    case 'GuestHandedOver':
    case 'MigrationCompleted':
    case 'MigrationFailed':
      return migrationsStream(event.data.vm);
    case 'LargePageSampled':
    case 'LargePageSplit':
    case 'LargePageRestored':
      return largeStream(event.data.vm);
    case 'HistoryForgotten':
      return HISTORY_STREAM;
    default:
      return event satisfies never;
  }
}

/** Fields that came with a later schema, what says nothing in each, and the earliest ledger format of it. */
interface AddedFields {
  readonly schema: number;
  readonly format: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The earliest ledger format of captures and checkpoints that something is kept beside. */
export const BESIDE_FORMAT = 2;
/** The earliest ledger format of checkpoints that are laid out. */
export const LAYOUT_FORMAT = 3;
/** The earliest ledger format of releases that name slots where they lie. */
export const LYING_FORMAT = 4;
/** The earliest ledger format of captures whose source did not tell of all pages. */
export const UNKNOWN_FORMAT = 6;

const ADDED: Readonly<Partial<Record<ControlType, readonly AddedFields[]>>> = {
  CaptureCommitted: [
    { schema: 2, format: BESIDE_FORMAT, fields: { note: null, attachments: [], image: null } },
    { schema: 3, format: UNKNOWN_FORMAT, fields: { unknown: 0 } },
  ],
  CheckpointTaken: [
    { schema: 2, format: BESIDE_FORMAT, fields: { note: null } },
    { schema: 3, format: LAYOUT_FORMAT, fields: { layout: null } },
  ],
  ContentReleased: [{ schema: 2, format: LYING_FORMAT, fields: { areLying: null } }],
  HistoryForgotten: [{ schema: 2, format: 2, fields: { format: null } }],
  PageEvicted: [{ schema: 2, format: 6, fields: { pages: [] } }],
  RegionsMoved: [{ schema: 2, format: 6, fields: { patched: null } }],
};

/** Whether a field says what it says where it is absent. */
const isNothing = (value: unknown, nothing: unknown): boolean =>
  value === nothing || (Array.isArray(value) && value.length === 0);

/** The last of the later schemas that has something which an event says; undefined: the first says it all. */
function saidLast({ type, data }: ControlEvent): AddedFields | undefined {
  const said: Readonly<Record<string, unknown>> = data;
  return ADDED[type]?.findLast(({ fields }) =>
    Object.entries(fields).some(([key, nothing]) => !isNothing(said[key], nothing)),
  );
}

/**
 * Schema that a control event is written as: the earliest one that has all that it says, so that
 * releases of its time read it. What makes a ledger has that of the ledger's format, so that releases of
 * earlier ones stay away.
 */
export function schemaOfControl(event: ControlEvent): number {
  const { type } = event;
  if (event.type === 'LedgerCreated')
    return Math.min(Math.max(event.data.format, 1), schemaOf(event.type));
  return ADDED[type] === undefined ? schemaOf(type) : (saidLast(event)?.schema ?? 1);
}

/** The fields that came after a schema, saying nothing. */
const addedAfter = (type: ControlType, schema: number): Readonly<Record<string, unknown>> =>
  Object.assign(
    {},
    ...(ADDED[type] ?? []).filter((added) => added.schema > schema).map(({ fields }) => fields),
  );

/** The earliest ledger format of events of a type, where that is not the first. */
const FORMATS: Readonly<Partial<Record<ControlType, number>>> = {
  MemoryMapChanged: 2,
  PointsForgotten: 2,
  ContentLost: 2,
  ContentFound: 2,
  HistoryForgotten: 2,
  PointLeased: 3,
  LeaseEnded: 3,
  CheckpointRestored: 3,
  PageRequested: 3,
  CheckpointLaidOut: 4,
  MasterPublished: 4,
  CloneStarted: 4,
  PageEvicted: 4,
  CloneEnded: 4,
  CloneParked: 5,
  CloneWoken: 5,
  HostJoined: 5,
  ContentsAdvertised: 5,
  HostLeft: 5,
  CandidatesRanked: 5,
  MigrationStarted: 5,
  RegionsMoved: 5,
  GuestHandedOver: 5,
  MigrationCompleted: 5,
  MigrationFailed: 5,
  LargePageSampled: 5,
  LargePageSplit: 5,
  LargePageRestored: 5,
  PageFetched: 6,
};
/** The same of one type, of its first schema. */
export const formatOfType = (type: ControlType): number => FORMATS[type] ?? 1;

/** The earliest ledger format whose releases read an event: before it a ledger is raised to that. */
export const formatOf = (event: ControlEvent): number =>
  Math.max(formatOfType(event.type), saidLast(event)?.format ?? 1);

/** The same of events that are appended together. */
export const formatOfAll = (events: readonly ControlEvent[]): number =>
  events.reduce((format, event) => Math.max(format, formatOf(event)), 1);

/** The data of a control event as its schema has it. */
function writtenData(event: ControlEvent): object {
  const added = addedAfter(event.type, schemaOfControl(event));
  return Object.fromEntries(Object.entries(event.data).filter(([key]) => !(key in added)));
}

/** Whether events of this type exist, page events included. */
export const isEventType = (type: string): boolean =>
  isBatchType(type) ||
  isControlType(type) ||
  isStoreType(type) ||
  type === BASELINE_TYPE ||
  type === BLANK_TYPE ||
  (PAGE_EVENT_TYPES as readonly string[]).includes(type);
export const isControlType = (type: string): type is ControlType =>
  Object.hasOwn(CONTROL_CODECS, type);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Bytes of a control event's data. EVENT_TOO_LARGE above EVENT_BYTES_MAX; EVENT_INVALID for what could
 * not be read back, which therefore is never written.
 */
export function encodeControl(
  event: ControlEvent,
  by: Actor | null = null,
): Either<LedgerError, Uint8Array> {
  const codec: t.Mixed = CONTROL_CODECS[event.type];
  const checked = codec.decode(event.data);
  if (either.isLeft(checked))
    return either.left(
      new LedgerError(
        'EVENT_INVALID',
        `a ${event.type} event cannot be written: the field ${fieldOf(checked.left)} does not fit`,
        { type: event.type },
      ),
    );
  const data = by === null ? writtenData(event) : { ...writtenData(event), by: boundedActor(by) };
  const bytes = encoder.encode(JSON.stringify(data));
  return bytes.length <= EVENT_BYTES_MAX
    ? either.right(bytes)
    : either.left(
        new LedgerError(
          'EVENT_TOO_LARGE',
          `a ${event.type} event is ${bytes.length} bytes; an event has at most ${EVENT_BYTES_MAX}`,
          { type: event.type, found: bytes.length, expected: EVENT_BYTES_MAX },
        ),
      );
}

/** Where in its data an event does not fit, as a path. */
const fieldOf = (errors: t.Errors): string =>
  errors[0]?.context
    .map((entry) => entry.key)
    .filter((key) => key !== '')
    .join('.') ?? '?';

const POINTS_FORGOTTEN_1 = t.strict({
  vm: CONTROL_CODECS.PointsForgotten.type.props.vm,
  before: capture,
});

/** A PointsForgotten of schema 1 says the first capture that is kept. */
const forgottenBefore = (json: unknown): t.Validation<PointsForgotten> =>
  either.map(({ vm, before }: t.TypeOf<typeof POINTS_FORGOTTEN_1>) => ({
    vm,
    captures: before === 1 ? [] : ([[1, before - 1]] as const),
  }))(POINTS_FORGOTTEN_1.decode(json));

/** Data of a schema that was, as what it means today. */
function decodeEarlier(
  type: ControlType,
  schema: number,
  json: unknown,
): ReturnType<t.Mixed['decode']> {
  if (type === 'PointsForgotten' && schema === 1) return forgottenBefore(json);
  const codec: t.Mixed = CONTROL_CODECS[type];
  const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
  return codec.decode(isObject ? { ...json, ...addedAfter(type, schema) } : json);
}

/** Of a type and what its codec made: they fit each other. */
const isDecoded = (event: {
  readonly type: ControlType;
  readonly data: unknown;
}): event is ControlEvent => isControlType(event.type);

/** The control event in an envelope: EVENT_NEWER for a schema we do not know, EVENT_INVALID for bytes that are no such event. */
export function decodeControl(envelope: Envelope): Either<LedgerError, ToldEvent> {
  const where = `the event at position ${envelope.position}`;
  if (envelope.schema > schemaOf(envelope.type) || !isControlType(envelope.type))
    return either.left(newerEvent(envelope));
  const facts = { type: envelope.type, schema: envelope.schema, position: envelope.position };
  const invalid = (why: string) =>
    either.left(
      new LedgerError(
        'EVENT_INVALID',
        `${where} is no ${envelope.type}: ${why}; run \`pageledger verify\``,
        facts,
      ),
    );
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(envelope.data));
  } catch {
    return invalid('its data is not JSON');
  }
  const decoded = decodeEarlier(envelope.type, envelope.schema, json);
  if (either.isLeft(decoded)) return invalid(`the field ${fieldOf(decoded.left)} does not fit`);
  const by = actorIn(json);
  const event = { type: envelope.type, data: decoded.right };
  assert(isDecoded(event), "the codec of a type decodes that type's data");
  return either.right(by === null ? event : { ...event, by });
}
