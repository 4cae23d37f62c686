// SharingBroken that the fold decides otherwise than was recorded: items by the commit that they are of.

import * as t from 'io-ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { position } from './capture-codecs.ts';
import { decodeState } from './state-bytes.ts';

export type Toggles = Map<Position, readonly number[]>;

const TOGGLES = t.array(t.tuple([position, t.array(t.number)]));

export const togglesText = (toggles: Toggles): string =>
  JSON.stringify([...toggles].map(([at, items]) => [String(at), items]));

/** The toggles of a text. StateUnfit where it is none. */
export const togglesOf = (text: string): Toggles => new Map(decodeState(text, TOGGLES));
