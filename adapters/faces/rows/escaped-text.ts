// Texts that come from a guest, a file or another host, made harmless to show: a name may hold what
// moves a terminal's cursor, sets its clipboard, or reads backwards. This is the one place; all that
// faces print goes through it.

/** Control characters, line ends, and what turns the direction of writing. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

const codeOf = (character: string): string =>
  `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`;

/** A text on one line, whatever it holds. */
export const escapedText = (text: string): string => text.replaceAll(CONTROL, codeOf);

/** A text of several lines: none of the later ones can pass for a line of ours. */
export const escapedLines = (text: string): string =>
  text.split('\n').map(escapedText).join('\n  ');

/** JSON, which means the same and shows no control character. */
export const escapedJson = escapedText;
