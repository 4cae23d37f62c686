// Numbers, and what else has a form of its own, on the command line.

import { InvalidArgumentError } from 'commander';
import { headOf, type LogHead } from '../../../domain/evidence.ts';
import { durationMs } from '../../../domain/values/instant.ts';
import type { RawLayoutName } from '../../../domain/values/raw-layout.ts';
import { UsageError } from './failure.ts';

export const wholeNumber = (text: string): number => {
  if (!/^\d{1,15}$/u.test(text))
    throw new InvalidArgumentError('a whole number from 0 was expected.');
  return Number(text);
};

export const positiveNumber = (text: string): number => {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('a whole number from 1 was expected.');
  return value;
};

const RATE = /^(\d{1,9}(?:\.\d{1,3})?)([KMG]?)(?:i?B)?(?:\/s)?$/u;
const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Bytes a second: `50M`, `1.5G`. */
export function byteRate(text: string): number {
  const [, number, unit] = RATE.exec(text) ?? [];
  const rate = Number(number) * (UNITS[unit ?? ''] ?? 1);
  if (rate >= 1) return rate;
  throw new InvalidArgumentError('bytes a second were expected, as 50M or 1G.');
}

/** A page, or pages from one to another: `4175`, `4096-4351`. */
export function pageRange(text: string): { readonly first: number; readonly last: number } {
  const [first, last = first] = text.split('-').map(wholeNumber);
  if (first !== undefined && last !== undefined && last >= first && text.split('-').length <= 2)
    return { first, last };
  throw new InvalidArgumentError('a page, or pages as 4096-4351, was expected.');
}

/** What an option that may be repeated was given, in order. */
export const collected = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  text,
];

export const address = (text: string): number => {
  const value = /^(0x[0-9a-f]+|\d+)$/iu.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw new InvalidArgumentError('an address was expected, as 0x7fff0000 or in decimal.');
  return value;
};

/** An address that a guest uses itself: 64 bits. */
export const virtualAddress = (text: string): bigint => {
  if (/^(0x[0-9a-f]{1,16}|\d{1,20})$/iu.test(text)) {
    const value = BigInt(text);
    if (value < 2n ** 64n) return value;
  }
  throw new InvalidArgumentError('an address was expected, as 0xffffffff81000000 or in decimal.');
};

export const logHead = (text: string): LogHead => {
  const head = headOf(text);
  if (head === null)
    throw new InvalidArgumentError('what `pageledger head` printed was expected: SIZE:DIGEST.');
  return head;
};

/** The layout of a raw file that a text names. */
export function layoutNamed(text: string): RawLayoutName {
  if (text === 'packed' || text === 'physical') return text;
  throw new UsageError(
    `the layout ${JSON.stringify(text)} is not known: packed or physical was expected`,
  );
}

/** The bytes that --hex says. */
export function bytesOfHex(hex: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})+$/iu.test(hex))
    throw new UsageError(`--hex ${hex} is no string of bytes: pairs of hex digits were expected`);
  return Buffer.from(hex, 'hex');
}

/** Milliseconds of the duration that an option was given. */
export function positiveDuration(option: string, text: string): number {
  const ms = durationMs(text);
  if (ms === null || ms <= 0)
    throw new UsageError(`${option} ${text} is no duration: 500ms, 5s, 1m were expected`);
  return ms;
}
