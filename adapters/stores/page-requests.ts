// What every page store checks before it touches anything: names are hashes, a pack is what its name
// says, a range is a range.

import { createHash } from 'node:crypto';
import { assert } from '../../domain/values/assert.ts';
import { isLedgerError, LedgerError } from '../../domain/values/ledger-error.ts';
import { PACK_NAME } from '../../domain/values/pack.ts';
import { PackBytes } from '../../domain/values/pack-bytes.ts';

/** A part of a pack. */
export interface PackRange {
  readonly name: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Refuses a name that is no hash: it never becomes part of a path. */
export function checkPackName(name: string): void {
  if (PACK_NAME.test(name)) return;
  throw new LedgerError(
    'PACK_DAMAGED',
    `a pack is called ${JSON.stringify(name.slice(0, 80))}, but 64 lower-case hex digits were ` +
      'expected; what refers to it is damaged: run `pageledger verify`',
    { name: name.slice(0, 80) },
  );
}

/** Refuses bytes that are not what their name says. What has just been named by them is. */
export function checkPackBytes(pack: { readonly name: string; readonly bytes: Uint8Array }): void {
  checkPackName(pack.name);
  if (pack instanceof PackBytes) return;
  const found = createHash('sha256').update(pack.bytes).digest('hex');
  if (found === pack.name) return;
  throw new LedgerError(
    'PACK_DAMAGED',
    `a pack was to be stored as ${pack.name}, but its bytes have the SHA-256 ${found}; ` +
      'nothing was stored: check the memory of this machine, then run the command again',
    { name: pack.name, found, sizeBytes: pack.bytes.length },
  );
}

/** Refuses a range that reaches beyond the pack, before anything is allocated for it. */
export function checkRange(range: PackRange, pack: { readonly sizeBytes: number; where: string }) {
  assert(
    Number.isSafeInteger(range.offsetBytes) && range.offsetBytes >= 0,
    'a range of a pack begins at a whole number of bytes',
  );
  assert(
    Number.isSafeInteger(range.lengthBytes) && range.lengthBytes >= 0,
    'a range of a pack has a whole number of bytes',
  );
  const expectedBytes = range.offsetBytes + range.lengthBytes;
  if (expectedBytes <= pack.sizeBytes) return;
  throw new LedgerError(
    'PACK_DAMAGED',
    `pack ${range.name} holds ${pack.sizeBytes} bytes, but at least ${expectedBytes} were ` +
      `expected (${pack.where}); run \`pageledger verify\` to see what is affected`,
    { name: range.name, foundBytes: pack.sizeBytes, expectedBytes, where: pack.where },
  );
}

/** The failure of a pack that is not there. */
export const packMissing = (name: string, where: string): LedgerError =>
  new LedgerError(
    'PACK_MISSING',
    `pack ${name} was expected, but there is none (${where}); put it back from a copy of ` +
      'the ledger',
    { name, where },
  );

/** What the system answers that is about one file, whatever becomes of others. */
const OF_ONE_FILE: readonly unknown[] = [
  'EACCES',
  'EBADMSG',
  'EIO',
  'ELOOP',
  'ENODATA',
  'EPERM',
  'EUCLEAN',
];

/** A failure to read a pack, told of as the pack's own where it is about its file alone. */
export function packFailure(name: string, thrown: unknown): unknown {
  if (!isLedgerError(thrown) || !OF_ONE_FILE.includes(thrown.facts['errno'])) return thrown;
  const { message, facts } = thrown;
  return new LedgerError('PACK_UNREADABLE', message, { ...facts, name }, thrown);
}

/** The failure of a pack in whose place something else stands. */
export const packNoFile = (name: string, cause: LedgerError): LedgerError =>
  new LedgerError('PACK_DAMAGED', `pack ${name} cannot be read: ${cause.message}`, { name }, cause);
