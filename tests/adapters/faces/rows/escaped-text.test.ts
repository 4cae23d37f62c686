// What faces show of texts that others wrote.

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { escapedLines, escapedText } from '../../../../adapters/faces/rows/escaped-text.ts';
import { jsonLine } from '../../../../adapters/faces/rows/row.ts';
import { failureText } from '../../../../adapters/faces/cli/failure.ts';
import { Output } from '../../../../adapters/faces/cli/output.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { anyText } from '../../../support/any-text.ts';

const HOSTILE = 'a\u001B[31mb\u0007\u009B2J\u202Ec\u007F';
const CONTROL = /[\p{Cc}\p{Bidi_Control}]/u;

test('control characters are shown by their code', () => {
  expect(escapedText(HOSTILE)).toBe('a\\u001b[31mb\\u0007\\u009b2J\\u202ec\\u007f');
});

test('a later line cannot pass for one of ours', () => {
  expect(escapedLines('first\npageledger: all is well')).toBe('first\n  pageledger: all is well');
});

test('JSON means the same and holds no control character', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const line = jsonLine({ text: `${HOSTILE}${text}` });
      expect(line.slice(0, -1)).not.toMatch(CONTROL);
      expect(JSON.parse(line)).toEqual({ text: `${HOSTILE}${text}` });
    }),
  );
});

test('nothing that is printed or told holds one', () => {
  const written: string[] = [];
  const output = new Output({ isJson: false, write: (text) => written.push(text) });
  output.say(HOSTILE);
  output.print(HOSTILE);
  output.rows([{ text: HOSTILE }], [{ title: 'text', cell: ({ text }) => String(text) }]);
  written.push(failureText(new LedgerError('IO_FAILED', HOSTILE)));
  for (const text of written) expect(text.replaceAll('\n', '')).not.toMatch(CONTROL);
  expect(written).toHaveLength(5);
});
