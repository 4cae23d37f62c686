// Words as a shell takes them: a word in quotes where it needs them, and the words of a command in one text.

import { InvalidArgumentError } from 'commander';

/** A word, in quotes where a shell would take it for something else. */
export const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** What a shell's word is made of, at a place in a text: one of these, or something that only a shell does. */
const PARTS =
  /(?<space>[ \t\n]+)|'(?<literal>[^']*)'|"(?<text>(?:[^"\\$`]|\\[^])*)"|\\(?<escaped>[^])|(?<plain>[^\s'"\\$`|&;<>()*?[]+)/uy;

/**
 * The words of a command in one text, as a shell splits them at blanks and takes quotes and backslashes
 * away. No shell runs, so that what only one does (variables, patterns, several commands) is refused.
 */
export function shellWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | null = null;
  PARTS.lastIndex = 0;
  while (PARTS.lastIndex < text.length) {
    const at = PARTS.lastIndex;
    const found = PARTS.exec(text);
    if (found === null) throw notWords(text, at);
    const { space, literal, text: inQuotes, escaped, plain } = found.groups ?? {};
    if (space !== undefined) {
      if (word !== null) words.push(word);
      word = null;
      continue;
    }
    if (word === null && plain !== undefined && /^[#~]/u.test(plain)) throw notWords(text, at);
    word ??= '';
    if (escaped !== '\n')
      word += literal ?? inQuotes?.replaceAll(/\\([$`"\\])|\\\n/gu, '$1') ?? escaped ?? plain ?? '';
  }
  if (word !== null) words.push(word);
  if (words.length === 0) throw new InvalidArgumentError('a command was expected.');
  return words;
}

function notWords(text: string, at: number): InvalidArgumentError {
  const found = text[at] ?? '';
  return new InvalidArgumentError(
    /['"\\]/u.test(found)
      ? `what begins with ${found} at character ${at + 1} is not ended, or has a $ or \` in it that a shell would replace.`
      : `${found} at character ${at + 1} is for a shell, and none runs: put it in quotes.`,
  );
}
