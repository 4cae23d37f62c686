// The types of events that are columns of bytes, and the schemas of all types.

import { LedgerError } from '../values/ledger-error.ts';

/** Events that are columns of bytes, all parts of a capture: they take effect at its commit. */
export const BATCH_TYPES = [
  'PackWritten',
  'PagesWritten',
  'DeviceStateWritten',
  'AttachmentsWritten',
] as const;
export type BatchType = (typeof BATCH_TYPES)[number];

/** Events that are columns of bytes and take effect by themselves. */
export const STORE_TYPES = ['PackRewritten'] as const;

/** A part of a baseline: bytes that take effect with the HistoryForgotten behind them. */
export const BASELINE_TYPE = 'BaselineWritten';
/** In a copy, in the place of an event that is gone at the source: it says nothing. */
export const BLANK_TYPE = 'EventForgotten';

/** Per-page events: never stored one by one, only expanded from a batch for who asks. */
export const PAGE_EVENT_TYPES = [
  'PageStored',
  'PageMerged',
  'PatternPageShared',
  'PageUnknown',
  'SharingBroken',
] as const;

/** Events whose schema has changed since they were first written, and its version now. */
const SCHEMAS: Readonly<Record<string, number>> = {
  LedgerCreated: 6,
  CaptureCommitted: 3,
  AttachmentsWritten: 3,
  CheckpointTaken: 3,
  ContentReleased: 2,
  DeviceStateWritten: 3,
  HistoryForgotten: 2,
  PackRewritten: 4,
  PackWritten: 6,
  PageEvicted: 2,
  PagesWritten: 3,
  PointsForgotten: 2,
  RegionsMoved: 2,
};
/** Current schema version of an event's type. Earlier ones are read as well. */
export const schemaOf = (type: string): number => SCHEMAS[type] ?? 1;

export const isBatchType = (type: string): type is BatchType =>
  (BATCH_TYPES as readonly string[]).includes(type);
export const isStoreType = (type: string): type is (typeof STORE_TYPES)[number] =>
  (STORE_TYPES as readonly string[]).includes(type);

/** What is told of an event before its data is read. */
export interface Envelope {
  readonly type: string;
  readonly schema: number;
  readonly data: Uint8Array;
  readonly position: bigint;
}

/** What is said of an event that only a later version can read. */
export const newerEvent = ({ type, schema, position }: Envelope): LedgerError =>
  new LedgerError(
    'EVENT_NEWER',
    `the event at position ${position} is a ${type} of schema ${schema}, which this version does not know; use a newer pageledger`,
    { type, schema, position },
  );
