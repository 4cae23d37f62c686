// The bench's own arithmetic and printing; nothing here is timed.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { withTemporaryFolder } from '../support/disks/temporary-folder.ts';
import { lightCommands } from './light-commands.ts';
import { figureOf, gigabytesPerSecond, rowOf, sampled } from './measure.ts';
import { digits, sectionText, tableText, writeResult, type Result } from './report.ts';

const seconds = (...samples: number[]) => figureOf(samples, 's');

describe('a figure', () => {
  test('is the middle sample of an odd number of them, with the least and the most', () => {
    expect(seconds(3, 1, 9)).toStrictEqual({ unit: 's', median: 3, min: 1, max: 9, samples: 3 });
  });

  test('is the mean of the middle two of an even number', () => {
    expect(seconds(4, 1, 2, 100).median).toBe(3);
  });

  test('needs a sample', () => {
    expect(() => seconds()).toThrow('a figure has a sample');
  });

  test('comes from samples taken one after the other', async () => {
    expect(await sampled(3, (sample) => sample * 2)).toStrictEqual([0, 2, 4]);
    expect(gigabytesPerSecond(3e9, 2)).toBe(1.5);
  });
});

describe('a row', () => {
  const atLeast = { sense: 'at least', bound: 0.5 } as const;

  test('of a rate is measured over limit', () => {
    const limit = { what: 'copy', figure: figureOf([10], 'GB/s') };
    const row = rowOf({ what: 'read', measured: figureOf([4], 'GB/s'), limit, target: atLeast });
    expect(row).toMatchObject({ value: 0.4, unit: 'x', isMet: false });
  });

  test('of a time held as a rate is limit over measured', () => {
    const limit = { what: 'cp', figure: seconds(1) };
    const row = rowOf({
      what: 'read',
      measured: seconds(2),
      limit,
      inverse: true,
      target: atLeast,
    });
    expect(row).toMatchObject({ value: 0.5, isMet: true });
  });

  test('without a limit stands for itself, and without a target is told, not judged', () => {
    const atMost = { sense: 'at most', bound: 300 } as const;
    const measured = figureOf([301], 'MiB');
    expect(rowOf({ what: 'memory', measured, target: atMost })).toMatchObject({
      value: 301,
      unit: 'MiB',
      isMet: false,
    });
    expect(rowOf({ what: 'memory', measured }).isMet).toBeNull();
  });
});

describe('a result', () => {
  const result: Result = {
    bench: 'reading',
    title: 'Reading',
    machine: { processor: 'P', cores: 2, memoryMib: 1024, node: 'v20.2.0' },
    loadBefore: 0.25,
    rows: [
      rowOf({
        what: 'read',
        measured: seconds(1, 2, 3),
        limit: { what: 'cp', figure: seconds(4) },
        inverse: true,
        target: { sense: 'at least', bound: 0.8 },
        note: 'warm',
      }),
    ],
  };

  test('shows numbers with three digits', () => {
    expect([0, 0.012345, 1.2345, 12.345, 1234.5].map(digits)).toStrictEqual([
      '0',
      '0.0123',
      '1.23',
      '12.3',
      '1235',
    ]);
  });

  test('is a table whose lines are equally long', () => {
    const lines = tableText(result.rows).split('\n');
    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[2]).toContain('2.00 s (1.00 to 3.00, n = 3)');
    expect(lines[2]).toContain('2.00 x');
    expect(lines[2]).toContain('met');
  });

  test('is kept in a file of its own, and all results in one summary, in the order asked for', async () => {
    await withTemporaryFolder(async (folder) => {
      writeResult(folder, result, ['writing', 'reading']);
      writeResult(folder, { ...result, bench: 'writing', title: 'Writing' }, [
        'writing',
        'reading',
      ]);
      expect(JSON.parse(readFileSync(join(folder, 'reading.json'), 'utf8'))).toStrictEqual(result);
      const summary = readFileSync(join(folder, 'README.md'), 'utf8');
      expect(summary.indexOf('## Writing')).toBeGreaterThan(0);
      expect(summary.indexOf('## Reading')).toBeGreaterThan(summary.indexOf('## Writing'));
      expect(summary).toContain(sectionText(result));
    });
  });

  test('of a newer Node is kept beside the one of the floor, row by row', async () => {
    await withTemporaryFolder(async (folder) => {
      const newer = { ...result.machine, node: 'v24.1.0' };
      writeResult(folder, result, ['reading']);
      expect(readFileSync(join(folder, 'README.md'), 'utf8')).not.toContain('Beside');
      const [row] = result.rows;
      const rows = [
        { ...row!, measured: seconds(1), value: 4 },
        { ...row!, what: 'only there' },
      ];
      writeResult(folder, { ...result, machine: newer, rows }, ['reading']);
      expect(JSON.parse(readFileSync(join(folder, 'reading.json'), 'utf8'))).toStrictEqual(result);
      const summary = readFileSync(join(folder, 'README.md'), 'utf8');
      expect(summary).toContain(sectionText(result));
      const beside = summary.slice(summary.indexOf('## Beside Node v24.1.0'));
      expect(beside).toContain('| what');
      expect(beside.split('\n').filter((line) => line.startsWith('| reading: '))).toHaveLength(1);
      expect(beside).toMatch(/\| reading: .* \| 2\.00 s .*: 2\.00 x \| 1\.00 s: 4\.00 x/u);
    });
  });
});

test('a bench runs on small sizes and judges every row that has a target', async () => {
  await withTemporaryFolder(async (folder) => {
    mkdirSync(join(folder, 'bench'));
    const tell = (): void => undefined;
    const rows = await lightCommands.run({ isQuick: true, folder: join(folder, 'bench'), tell });
    expect(rows.map((row) => row.isMet)).toStrictEqual([true, true, true, true]);
  });
}, 60_000);
