// Small text files that say themselves whether they are whole: lines, the last of which is the
// CRC-32 of all before it (docs/format.md, "Ledger folder" and "Keys"). A person can read them.

import { crc32 } from 'node:zlib';

const CHECK_LINE = /^crc ([0-9a-f]{8})$/u;

const checksumOf = (body: string): string => crc32(body).toString(16).padStart(8, '0');

/** The text of `lines`, each without its newline, and of the line that checks them. */
export function sealLines(lines: readonly string[]): string {
  const body = lines.map((line) => `${line}\n`).join('');
  return `${body}crc ${checksumOf(body)}\n`;
}

/** The lines before the check line, or null where the text is not exactly what `sealLines` made. */
export function openLines(text: string): readonly string[] | null {
  const lines = text.split('\n');
  if (lines.pop() !== '') return null;
  const found = CHECK_LINE.exec(lines.pop() ?? '')?.[1];
  const body = lines.map((line) => `${line}\n`).join('');
  return found === checksumOf(body) ? lines : null;
}
