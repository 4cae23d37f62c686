// What the documents say that the code is held against: the folders of docs/architecture.md, the errors of
// docs/errors.md.

import { posix } from 'node:path';

/**
 * The folders that a drawn tree names, from the root: a line is indented two columns a level, names
 * end in a slash, several may stand side by side, and two blanks come before the prose after them.
 */
export function foldersDrawn(drawing: string): string[] {
  const above: string[] = [];
  return drawing.split('\n').flatMap((line) => {
    const drawn = /^( *)((?:[a-z0-9-]+\/(?: {2,}|$))+)/u.exec(line);
    if (drawn === null) return [];
    above.length = drawn[1]!.length / 2;
    const names = drawn[2]!.trim().split(/ +/u);
    const folders = names.map((name) => posix.join(...above, name).replace(/\/$/u, ''));
    above.push(names.at(-1)!);
    return folders;
  });
}

/** What docs/errors.md says of each code, in its order. */
export const documentedErrors = (text: string): { code: string; exit: number; advice: string }[] =>
  [...text.matchAll(/^\| `([A-Z_]+)` +\| (\d) +\|[^|]*\| ([^|]*?) +\|$/gmu)].map((match) => ({
    code: match[1]!,
    exit: Number(match[2]),
    advice: match[3]!,
  }));

/** The exit code that docs/errors.md has for each kind of failure. */
export const documentedKinds = (text: string): ReadonlyMap<string, number> =>
  new Map(
    [...text.matchAll(/^\| (\d) +\| `([a-z]+)` +\|/gmu)].map((match) => [
      match[2]!,
      Number(match[1]),
    ]),
  );
