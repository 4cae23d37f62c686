// Captures as JSON: in baselines whole, in the state file what of them are words (capture-rows.ts).
// Positions are strings: JSON numbers are too small.

import * as t from 'io-ts';
import { CONTROL_CODECS } from '../../domain/events/control.ts';
import { plainRow } from './plain-rows.ts';

/** A value, or null. */
export const orNull = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);
const isDigits = (u: unknown): u is string => typeof u === 'string' && /^\d+$/u.test(u);

/** A position as text. */
export const position = new t.Type<bigint, string>(
  'position',
  (u): u is bigint => typeof u === 'bigint',
  (u, context) => (isDigits(u) ? t.success(BigInt(u)) : t.failure(u, context)),
  String,
);

const { mode, note, image, attachments } = CONTROL_CODECS.CaptureCommitted.type.props;
const { name, bytes } = image.types[0].type.props;

const capture = plainRow({
  capture: t.number,
  position,
  id: t.string,
  timeMs: t.number,
  recordedAtMs: t.number,
  written: t.number,
  stored: t.number,
  merged: t.number,
  pattern: t.number,
  unchanged: t.number,
  broken: t.number,
  addedBytes: t.number,
  pauseMs: orNull(t.number),
  mode,
  source: t.string,
  revision: t.number,
  range: plainRow({ firstRevision: t.number, count: t.number, fromPosition: position }),
  hasDevice: t.boolean,
  note,
  image,
  attachments,
  hash: t.string,
  isWiped: t.boolean,
  damage: orNull(t.string),
});

/** Captures as they are. */
export const captureList = t.array(capture);

/** What a capture says in words, or many captures in the same. */
export const saidInWords = plainRow({
  mode,
  source: t.string,
  note,
  image: orNull(t.strict({ name, bytes })),
  attachments,
  damage: orNull(t.string),
});
export type SaidInWords = t.TypeOf<typeof saidInWords>;
export const saidList = t.array(saidInWords);
