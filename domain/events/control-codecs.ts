// The closed set of events that are JSON, and the codecs of their data at its current schemas
// (docs/events.md).

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { stringOfExpression } from '../patterns/expression.ts';
import { FIRST_ADDED_STRING, PUBLIC_PATTERN_MAX } from '../patterns/grammar.ts';
import { isNote, ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX } from '../values/attachment.ts';
import { captureModeOf, type CaptureMode } from '../values/capture-mode.ts';
import { pageCountOf } from '../values/memory-map.ts';
import { PACK_NAME } from '../values/pack.ts';
import { PACK_SLOTS, REGION_MAX, REGION_PAGES, VM_PAGES_MAX } from '../values/page.ts';
import type { Actor } from './actor.ts';
import { HOST_CODECS, MIGRATION_CODECS } from './host-codecs.ts';
import { LAYOUT_MAP_BYTES_MAX, LAYOUT_PACKS_MAX } from './layout-map.ts';
import {
  capture,
  captureRanges,
  count,
  durationMs,
  pageCount,
  pageRanges,
  timeMs,
} from './number-codecs.ts';
import { isGroupName } from './streams.ts';
import { hostText, lease, name, orNull, place, sha256, word } from './text-codecs.ts';

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

/** A process that holds points. */
export const holder = t.strict({
  host: hostText,
  machine: orNull(hostText),
  boot: orNull(hostText),
  space: orNull(hostText),
  process: count,
  started: orNull(count),
});
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

/** The number of a large page. */
const region = t.refinement(count, (n) => n <= REGION_MAX, 'region');
/** Numbers of large pages, in ranges: no more of them than a VM can have. */
const regionRanges = t.refinement(
  pageRanges,
  (ranges) => ranges.every(([, last]) => last <= REGION_MAX),
  'regionRanges',
);
/** Pages of a large page that something is counted of. */
const regionPages = t.refinement(count, (pages) => pages <= REGION_PAGES, 'regionPages');
/** A large page with what was seen of it, and what it takes less where it is held small. */
const regionRow = t.strict({
  region,
  activity: count,
  shareable: regionPages,
  pattern: regionPages,
  bytes: count,
});
/** What was decided of large pages that were looked at since a capture. */
const judgedRegions = t.strict({
  vm: name,
  capture,
  since: capture,
  source: word,
  measure: word,
  threshold: orNull(count),
  regions: t.readonlyArray(regionRow),
});

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
    unknown: count,
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
  CheckpointLaidOut: t.strict({ vm: name, name, capture, traced: count, layout: checkpointLayout }),
  CheckpointDropped: t.strict({ vm: name, name }),
  PointsForgotten: t.strict({ vm: name, captures: captureRanges }),
  PointLeased: t.strict({ vm: name, capture, lease, kind: word, ledger: t.string, holder }),
  LeaseEnded: t.strict({ vm: name, lease, why: word }),
  MasterPublished: t.strict({ vm: name, capture, block: place, to: place }),
  CloneStarted: t.strict({
    vm: name,
    capture,
    clone: lease,
    kind: word,
    block: orNull(place),
    qmp: orNull(place),
  }),
  PageFetched: t.strict({
    vm: name,
    clone: lease,
    base: t.strict({ vm: name, capture, file: place }),
    server: pageRanges,
    host: pageRanges,
    own: pageRanges,
  }),
  PageEvicted: t.strict({ vm: name, clone: lease, dropped: count, pages: pageRanges }),
  CloneEnded: t.strict({ vm: name, clone: lease, why: word, privatePages: orNull(count) }),
  CloneParked: t.strict({ vm: name, clone: lease, as: name, at: capture, privatePages: count }),
  CloneWoken: t.strict({ vm: name, clone: lease, lease }),
  CheckpointRestored: t.strict({ vm: name, capture, how: word, to: orNull(place) }),
  PageRequested: t.strict({ vm: name, capture, pages: pageRanges }),
  LargePageSampled: t.strict({ vm: name, capture, source: word, regions: regionRanges }),
  LargePageSplit: judgedRegions,
  LargePageRestored: judgedRegions,
  ContentReleased: t.strict({
    seen: orNull(t.strict({ vm: name, capture })),
    packs: t.readonlyArray(t.strict({ pack: packName, slots: slotSet })),
    areLying: orNull(t.literal(true)),
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
  ...HOST_CODECS,
  ...MIGRATION_CODECS,
} as const;

export type ControlType = keyof typeof CONTROL_CODECS;
export type LedgerCreated = t.TypeOf<typeof CONTROL_CODECS.LedgerCreated>;
export type GroupCreated = t.TypeOf<typeof CONTROL_CODECS.GroupCreated>;
export type PatternAdded = t.TypeOf<typeof CONTROL_CODECS.PatternAdded>;
export type VmRegistered = t.TypeOf<typeof CONTROL_CODECS.VmRegistered>;
export type CaptureCommitted = t.TypeOf<typeof CONTROL_CODECS.CaptureCommitted>;
/** How a checkpoint was laid out. The map's name is the SHA-256 of its bytes; null: nothing was copied. */
export type CheckpointLayout = t.TypeOf<typeof checkpointLayout>;
/** A large page as it was judged: its number, its activity, and what its small pages are. */
export type RegionRow = t.TypeOf<typeof regionRow>;
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
