// The closed set of events and the codecs of those that are JSON (docs/events.md). The others are
// columns: see pages-written.ts and pack-written.ts. Every event travels in an envelope with its type
// and schema version, so a later catalogue needs no new format.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { isNote, ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX } from '../values/attachment.ts';
import { captureModeOf, type CaptureMode } from '../values/capture-mode.ts';
import { LedgerError } from '../values/ledger-error.ts';
import { pageCountOf } from '../values/memory-map.ts';
import { PACK_NAME } from '../values/pack.ts';
import { EVENT_BYTES_MAX, PACK_SLOTS, VM_PAGES_MAX } from '../values/page.ts';
import { stringOfExpression } from '../patterns/expression.ts';
import { FIRST_ADDED_STRING, PUBLIC_PATTERN_MAX } from '../patterns/grammar.ts';
import { LAYOUT_MAP_BYTES_MAX, LAYOUT_PACKS_MAX } from './layout-map.ts';
import { actorIn, boundedActor, type Actor } from './actor.ts';
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
import {
  capture,
  captureRanges,
  count,
  durationMs,
  pageCount,
  pageRanges,
  timeMs,
} from './number-codecs.ts';
import {
  HISTORY_STREAM,
  LEDGER_STREAM,
  STORE_STREAM,
  isGroupName,
  isName,
  pointsStream,
  restoresStream,
  vmStream,
} from './streams.ts';

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

/** Names become those of streams, files and keys: nothing else passes. */
const name = t.refinement(t.string, isName, 'name');
const groupName = t.refinement(t.string, isGroupName, 'groupName');
const block = t.strict({ name: t.string, pages: pageCount });
const range = t.strict({ address: count, block: t.string, offset: count, length: count });
const memoryMap = t.refinement(
  t.strict({ blocks: t.readonlyArray(block), ranges: t.readonlyArray(range) }),
  (map) => pageCountOf(map) <= VM_PAGES_MAX,
  'memoryMap',
);
/** Events of before the modes were closed may say anything. */
const captureMode = new t.Type<CaptureMode>(
  'captureMode',
  (u): u is CaptureMode => typeof u === 'string' && captureModeOf(u) === u,
  (u, context) => (typeof u === 'string' ? t.success(captureModeOf(u)) : t.failure(u, context)),
  t.identity,
);
const share = t.union([t.literal('group'), t.literal('vm'), t.literal('pattern')]);
const orNull = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);
/** A position of the log: more digits than a number of JSON holds exactly. */
const positionDigits = t.refinement(
  t.string,
  (text) => /^(?:0|[1-9]\d{0,18})$/u.test(text),
  'position',
);
const packName = t.refinement(t.string, (text) => PACK_NAME.test(text), 'packName');
/** Slots as bits, eight to two hex digits, the lowest slot the lowest bit of the first. */
const isSlotSet = (text: string): boolean =>
  /^(?:[0-9a-f]{2})+$/u.test(text) && text.length <= PACK_SLOTS / 4;
const slotSet = t.refinement(t.string, isSlotSet, 'slotSet');

/** A lease: 16 lower-case hex digits, drawn by who takes it. */
const lease = t.refinement(t.string, (text) => /^[0-9a-f]{16}$/u.test(text), 'lease');
/** One of a list that later releases may add to: a lease of a kind that is not known holds all the same. */
const word = t.refinement(t.string, (text) => /^[a-z][a-z-]{0,31}$/u.test(text), 'word');
/** Longest text that a host says of itself. */
const HOST_TEXT_MAX = 255;
const hostText = t.refinement(t.string, ({ length }) => length <= HOST_TEXT_MAX, 'hostText');
const holder = t.strict({
  host: hostText,
  machine: orNull(hostText),
  boot: orNull(hostText),
  space: orNull(hostText),
  process: count,
  started: orNull(count),
});
/** Longest text of where memory went. */
const TO_TEXT_MAX = 1024;

