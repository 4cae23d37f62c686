// Sentences for people, folded between words where a terminal is narrower than they are.

/** Of one line: as many as it takes, the later ones set in. */
function foldedLine(text: string, columns: number): string {
  if (text.length <= columns) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<=\S) (?=\S)/u)) {
    const isFull = line !== '' && line.length + 1 + word.length > columns;
    if (isFull) lines.push(line);
    if (isFull) line = `  ${word}`;
    else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** A text whose lines have room in so many columns; a word that has none stays whole. */
export const wrapped = (text: string, columns: number): string =>
  text
    .split('\n')
    .map((line) => foldedLine(line, columns))
    .join('\n');

/** The same for standard error, where that is a terminal that tells its size. */
export const forStandardError = (text: string): string =>
  wrapped(text, process.stderr.columns || Infinity);
