// docs/events.md and docs/format.md are what others read a ledger by, so they say what the sources
// say: every event with its fields and its schema, the byte layouts line by line, and the sizes. What
// decisions name is there.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  BASELINE_TYPE,
  BLANK_TYPE,
  BATCH_TYPES,
  CONTROL_CODECS,
  PAGE_EVENT_TYPES,
  schemaOf,
  STORE_TYPES,
} from '../../../domain/events/control.ts';
import { CAPTURE_MODES } from '../../../domain/values/capture-mode.ts';
import {
  LEDGER_STREAM,
  largeStream,
  pointsStream,
  STORE_STREAM,
  vmStream,
} from '../../../domain/events/streams.ts';
import { REWRITE_BLOCK_PAGES } from '../../../domain/use-cases/compact/policy.ts';
import { PACK_FORMAT } from '../../../domain/values/pack.ts';
import {
  BATCH_ROWS_MAX,
  BLOCK_PAGES,
  BLOCK_PAGES_MAX,
  EVENT_BYTES_MAX,
  PACK_PAGES_MAX,
  PACK_PATTERNS_MAX,
  PACK_SLOTS,
} from '../../../domain/values/page.ts';
import { GOLDEN_FOLDER } from '../../support/golden/golden-capture.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';

const read = (file: string): string => readFileSync(join(sourceRoot(), file), 'utf8');
const DOCUMENT = read('docs/events.md');
const FORMAT = read('docs/format.md');
/** As the documents write numbers. */
const shown = (count: number): string => count.toLocaleString('en-US');

const LAYOUT_LINE = /^ *(?:\d+|-) +(?:\d+|-) {2}\S| {7}- {2}\S/u;

/** The lines of a header comment that draw a layout, without what leads them. */
const layoutOf = (source: string): string[] =>
  source
    .split('\n')
    .filter((line) => line.startsWith('//'))
    .map((line) => line.slice(2).trimEnd())
    .filter((line) => LAYOUT_LINE.test(line))
    .map((line) => line.trim());

/** The indented or fenced layouts of the document, line by line. */
const documentedLayouts = DOCUMENT.split('\n')
  .filter((line) => LAYOUT_LINE.test(line))
  .map((line) => line.trim());

