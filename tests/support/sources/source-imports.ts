// What sources import, read as text, and whether their imports go round.

import { posix } from 'node:path';

/** A module that a source imports. */
export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const STATIC_IMPORT =
  /^[ \t]*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s*)?['"]([^'"\n]+)['"]/gmu;
const DYNAMIC_IMPORT = /\b(?:import|new URL)\(\s*['"]([^'"\n]+)['"]/gu;

/** What a source file imports, in whatever way. */
export function importsOf(text: string): Import[] {
  const code = text.replaceAll(/^\s*\/\/.*$/gmu, '').replaceAll(/^\s*\/?\*.*$/gmu, '');
  return [
    ...[...code.matchAll(STATIC_IMPORT)].map((m) => ({ specifier: m[2]!, typeOnly: !!m[1] })),
    ...[...code.matchAll(DYNAMIC_IMPORT)].map((m) => ({ specifier: m[1]!, typeOnly: false })),
  ];
}

/** Files of the project that a file imports, in whatever way. */
export const filesImportedBy = (file: string, text: string): string[] =>
  importsOf(text)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier }) => posix.join(posix.dirname(file), specifier));

/** A way round through imports, as a list of files that ends where it begins; null: there is none. */
export function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  for (const start of imports.keys()) {
    const path: string[] = [];
    const open: { readonly file: string; readonly next: Iterator<string> }[] = [];
    const enter = (file: string): void => {
      path.push(file);
      open.push({ file, next: (imports.get(file) ?? []).values() });
    };
    if (!done.has(start)) enter(start);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const { done: isEnd, value } = top.next.next();
      if (isEnd === true) {
        done.add(top.file);
        open.pop();
        path.pop();
      } else if (path.includes(value)) return [...path.slice(path.indexOf(value)), value];
      else if (!done.has(value)) enter(value);
    }
  }
  return null;
}
