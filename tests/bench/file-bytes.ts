import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes that files hold, of a folder those in it. */
export function fileBytes(path: string): number {
  const facts = statSync(path);
  if (!facts.isDirectory()) return facts.size;
  return readdirSync(path).reduce((sum, name) => sum + fileBytes(join(path, name)), 0);
}
