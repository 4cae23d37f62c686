// What sources export, read as text.

import { posix } from 'node:path';

/** What a file re-exports by name: the name and the file it comes from. */
export const reExportsOf = (file: string, text: string): { name: string; from: string }[] =>
  [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '(\.[^']+)';/gmu)].flatMap((match) =>
    namesIn(match[1]!).map((name) => ({ name, from: posix.join(posix.dirname(file), match[2]!) })),
  );

/** The names in a list such as `a, type B, c as d`, as they are called where they come from. */
const namesIn = (list: string): string[] =>
  list
    .split(',')
    .map((name) =>
      name
        .trim()
        .replace(/^type /u, '')
        .replace(/ as .*$/u, ''),
    )
    .filter((name) => name !== '');

const DEFINED =
  /(^ *\*\/\n|^\/\*\*.*\*\/\n)?^export (?:abstract |async )*(?:function\*?|const|class|interface|type) +([A-Za-z_$][\w$]*)/gmu;

/** What a file defines and exports, and whether a comment says what it promises. */
export const exportsOf = (
  text: string,
): { name: string; isDocumented: boolean; isType: boolean }[] =>
  [...text.matchAll(DEFINED)].map((match) => ({
    name: match[2]!,
    isDocumented: match[1] !== undefined,
    isType: /(?:interface|type) +[\w$]+$/u.test(match[0]),
  }));

/** How often a name stands in code, comments left out. */
export const timesIn = (text: string, name: string): number =>
  [
    ...text
      .replaceAll(/^\s*(?:\/\/|\/?\*).*$/gmu, '')
      .matchAll(new RegExp(`(?<![\\w$])${name.replaceAll('$', '\\$')}(?![\\w$])`, 'gu')),
  ].length;
