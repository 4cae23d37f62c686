// The `format` file of a ledger folder (docs/format.md, "Ledger folder"): what makes a folder a
// ledger, in lines that a person can read.
//
//   pageledger ledger
//   format 6
//   id 3f2504e0-4f89-41d3-9a0c-0305e82c3301
//   crc 89abcdef
//
// The crc is that of the lines before it, in every version to come; so a number that was damaged is
// told from a newer format.

import { LEDGER_FORMAT } from '../../../domain/ledger.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { openLines, sealLines } from '../../files/checksummed-text.ts';

/** Far more than a format file has; a longer one is not read. */
export const FORMAT_BYTES_MAX = 4096;

const TITLE = 'pageledger ledger';
const FORMAT_LINE = /^format ([1-9][0-9]{0,8})$/u;
const ID_LINE = /^id ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/u;

/** What a format file turned out to be. */
export type FormatReading =
  | { readonly _tag: 'whole'; readonly id: string }
  | { readonly _tag: 'damaged'; readonly reason: string };

/** The text of a format file. */
export const formatText = (id: string): string =>
  sealLines([TITLE, `format ${LEDGER_FORMAT}`, `id ${id}`]);

/** Whether the text is the beginning of a format file, damaged or not. */
export const looksLikeFormat = (text: string): boolean => text.startsWith('pageledger ');

/** Reads a format file; one of a newer format is NEWER_FORMAT. */
export function readFormat(text: string, path: string): FormatReading {
  const lines = openLines(text);
  if (lines === null) return { _tag: 'damaged', reason: 'its crc line is not that of its lines' };
  const format = Number(FORMAT_LINE.exec(lines[1] ?? '')?.[1] ?? 0);
  if (lines[0] === TITLE && format > LEDGER_FORMAT)
    throw new LedgerError(
      'NEWER_FORMAT',
      `the ledger at ${path} has format ${format}, and this release knows formats up to ` +
        `${LEDGER_FORMAT}; use the release that wrote it, or a later one`,
      { path, found: format, expected: LEDGER_FORMAT },
    );
  const id = ID_LINE.exec(lines[2] ?? '')?.[1];
  if (lines[0] !== TITLE || format === 0 || id === undefined || lines.length !== 3)
    return { _tag: 'damaged', reason: 'its lines are not those of a format file' };
  return { _tag: 'whole', id };
}
