import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import {
  createLedgerFolder,
  openLedgerFolder,
} from '../../../../adapters/stores/ledger-folder/ledger-folder.ts';
import { formatText, readFormat } from '../../../../adapters/stores/ledger-folder/ledger-format.ts';
import { countSteps, filesThatFail } from '../../../support/spoiled/broken-files.ts';
import { goldenBytes } from '../../../support/golden/golden-capture.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u;

let folder: TemporaryFolder;
let path: string;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder.path, 'ledger');
});
afterEach(() => folder.remove());

const files = nodeFiles;
const create = (at = path) => createLedgerFolder({ files, path: at });
const open = (ifAbsent: 'create' | 'fail' = 'fail', at = path) =>
  openLedgerFolder({ files, path: at, ifAbsent });
const format = (): string => join(path, 'format');

describe('a new ledger folder', () => {
  test('holds its format and its folders, of which only keys is secret', async () => {
    const made = await valueOf(create());
    expect(made.id).toMatch(UUID);
    expect(made).toMatchObject({ isNew: true, findings: [] });
    expect(readdirSync(path).toSorted()).toEqual([
      'format',
      'keys',
      'locks',
      'log',
      'packs',
      'projections',
    ]);
    expect(statSync(join(path, 'keys')).mode & 0o777).toBe(0o700);
  });

  test('says what it is in four lines, checked by the last one', async () => {
    const made = await valueOf(create());
    const body = `pageledger ledger\nformat 6\nid ${made.id}\n`;
    const crc = crc32(body).toString(16).padStart(8, '0');
    expect(readFileSync(format(), 'utf8')).toBe(`${body}crc ${crc}\n`);
  });

  test('has an id of its own, which opening gives back', async () => {
    const made = await valueOf(create());
    const other = await valueOf(create(join(folder.path, 'other')));
    expect(other.id).not.toBe(made.id);
    expect(await valueOf(open())).toMatchObject({ id: made.id, isNew: false, findings: [] });
  });

  test('is made in an empty folder, and below folders that are absent', async () => {
    mkdirSync(path);
    expect(await valueOf(create())).toMatchObject({ isNew: true });
    expect(await valueOf(create(join(folder.path, 'a/b/c')))).toMatchObject({ isNew: true });
  });

  test('is not made where one is', async () => {
    const made = await valueOf(create());
    expect((await failureOf(create())).code).toBe('LEDGER_EXISTS');
    expect(await valueOf(open())).toMatchObject({ id: made.id });
  });

  test('is one and the same for all who create it at once', async () => {
    const made = await Promise.all(Array.from({ length: 12 }, () => valueOf(open('create'))));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(made.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(made.flatMap(({ findings }) => findings)).toEqual([]);
    expect(readdirSync(path)).toHaveLength(6);
  });

  test('that could not be finished is finished by who creates next', async () => {
    const steps = await countSteps((counted) =>
      valueOf(createLedgerFolder({ files: counted, path: join(folder.path, 'counted') })),
    );
    expect(steps).toBeGreaterThan(10);
    for (let step = 0; step < steps; step += 1) {
      const at = join(folder.path, `step-${step}`);
      const full = filesThatFail({ step, systemCode: 'ENOSPC' });
      const failure = await failureOf(createLedgerFolder({ files: full, path: at }));
      expect(failure.code).toBe('DISK_FULL');
      const opened = await valueOf(open('create', at));
      expect(opened.id).toMatch(UUID);
      expect(opened.findings).toEqual([]);
      expect(readdirSync(at)).toHaveLength(6);
    }
  });
});

describe('a folder that is no ledger', () => {
  test('is refused and stays as it is', async () => {
    mkdirSync(path);
    writeFileSync(join(path, 'thesis.tex'), 'x');
    for (const attempt of [create(), open('create'), open()]) {
      const failure = await failureOf(attempt);
      expect(failure.code).toBe('NOT_A_LEDGER');
      expect(failure.message).toContain(path);
    }
    expect(readdirSync(path)).toEqual(['thesis.tex']);
  });

  test.each([
    ['a file called as ours', () => writeFileSync(join(path, 'log'), 'x')],
    [
      'a folder called as ours with things in it',
      () => mkdirSync(join(path, 'log/files'), { recursive: true }),
    ],
    ['a format of something else', () => writeFileSync(join(path, 'format'), '5\n')],
    ['a format of ours alone', () => writeFileSync(join(path, 'format'), formatText('x'))],
  ])('is told from one that has %s', async (_, make) => {
    mkdirSync(path);
    make();
    expect((await failureOf(open('create'))).code).toBe('NOT_A_LEDGER');
    expect((await failureOf(create())).code).toBe('NOT_A_LEDGER');
    expect(readdirSync(path)).toHaveLength(1);
  });

  test('is not found where nothing is, and nothing is made', async () => {
    const failure = await failureOf(open());
    expect(failure.code).toBe('NOT_FOUND');
    expect(failure.message).toContain('pageledger init');
    expect(existsSync(path)).toBe(false);
    mkdirSync(path);
    expect((await failureOf(open())).code).toBe('NOT_FOUND');
    expect(readdirSync(path)).toEqual([]);
  });

  test('may be a file, or lie below one', async () => {
    writeFileSync(path, 'x');
    expect((await failureOf(open('create'))).message).toContain('is a file');
    const below = await failureOf(open('create', join(path, 'ledger')));
    expect(below.code).toBe('NOT_A_LEDGER');
    expect(below.message).toContain('below a file');
    expect(readFileSync(path, 'utf8')).toBe('x');
  });
});

describe('a ledger folder whose format file', () => {
  test('is missing opens with a finding', async () => {
    await valueOf(create());
    writeFileSync(join(path, 'log', 'events'), 'x');
    rmSync(format());
    const opened = await valueOf(open('create'));
    expect(opened.id).toBeNull();
    expect(opened.findings).toMatchObject([{ kind: 'format', where: format(), affects: [] }]);
    expect(existsSync(format())).toBe(false);
  });

  test('is damaged in any bit opens with a finding, never as another ledger', async () => {
    const { id } = await valueOf(create());
    const whole = readFileSync(format());
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const damaged = Buffer.from(whole);
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      writeFileSync(format(), damaged);
      const opened = await valueOf(open());
      expect([bit, opened.id, opened.findings.length]).toEqual([bit, null, 1]);
    }
    writeFileSync(format(), whole);
    expect(await valueOf(open())).toMatchObject({ id, findings: [] });
  });

  test('is of a newer format is refused', async () => {
    const { id } = await valueOf(create());
    const body = `pageledger ledger\nformat 7\nid ${id}\nshape round\n`;
    writeFileSync(format(), `${body}crc ${crc32(body).toString(16).padStart(8, '0')}\n`);
    for (const attempt of [open(), open('create')]) {
      const failure = await failureOf(attempt);
      expect(failure.code).toBe('NEWER_FORMAT');
      expect(failure.facts).toMatchObject({ found: 7, expected: 6 });
    }
    expect(readFileSync(format(), 'utf8')).toContain('shape round');
  });

  test.each([1, 2, 3, 4, 5])('is of format %s is read as it was written', (of) => {
    const text = new TextDecoder().decode(goldenBytes(`ledger-format-${of}/format`));
    const id = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
    expect(readFormat(text, 'here')).toEqual({ _tag: 'whole', id });
  });

  test('is anything at all is whole or damaged, never a crash', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(readFormat(text, 'here')._tag).toBe('damaged');
      }),
    );
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        expect(readFormat(formatText(id), 'here')).toEqual({ _tag: 'whole', id });
      }),
    );
  });
});
