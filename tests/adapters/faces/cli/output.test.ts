import { describe, expect, test } from '@jest/globals';
import {
  field,
  leftOut,
  mayBeCut,
  numeric,
  Output,
  type OutputOptions,
} from '../../../../adapters/faces/cli/output.ts';
import { Progress } from '../../../../adapters/faces/cli/progress.ts';
import { wrapped } from '../../../../adapters/faces/cli/wrapped-text.ts';
import type { Row } from '../../../../adapters/faces/rows/row.ts';

const COLUMNS = [
  numeric('n'),
  leftOut(1, field('often')),
  leftOut(2, field('seldom')),
  mayBeCut(field('identifier')),
];
const ROWS = [
  { n: 1, often: 'aaaaaaaaaa', seldom: 'bbbbbbbbbb', identifier: '0123456789abcdef0123' },
  { n: 22, often: 'a', seldom: 'b', identifier: 'f' },
];

function printed(rows: readonly Row[], options: Partial<OutputOptions>): string[] {
  const written: string[] = [];
  new Output({ isJson: false, write: (text) => written.push(text), ...options }).rows(
    rows,
    COLUMNS,
  );
  return written.join('').split('\n').slice(0, -1);
}

describe('a table', () => {
  test('is as wide as it is where no terminal is', () => {
    expect(printed(ROWS, {})).toEqual([
      ' n  often       seldom      identifier',
      ' 1  aaaaaaaaaa  bbbbbbbbbb  0123456789abcdef0123',
      '22  a           b           f',
    ]);
  });

  test('leaves out columns and cuts cells until it fits', () => {
    expect(printed(ROWS, { columns: 36 })[1]).toBe(' 1  aaaaaaaaaa  0123456789abcdef0123');
    expect(printed(ROWS, { columns: 30 })[1]).toBe(' 1  0123456789abcdef0123');
    expect(printed(ROWS, { columns: 20 })[1]).toBe(' 1  0123456789abc...');
    for (const columns of [60, 48, 40, 30, 20])
      for (const line of printed(ROWS, { columns }))
        expect(line.length).toBeLessThanOrEqual(columns);
  });

  test('colours what is damaged or forgotten, where it is asked to', () => {
    const rows = [
      { n: 1, damaged: true },
      { n: 2, forgotten: true },
      { n: 3, damaged: false, forgotten: false },
    ];
    const [, damaged, forgotten, whole] = printed(rows, { isColoured: true });
    const PLAIN = '\u001B[0m';
    expect([damaged!.slice(0, 5), damaged!.slice(-4)]).toEqual(['\u001B[31m', PLAIN]);
    expect([forgotten!.slice(0, 4), forgotten!.slice(-4)]).toEqual(['\u001B[2m', PLAIN]);
    expect(whole).not.toContain('\u001B');
    expect(printed(rows, {}).join('')).not.toContain('\u001B');
  });
});

test('a sentence wraps between words, and what is short or one word stays', () => {
  expect(wrapped('one two three', 20)).toBe('one two three');
  expect(wrapped('one two three four', 10)).toBe('one two\n  three\n  four');
  expect(wrapped('0123456789abcdef', 10)).toBe('0123456789abcdef');
  expect(wrapped('one two three\nfour five six', 10)).toBe('one two\n  three\nfour five\n  six');
});

test('a terminal that tells no size wraps nothing, and no terminal a command', () => {
  const written: string[] = [];
  const write = (text: string): void => void written.push(text);
  new Output({ isJson: false, write, columns: 0 }).print('a sentence of some words');
  const narrow = new Output({ isJson: false, write, columns: 10 });
  narrow.print('a sentence');
  narrow.command('crash --kaslr=0x1600000 vmlinux');
  new Output({ isJson: false, isQuiet: true, write }).command('none');
  expect(written.map((text) => text.trimEnd().split('\n').length)).toEqual([1, 1, 1]);
});

describe('progress', () => {
  function drawn(columns: number, draw: (progress: Progress) => void): string {
    let written = '';
    let now = 0;
    const terminal = {
      isTTY: true,
      columns,
      write: (text: string) => void (written += text),
      now: () => now,
    };
    const progress = new Progress('verifying', terminal);
    now = 1000;
    draw(progress);
    return written;
  }

  test('counts in the units of what is done, and never more than all', () => {
    expect(drawn(80, (progress) => progress.count(6, 19, 'pack'))).toContain(
      'verifying: 31 % of 19 packs, 6 packs/s, 3 s left',
    );
    expect(drawn(80, (progress) => progress.bytes(3 * 1024, 2 * 1024))).toContain(
      'verifying: 100 % of 2.0 KiB, 3.0 KiB/s, 0 s left',
    );
  });

  test('leaves no trail where a line of it would wrap', () => {
    expect(drawn(59, (progress) => progress.bytes(1, 2))).toBe('');
    expect(drawn(60, (progress) => progress.bytes(1, 2)).length).toBeLessThanOrEqual(64);
  });
});
