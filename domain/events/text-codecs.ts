// Codecs of the texts that stand in events of JSON: names, words, and what a host says of itself.

import * as t from 'io-ts';
import { isName } from './streams.ts';

/** Names become those of streams, files and keys: nothing else passes. */
export const name = t.refinement(t.string, isName, 'name');
/** A value, or none. */
export const orNull = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);

/** A lease: 16 lower-case hex digits, drawn by who takes it. */
export const lease = t.refinement(t.string, (text) => /^[0-9a-f]{16}$/u.test(text), 'lease');
/** One of a list that later releases may add to: a lease of a kind that is not known holds all the same. */
export const word = t.refinement(t.string, (text) => /^[a-z][a-z-]{0,31}$/u.test(text), 'word');
/** Longest text that a host says of itself. */
const HOST_TEXT_MAX = 255;
export const hostText = t.refinement(t.string, ({ length }) => length <= HOST_TEXT_MAX, 'hostText');

/** Longest text of where memory went, or lies. */
const PLACE_TEXT_MAX = 1024;
export const place = t.refinement(t.string, ({ length }) => length <= PLACE_TEXT_MAX, 'place');

export const sha256 = t.refinement(t.string, (text) => /^[0-9a-f]{64}$/u.test(text), 'sha256');