/** The section of the document under a heading. */
function sectionOf(heading: string): string {
  const sections = DOCUMENT.split(/^#{2,3} /mu);
  return sections.find((section) => section.startsWith(`${heading}\n`)) ?? '';
}

/** Fields named in the first column of a section's table. */
const fieldsIn = (section: string): string[] =>
  [...section.matchAll(/^\| `([A-Za-z]+)` +\|/gmu)].map((match) => match[1]!);

describe('the document of events', () => {
  test.each([
    ['domain/events/pages-written.ts', 12],
    ['domain/events/pages-written-2.ts', 15],
    ['domain/events/pack-written.ts', 18],
    ['domain/events/pack-written-4.ts', 12],
    ['domain/events/patches.ts', 6],
    ['domain/events/pack-rewritten.ts', 19],
    ['domain/events/pack-rewritten-3.ts', 14],
    ['domain/values/pack.ts', 6],
  ])('draws the layout in %s as its header does', (file, lines) => {
    const layout = layoutOf(read(file));
    expect(layout).toHaveLength(lines);
    expect(documentedLayouts.join('\n')).toContain(layout.join('\n'));
  });

  test.each(Object.entries(CONTROL_CODECS))('has every field of %s, in order', (type, codec) => {
    expect(fieldsIn(sectionOf(type))).toEqual(Object.keys(codec.type.props));
  });

  test.each([...BATCH_TYPES, ...STORE_TYPES, ...PAGE_EVENT_TYPES])(
    'has a section for %s',
    (type) => {
      expect(sectionOf(type).length).toBeGreaterThan(100);
    },
  );

  test('says the schema of every event, in the envelope and in its section', () => {
    const types = [...Object.keys(CONTROL_CODECS), ...BATCH_TYPES, ...STORE_TYPES];
    const namesOf = (schema: number): string =>
      types
        .filter((type) => schemaOf(type) === schema)
        .map((type) => `\`${type}\``)
        .join(' and ');
    expect(Math.max(...types.map(schemaOf))).toBe(6);
    const later = [6, 5, 4, 3, 2].filter((schema) => namesOf(schema) !== '');
    const said = later.map((schema) => `${schema} of ${namesOf(schema)}`).join(', ');
    expect(DOCUMENT).toContain(`from 1; today ${said}, else 1 `);
    for (const type of types) {
      const told = /^Schema (\d+)\. /mu.exec(sectionOf(type))?.[1] ?? '1';
      expect([type, Number(told)]).toEqual([type, schemaOf(type)]);
    }
  });

  test('says the sizes of packs and batches', () => {
    expect(sectionOf('PackWritten')).toContain(
      `at most ${shown(PACK_PAGES_MAX)}, and patterns of one VM in those after them, at most ` +
        `${shown(PACK_PATTERNS_MAX)}. They lie in blocks of 1 to ${BLOCK_PAGES_MAX};`,
    );
    expect(sectionOf('PagesWritten')).toContain(
      `At most ${shown(BATCH_ROWS_MAX)} rows and ${EVENT_BYTES_MAX / 1024} KiB.`,
    );
    expect(sectionOf('PagesWritten')).toContain(`A slot is below ${shown(PACK_SLOTS)}.`);
  });

  test('has no section for an event that there is not', () => {
    const headings = [...DOCUMENT.matchAll(/^### ([A-Z][A-Za-z]+)$/gmu)].map((match) => match[1]!);
    const types = [
      ...Object.keys(CONTROL_CODECS),
      ...BATCH_TYPES,
      ...STORE_TYPES,
      ...PAGE_EVENT_TYPES,
      BASELINE_TYPE,
      BLANK_TYPE,
    ];
    expect(headings.toSorted()).toEqual(types.toSorted());
  });

  test('has every mode of a capture', () => {
    const modes = sectionOf('CaptureCommitted').split('A mode is ')[1]!;
    const told = new Set([...modes.matchAll(/`([a-z-]+)`/gu)].map((match) => match[1]!));
    expect([...told].toSorted()).toEqual(CAPTURE_MODES.toSorted());
  });

  test('names the streams as they are named', () => {
    for (const stream of [
      LEDGER_STREAM,
      vmStream('NAME'),
      pointsStream('NAME'),
      largeStream('NAME'),
      STORE_STREAM,
    ])
      expect(DOCUMENT).toContain(`| \`${stream}\``);
  });
});

describe('the record of systems', () => {
  const record = read('docs/decisions/0005-systems.md');
  const systems = record.split(/^## /mu).slice(1);

  test('tells of nine systems what each says, and what is done or not built yet', () => {
    expect(systems.map((system) => Number(system.split('.')[0]))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    for (const system of systems) {
      expect(system).toContain('**It says:**');
      expect(system).toMatch(/\*\*(?:Held by|Not built yet)\b/u);
    }
  });

  test('names files that are there', () => {
    const files = [...record.matchAll(/`((?:domain|tests|projections|adapters)\/[^`\s]+)`/gu)];
    expect(files.length).toBeGreaterThan(15);
    expect(
      files.map(([, file]) => file!).filter((file) => !existsSync(join(sourceRoot(), file))),
    ).toEqual([]);
  });
});

describe('the document of formats', () => {
  test('says the sizes of blocks and packs', () => {
    expect(FORMAT).toContain(
      `**block of pages**: 1 to ${BLOCK_PAGES_MAX} pages compressed as one, or kept raw; recording ` +
        `writes up to ${BLOCK_PAGES}, packed, compaction up to ${REWRITE_BLOCK_PAGES}, as zstd frames.`,
    );
    expect(FORMAT).toContain(
      `at most ${shown(PACK_PAGES_MAX)} contents and ${shown(PACK_PATTERNS_MAX)} patterns`,
    );
    expect(FORMAT).toContain(`format version, u32 little-endian: ${PACK_FORMAT} `);
  });

  /** Rows of the table of kinds: what they begin with, and folders of golden bytes. */
  const kinds = [
    ...FORMAT.matchAll(/^\|[^|]+\| (.+?) +\| (`[a-z-]+-\d+`(?:, `[a-z-]+-\d+`)*) +\|$/gmu),
  ];
  const namesIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/gu)].map((m) => m[1]!);

  test('lists every kind of golden bytes, and no other', () => {
    const listed = kinds.flatMap(([, , folders]) => namesIn(folders!));
    expect(listed.toSorted()).toEqual(readdirSync(GOLDEN_FOLDER).toSorted());
  });

  test('says what golden files begin with', () => {
    const whole = kinds.filter(([, begins]) => /^`[^`]+`$/u.test(begins!));
    expect(whole.length).toBeGreaterThan(8);
    for (const [, begins, folders] of whole)
      for (const folder of namesIn(folders!))
        for (const name of readdirSync(join(GOLDEN_FOLDER, folder))) {
          const file = readFileSync(join(GOLDEN_FOLDER, folder, name));
          const magic = namesIn(begins!)[0]!;
          expect([folder, file.subarray(0, magic.length).toString()]).toEqual([folder, magic]);
        }
  });
});
