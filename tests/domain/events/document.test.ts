// docs/events.md is what others read the log by, so it says what the sources say: every event with
// its fields, and the byte layouts line by line.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import {
  BATCH_TYPES,
  CONTROL_CODECS,
  PAGE_EVENT_TYPES,
  STORE_TYPES,
} from '../../../domain/events/control.ts';
import {
  LEDGER_STREAM,
  pointsStream,
  STORE_STREAM,
  vmStream,
} from '../../../domain/events/streams.ts';

/** The checkout's root: the nearest folder above with a package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

const read = (file: string): string => readFileSync(join(findRoot(), file), 'utf8');
const DOCUMENT = read('docs/events.md');

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
    ['domain/events/pages-written.ts', 15],
    ['domain/events/pack-written.ts', 12],
    ['domain/events/patches.ts', 6],
    ['domain/events/pack-rewritten.ts', 14],
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

  test('has no section for an event that there is not', () => {
    const headings = [...DOCUMENT.matchAll(/^### ([A-Z][A-Za-z]+)$/gmu)].map((match) => match[1]!);
    const types = [
      ...Object.keys(CONTROL_CODECS),
      ...BATCH_TYPES,
      ...STORE_TYPES,
      ...PAGE_EVENT_TYPES,
    ];
    expect(headings.toSorted()).toEqual(types.toSorted());
  });

  test('names the streams as they are named', () => {
    for (const stream of [LEDGER_STREAM, vmStream('NAME'), pointsStream('NAME'), STORE_STREAM])
      expect(DOCUMENT).toContain(`| \`${stream}\``);
  });
});
