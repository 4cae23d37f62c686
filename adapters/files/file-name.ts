// Names that users give, as of VMs, on their way into names of files and back: one that would look
// like a temporary file's, and be removed as a leftover, gets a sign that no such name has.

import { TEMPORARY_PREFIX } from './whole-file.ts';

const SIGN = '%';

/** The part of a path for a name. */
export const fileNameOf = (name: string): string =>
  name.startsWith(TEMPORARY_PREFIX) ? SIGN + name : name;

/** The name that a part of a path is for; null: it is a temporary file's. */
export function nameOfFile(file: string): string | null {
  if (file.startsWith(TEMPORARY_PREFIX)) return null;
  return file.startsWith(SIGN + TEMPORARY_PREFIX) ? file.slice(SIGN.length) : file;
}