const sha256 = t.refinement(t.string, (text) => /^[0-9a-f]{64}$/u.test(text), 'sha256');
const note = t.refinement(t.string, isNote, 'note');
const attachments = t.refinement(
  t.readonlyArray(
    t.strict({
      name,
      bytes: t.refinement(count, (n) => n <= ATTACHMENT_BYTES_MAX, 'attachmentBytes'),
      sha256,
    }),
  ),
  (list) => list.length <= ATTACHMENTS_MAX,
  'attachments',
);
/** Nanoseconds since 1970, as text: JSON numbers are too small. */
const timeNs = t.refinement(t.string, (text) => /^-?\d{1,20}$/u.test(text), 'timeNs');

const addedPattern = t.refinement(
  count,
  (n) => n >= FIRST_ADDED_STRING && n <= PUBLIC_PATTERN_MAX,
  'addedPattern',
);
const stringExpression = t.refinement(
  t.string,
  (text) => either.isRight(stringOfExpression(text)),
  'stringExpression',
);

const layoutMapBytes = t.refinement(count, (n) => n <= LAYOUT_MAP_BYTES_MAX, 'layoutMapBytes');
/** What a checkpoint has of its own in the page store: copies, and the map of where in them pages lie. */
const checkpointLayout = t.refinement(
  t.strict({
    bytes: count,
    map: orNull(t.strict({ name: packName, bytes: layoutMapBytes })),
    packs: t.refinement(
      t.readonlyArray(packName),
      (packs) => packs.length <= LAYOUT_PACKS_MAX,
      'layoutPacks',
    ),
  }),
  ({ bytes, map, packs }) =>
    (map === null) === (packs.length === 0) && (bytes === 0) === (map === null),
  'checkpointLayout',
);

/** The codec of each JSON event's data, by type, at its current schema version. */
export const CONTROL_CODECS = {
  LedgerCreated: t.strict({ ledger: t.string, format: count, pageStore: orNull(t.string) }),
  GroupCreated: t.strict({ group: groupName, keyCheck: t.string }),
  PatternAdded: t.strict({ pattern: addedPattern, expression: stringExpression }),
  VmRegistered: t.strict({
    vm: name,
    group: groupName,
    share,
    memoryMap,
    parent: orNull(t.strict({ vm: name, capture })),
  }),
  MemoryMapChanged: t.strict({ vm: name, memoryMap }),
  CommandLineObserved: t.strict({ vm: name, argv: t.readonlyArray(t.string) }),
  CaptureCommitted: t.strict({
    vm: name,
    capture,
    timeMs,
    batches: count,
    firstRevision: count,
    hash: t.string,
    written: count,
    stored: count,
    merged: count,
    pattern: count,
    unchanged: count,
    pauseMs: orNull(durationMs),
    mode: captureMode,
    source: t.string,
    note: orNull(note),
    attachments,
    image: orNull(t.strict({ name: t.string, bytes: count, timeNs })),
  }),
  CheckpointTaken: t.strict({
    vm: name,
    name,
    capture,
    note: orNull(note),
    layout: orNull(checkpointLayout),
  }),
  CheckpointDropped: t.strict({ vm: name, name }),
  PointsForgotten: t.strict({ vm: name, captures: captureRanges }),
  PointLeased: t.strict({ vm: name, capture, lease, kind: word, ledger: t.string, holder }),
  LeaseEnded: t.strict({ vm: name, lease, why: word }),
  CheckpointRestored: t.strict({
    vm: name,
    capture,
    how: word,
    to: orNull(t.refinement(t.string, ({ length }) => length <= TO_TEXT_MAX, 'to')),
  }),
  PageRequested: t.strict({ vm: name, capture, pages: pageRanges }),
  ContentReleased: t.strict({
    seen: orNull(t.strict({ vm: name, capture })),
    packs: t.readonlyArray(t.strict({ pack: packName, slots: slotSet })),
  }),
  ContentLost: t.strict({ packs: t.readonlyArray(t.strict({ pack: packName, slots: slotSet })) }),
  ContentFound: t.strict({ packs: t.readonlyArray(t.strict({ pack: packName, slots: slotSet })) }),
  VmRetired: t.strict({ vm: name }),
  HistoryForgotten: t.strict({
    begins: positionDigits,
    parts: count,
    firstRevision: count,
    from: positionDigits,
    bytes: count,
    format: orNull(count),
  }),
} as const;

