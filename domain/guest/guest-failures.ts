// Why a guest's description of itself cannot be used. What is read here was written by the guest: it
// may hide it, and it may lie.

import { isLedgerError, LedgerError, type ErrorFacts } from '../values/ledger-error.ts';

const CONTRADICTION = "the guest's memory contradicts itself: ";

/** What the guest's memory holds is not what it says it is. */
export const invalid = (sentence: string, facts: ErrorFacts = {}): LedgerError =>
  new LedgerError('GUEST_INVALID', CONTRADICTION + sentence, facts);

/** The guest does not say what is needed. */
export const undescribed = (sentence: string, facts: ErrorFacts = {}): LedgerError =>
  new LedgerError('GUEST_UNDESCRIBED', sentence, facts);

/** Whether something was thrown because of what the guest says, or does not. */
export const isGuestFailure = (thrown: unknown): thrown is LedgerError =>
  isLedgerError(thrown) && thrown.code.startsWith('GUEST_');

/** What is wrong, where it was not the guest's memory that said it. */
export const sentenceOf = ({ message }: LedgerError): string =>
  message.startsWith(CONTRADICTION) ? message.slice(CONTRADICTION.length) : message;

/** An address as people and messages have it. */
export const hexAddress = (address: bigint): string => `0x${address.toString(16)}`;
