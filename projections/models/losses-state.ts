// What is lost as text, for its state file.

import * as t from 'io-ts';
import type { LostSlots } from '../../domain/losses.ts';
import { decodeState } from './state-bytes.ts';

const LOST = t.array(t.tuple([t.string, t.array(t.number)]));

export const lossesText = (slots: LostSlots): string =>
  JSON.stringify([...slots].map(([pack, of]) => [pack, [...of]]));

/** The losses of a text. StateUnfit where it is none. */
export const lossesOf = (text: string): LostSlots =>
  new Map(decodeState(text, LOST).map(([pack, of]) => [pack, new Set(of)]));