export type ControlType = keyof typeof CONTROL_CODECS;
export type LedgerCreated = t.TypeOf<typeof CONTROL_CODECS.LedgerCreated>;
export type GroupCreated = t.TypeOf<typeof CONTROL_CODECS.GroupCreated>;
export type PatternAdded = t.TypeOf<typeof CONTROL_CODECS.PatternAdded>;
export type VmRegistered = t.TypeOf<typeof CONTROL_CODECS.VmRegistered>;
export type CaptureCommitted = t.TypeOf<typeof CONTROL_CODECS.CaptureCommitted>;
/** How a checkpoint was laid out. The map's name is the SHA-256 of its bytes; null: nothing was copied. */
export type CheckpointLayout = t.TypeOf<typeof checkpointLayout>;
export type PointsForgotten = t.TypeOf<typeof CONTROL_CODECS.PointsForgotten>;
export type PointLeased = t.TypeOf<typeof CONTROL_CODECS.PointLeased>;
export type ContentReleased = t.TypeOf<typeof CONTROL_CODECS.ContentReleased>;
export type HistoryForgotten = t.TypeOf<typeof CONTROL_CODECS.HistoryForgotten>;
export type ContentLost = t.TypeOf<typeof CONTROL_CODECS.ContentLost>;
/** What a VM shares: patterns alone, contents inside itself, or contents of its group. */
export type SharePolicy = VmRegistered['share'];

/** A control event: JSON that people can read in any log's own tools. */
export type ControlEvent = {
  readonly [T in ControlType]: {
    readonly type: T;
    readonly data: t.TypeOf<(typeof CONTROL_CODECS)[T]>;
  };
}[ControlType];

/** A control event as a log has it: with who brought it about, where it says so. */
export type ToldEvent = ControlEvent & { readonly by?: Actor };

/** The control events of some types: what one decider brings about and folds. */
export type EventOf<T extends ControlType> = Extract<ControlEvent, { readonly type: T }>;

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
    case 'CheckpointDropped':
    case 'PointsForgotten':
    case 'PointLeased':
    case 'LeaseEnded':
      return pointsStream(event.data.vm);
    case 'CheckpointRestored':
    case 'PageRequested':
      return restoresStream(event.data.vm);
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

const ADDED: Readonly<Partial<Record<ControlType, readonly AddedFields[]>>> = {
  CaptureCommitted: [
    { schema: 2, format: BESIDE_FORMAT, fields: { note: null, attachments: [], image: null } },
  ],
  CheckpointTaken: [
    { schema: 2, format: BESIDE_FORMAT, fields: { note: null } },
    { schema: 3, format: LAYOUT_FORMAT, fields: { layout: null } },
  ],
  HistoryForgotten: [{ schema: 2, format: 2, fields: { format: null } }],
};

const isNothing = (value: unknown): boolean =>
  value === null || (Array.isArray(value) && value.length === 0);

/** The last of the later schemas that has something which an event says; undefined: the first says it all. */
function saidLast({ type, data }: ControlEvent): AddedFields | undefined {
  const said: Readonly<Record<string, unknown>> = data;
  return ADDED[type]?.findLast(({ fields }) =>
    Object.keys(fields).some((key) => !isNothing(said[key])),
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

const POINTS_FORGOTTEN_1 = t.strict({ vm: name, before: capture });

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
  // The codec of a type decodes that type's data.
  const event: ControlEvent = { type: envelope.type, data: decoded.right };
  return either.right(by === null ? event : { ...event, by });
}
