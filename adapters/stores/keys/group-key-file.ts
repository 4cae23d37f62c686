// The text of a sharing group's key file (docs/format.md, "Keys"). A copy of the file is the key.
//
//   pageledger group key
//   group default
//   key 64 hex digits
//   crc 89abcdef

import { hkdfSync } from 'node:crypto';
import { assert } from '../../../domain/values/assert.ts';
import { fromHex, toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { KEY_BYTES } from '../../../domain/ports/page-engine.ts';
import { isGroupName } from '../../../domain/events/streams.ts';
import { openLines, sealLines } from '../../files/checksummed-text.ts';

/** A group and its key. Secret: never part of a message. */
export interface GroupKey {
  readonly group: string;
  readonly key: Uint8Array;
}

/** Far more than a key file has; a longer one is not read. */
export const KEY_FILE_BYTES_MAX = 4096;

const TITLE = 'pageledger group key';
const GROUP_LINE = /^group (\S+)$/u;
const KEY_LINE = new RegExp(`^key ([0-9a-f]{${2 * KEY_BYTES}})$`, 'u');

const CHECK_LABEL = 'pageledger key check v1';
const CHECK_BYTES = 16;

/**
 * A public value, in hex, that stands for a key in its group's event: it follows from the key, and
 * the key does not follow from it. So a wrong key is told from the right one.
 */
export function keyCheck(key: Uint8Array): string {
  assert(key.length === KEY_BYTES, 'a key has its 32 bytes');
  return toHex(new Uint8Array(hkdfSync('sha256', key, '', CHECK_LABEL, CHECK_BYTES)));
}

/** The text of a key file. */
export function groupKeyText({ group, key }: GroupKey): string {
  assert(isGroupName(group), 'a group has a name that names may be');
  assert(key.length === KEY_BYTES, 'a key has its 32 bytes');
  return sealLines([TITLE, `group ${group}`, `key ${toHex(key)}`]);
}

/** Reads a key file; KEY_DAMAGED where it is anything else. `where` is what a message calls it. */
export function readGroupKey(text: string, where: string): GroupKey {
  const lines = openLines(text) ?? [];
  const group = GROUP_LINE.exec(lines[1] ?? '')?.[1];
  const hex = KEY_LINE.exec(lines[2] ?? '')?.[1];
  if (lines[0] === TITLE && lines.length === 3 && group !== undefined && hex !== undefined)
    if (isGroupName(group)) return { group, key: fromHex(hex) };
  throw new LedgerError(
    'KEY_DAMAGED',
    `${where} is not a whole key file: its lines or its checksum are not those that ` +
      'were written; put it back from a copy. Restoring needs no key',
    { where },
  );
}
