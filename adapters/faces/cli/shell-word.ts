// Words as a shell takes them.

/** A word, in quotes where a shell would take it for something else. */
export const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
