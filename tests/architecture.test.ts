// The house's own checks (docs/architecture.md): which folder may import which, what must not be
// left lying about, and that the error codes and their documentation are one list. Sources are read
// as text, so a type import counts as any other.

import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { LEDGER_ERRORS, type FailureKind } from '../domain/values/ledger-error.ts';
import { REFUSAL_ERRORS } from '../domain/values/refusals.ts';
import { documentedErrors, documentedKinds, foldersDrawn } from './support/sources/documents.ts';
import { exportsOf, reExportsOf, timesIn } from './support/sources/source-exports.ts';
import {
  circleIn,
  filesImportedBy,
  importsOf,
  type Import,
} from './support/sources/source-imports.ts';

/** The checkout's root: the nearest folder above with a package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!readdirSync(folder).includes('package.json')) folder = dirname(folder);
  return folder;
}

const ROOT = findRoot();
const ROOMS = ['domain', 'projections', 'adapters', 'tests'];
/** AssemblyScript: another language, another module system. */
const NOT_TYPESCRIPT = 'adapters/kernels/assembly/';

function sourceFiles(): string[] {
  const inRooms = ROOMS.flatMap((room) =>
    readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' }).map((name) =>
      posix.join(room, name),
    ),
  );
  const atRoot = readdirSync(ROOT);
  return [...atRoot, ...inRooms]
    .filter((file) => file.endsWith('.ts') && !file.startsWith(NOT_TYPESCRIPT))
    .toSorted();
}

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** The folder that rules are about: a room, or one of the rooms inside adapters, or the root. */
function roomOf(file: string): string {
  const [room, inner, ...rest] = file.split('/');
  if (inner === undefined) return 'root';
  return room === 'adapters' && rest.length > 0 ? `adapters/${inner}` : room!;
}

/** Folders of this project that each folder may import beside itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  projections: ['domain'],
  'adapters/files': ['domain'],
  'adapters/kernels': ['domain', 'adapters/files'],
  'adapters/stores': ['domain', 'projections', 'adapters/files', 'adapters/kernels'],
  'adapters/guests': ['domain', 'adapters/files', 'adapters/kernels'],
  'adapters/wiring': [
    'domain',
    'projections',
    'adapters/files',
    'adapters/kernels',
    'adapters/stores',
    'adapters/guests',
  ],
  'adapters/faces': ['domain', 'projections', 'adapters/wiring'],
  root: ['domain', 'projections', 'adapters/wiring'],
};

const COMMANDS = 'adapters/faces/cli/commands';
/** What the list of commands (commands.ts) takes of each file, whatever the file. */
const OF_A_COMMAND = ['declare', 'run', 'goesOnUnread'];

/** Exports that only tests use, and why they are there all the same. */
const FOR_TESTS: Readonly<Record<string, string>> = {
  'adapters/faces/cli/run.ts: ended': 'one process answers many commands of the tests',
  'adapters/guests/demo-guest/tools.ts: toolsAtHand': 'benches fetch nothing',
  'adapters/wiring/verify/losses.ts: tellFound': 'said by who repairs a ledger',
  'domain/invariants.ts: miscountedHolder': 'asked of whole ledgers, which no command does',
  'domain/invariants.ts: repeatedIn': 'asked of whole ledgers, which no command does',
  'domain/host-memory.ts: sourceOf': 'the rule in words, which the ranges are held against',
  'domain/sharing.ts: decidePageWrite': 'the rule in words, which the columns are held against',
  'domain/sharing.ts: evolvePages': 'the rule in words, which the columns are held against',
  'domain/values/refusals.ts: REFUSAL_ERRORS': 'docs/errors.md is held against it',
  'domain/migrations.ts: runnerOf': 'hosts are held against it, whatever fails',
};

/** Where all storage goes through the file port (adapters/files), but for what is no storage. */
const THROUGH_PORT = ['adapters/stores', 'adapters/wiring'];
const NO_STORAGE = [
  // Makes images of guests that are to be recorded, as a user would.
  'adapters/wiring/demo.ts',
];
const FILE_MODULES = ['node:fs', 'node:fs/promises'];

const PURE_LIBRARIES = ['fp-ts', 'io-ts'];
const OBSERVABLE = 'projections/observable.ts';

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

function refusedLibrary(file: string, found: Import, shipped: readonly string[]): string | null {
  const room = roomOf(file);
  const isPure = room === 'domain' || room === 'projections';
  if (FILE_MODULES.includes(found.specifier) && THROUGH_PORT.includes(room))
    return NO_STORAGE.includes(file) ? null : `${room} stores through adapters/files alone`;
  if (found.specifier.startsWith('node:')) return isPure ? `${room} imports no node: module` : null;
  const name = packageOf(found.specifier);
  if (name === 'rxjs') {
    if (file === OBSERVABLE || (found.typeOnly && room !== 'domain')) return null;
    return `only ${OBSERVABLE} imports rxjs`;
  }
  if (isPure && !PURE_LIBRARIES.includes(name)) return `${room} imports no ${name}`;
  return shipped.includes(name) ? null : `${name} is not among the dependencies that are shipped`;
}

/** Why this file may not import that, or null. */
function refusal(file: string, found: Import, shipped: readonly string[]): string | null {
  const room = roomOf(file);
  if (room === 'tests') return null;
  if (!found.specifier.startsWith('.')) return refusedLibrary(file, found, shipped);
  const target = posix.join(posix.dirname(file), found.specifier);
  const targetRoom = roomOf(target);
  if (targetRoom === room || target === 'package.json') return null;
  const allowed = MAY_IMPORT[room];
  if (allowed === undefined) return `${room} is no folder of this house`;
  return allowed.includes(targetRoom) ? null : `${room} imports nothing from ${targetRoom}`;
}

const SHIPPED = Object.keys(
  (JSON.parse(read('package.json')) as { dependencies: Record<string, string> }).dependencies,
);

function importFindings(file: string, text: string): string[] {
  return importsOf(text).flatMap((found) => {
    const why = refusal(file, found, SHIPPED);
    return why === null ? [] : [`${file}: '${found.specifier}': ${why}`];
  });
}

/**
 * Functions, constants and classes that product files export and no product code uses, as `file: name`.
 * Types are left out: an interface may be there to say what a function takes.
 */
function unusedExports(files: readonly string[]): string[] {
  const sources = files.filter((file) => roomOf(file) !== 'tests');
  const texts = new Map(sources.map((file) => [file, read(file)]));
  const users = new Map<string, string[]>();
  for (const [file, text] of texts)
    for (const imported of filesImportedBy(file, text))
      users.set(imported, [...(users.get(imported) ?? []), text]);
  return [...texts].flatMap(([file, text]) =>
    exportsOf(text)
      .filter(({ name, isType }) => !isType && timesIn(text, name) === 1)
      .filter(({ name }) => !(users.get(file) ?? []).some((user) => timesIn(user, name) > 0))
      .filter(({ name }) => !file.startsWith(COMMANDS) || !OF_A_COMMAND.includes(name))
      .map(({ name }) => `${file}: ${name}`),
  );
}

/** What a face reaches for behind a ledger's back: its parts are not the face's business. */
const BEHIND_A_LEDGER =
  /\bledger\.(?:state|column|log|store|replay|keys|files|stateFiles|local)\b|\bledger\.\w+\.\w/u;
const FACES = 'adapters/faces/';

function reachFindings(file: string, text: string): string[] {
  if (!file.startsWith(FACES)) return [];
  return text
    .split('\n')
    .flatMap((line, i) => (BEHIND_A_LEDGER.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []));
}

// Written so that this line does not hold what it looks for.
const MARKERS = /\b(?:T[O]DO|FIX[M]E|X[X]X)\b|\.onl[y]\(/u;

function markerFindings(file: string, text: string): string[] {
  return text
    .split('\n')
    .flatMap((line, i) => (MARKERS.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []));
}

const NO_NOUNS = /(?:^|\/)(?:utils?|helpers?|common|types|misc)(?:\.[a-z.]+)?(?:\/|$)/u;
const KEBAB_CASE = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:[-.][a-z0-9]+)*\.ts$/u;

function nameFinding(file: string): string[] {
  if (NO_NOUNS.test(file)) return [`${file}: named after no noun of the field`];
  return KEBAB_CASE.test(file) ? [] : [`${file}: not in kebab-case`];
}

/** A room's folders that hold something, at whatever depth, and the room itself. */
function foldersOf(room: string): string[] {
  const folders = new Set([room]);
  for (const entry of readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })) {
    let folder = posix.relative(ROOT, entry.parentPath);
    if (!entry.isFile()) continue;
    for (; folder !== room; folder = posix.dirname(folder)) folders.add(folder);
  }
  return [...folders];
}

describe('the house', () => {
  const files = sourceFiles();

  test('has sources in every room that the checks read', () => {
    expect(files).toContain('domain/values/ledger-error.ts');
    expect(files).toContain('tests/architecture.test.ts');
    expect(files.some((file) => file.startsWith('adapters/'))).toBe(true);
  });

  test('lets a folder import only what it may', () => {
    expect(files.flatMap((file) => importFindings(file, read(file)))).toEqual([]);
  });

  test('has no circle of imports, inside rooms too', () => {
    const sources = files.filter((file) => roomOf(file) !== 'tests');
    const imports = sources.map((file) => [file, filesImportedBy(file, read(file))] as const);
    expect(circleIn(new Map(imports))).toBeNull();
  });

  test('asks nowhere whether its files are those of a test', () => {
    const asks = /[!=]== nodeFiles|nodeFiles [!=]==/u;
    const sources = files.filter((file) => roomOf(file) !== 'tests');
    expect(sources.filter((file) => asks.test(read(file)))).toEqual([]);
  });

  test('has nothing at its root but the public API, every export of it by name', () => {
    expect(files.filter((file) => roomOf(file) === 'root')).toEqual(['index.ts']);
    expect(read('index.ts')).not.toMatch(/export \*/u);
  });

  test('says of everything public, where it is defined, what it promises', () => {
    const undocumented = reExportsOf('index.ts', read('index.ts')).filter(
      ({ name, from }) =>
        !exportsOf(read(from)).some((each) => each.name === name && each.isDocumented),
    );
    expect(undocumented).toEqual([]);
  });

  test('exports nothing that only tests use', () => {
    expect(unusedExports(files).filter((name) => !(name in FOR_TESTS))).toEqual([]);
  });

  test('asks a ledger in its faces, and reaches for nothing behind it', () => {
    expect(files.flatMap((file) => reachFindings(file, read(file)))).toEqual([]);
  });

  test('has an example of each command (adapters/faces/cli/examples.ts)', () => {
    const names = [...read('adapters/faces/cli/commands.ts').matchAll(/^ {2}line\('([^']+)'/gmu)];
    const examples = read('adapters/faces/cli/examples.ts');
    const without = names
      .map(([, name]) => name!)
      .filter(
        (name) => !examples.includes(`\n  ${name}: [`) && !examples.includes(`\n  '${name}': [`),
      );
    expect([names.length > 40, without]).toEqual([true, []]);
  });

  test('has a line in the list of commands for each command file', () => {
    const listed = [...read(`${COMMANDS}.ts`).matchAll(/import\('\.\/commands\/([^']+)'\)/gu)];
    const names = listed.map((match) => match[1]!).toSorted();
    expect(names).toEqual(readdirSync(join(ROOT, COMMANDS)).toSorted());
  });

  test('has no leftover markers', () => {
    expect(files.flatMap((file) => markerFindings(file, read(file)))).toEqual([]);
  });

  test('names files after nouns, in kebab-case', () => {
    expect(files.flatMap(nameFinding)).toEqual([]);
  });

  test('is laid out as docs/architecture.md draws it', () => {
    const drawing = /^```\n(domain\/[^`]*)^```$/mu.exec(read('docs/architecture.md'))?.[1] ?? '';
    const drawn = foldersDrawn(drawing).filter((folder) => folder !== 'tests');
    const there = ROOMS.filter((room) => room !== 'tests').flatMap(foldersOf);
    expect(drawn.toSorted()).toEqual(there.toSorted());
  });

  test('documents every error and refusal, and only those, with exit code and advice', () => {
    const text = read('docs/errors.md');
    const exits = documentedKinds(text);
    const known = [...Object.entries(LEDGER_ERRORS), ...Object.entries(REFUSAL_ERRORS)];
    expect(documentedErrors(text)).toEqual(
      known.map(([code, { kind, advice }]) => ({ code, exit: exits.get(kind), advice })),
    );
    const kinds: readonly FailureKind[] = ['failed', 'usage', 'damage', 'busy', 'absent', 'away'];
    expect([...exits.keys()]).toEqual(kinds);
  });
});

describe('the checks themselves', () => {
  test.each([
    ['domain/page.ts', `import { x } from '../projections/x.ts';`],
    ['domain/page.ts', `import type { X } from '../adapters/files/x.ts';`],
    ['domain/use-cases/record.ts', `import type { X } from '../../adapters/files/x.ts';`],
    ['domain/page.ts', `import { readFile } from 'node:fs';`],
    ['domain/page.ts', `import type { Observable } from 'rxjs';`],
    ['projections/index.ts', `import { scan } from 'rxjs/operators';`],
    ['projections/index.ts', `import { Command } from 'commander';`],
    ['adapters/stores/a.ts', `export * from '../guests/b.ts';`],
    ['adapters/stores/a/b.ts', `const b = await import('../../faces/b.ts');`],
    ['adapters/faces/cli/main.ts', `import {\n  a,\n  b,\n} from '../../stores/a.ts';`],
    ['adapters/faces/cli/main.ts', `import { a } from '../../../index.ts';`],
    ['adapters/wiring/a.ts', `import { a } from '../faces/cli/a.ts';`],
    ['adapters/guests/a.ts', `import { a } from '../wiring/a.ts';`],
    ['adapters/faces/cli/main.ts', `import '../../guests/b.ts';`],
    ['adapters/files/a.ts', `import { a } from '../kernels/a.ts';`],
    ['adapters/stores/a.ts', `import { a } from '../../index.ts';`],
    ['adapters/stores/a.ts', `import { a } from '../../tests/support/a.ts';`],
    ['adapters/stores/a/b.ts', `import { readSync } from 'node:fs';`],
    ['adapters/wiring/a.ts', `import { readFile } from 'node:fs/promises';`],
    ['adapters/stores/a.ts', `import fc from 'fast-check';`],
    ['index.ts', `import { a } from './adapters/faces/cli/a.ts';`],
    ['index.ts', `export { a } from './adapters/guests/a.ts';`],
  ])('find the planted import in %s: %s', (file, text) => {
    expect(importFindings(file, text)).toHaveLength(1);
  });

  test.each([
    ['domain/use-cases/record.ts', `import type { X } from '../events.ts';`],
    ['domain/page.ts', `import { pipe } from 'fp-ts/lib/function.js';`],
    ['domain/page.ts', `// import { x } from '../projections/x.ts';`],
    [OBSERVABLE, `import { Observable } from 'rxjs';`],
    ['adapters/stores/a/b.ts', `import { join } from 'node:path';\nimport { c } from '../c.ts';`],
    ['adapters/files/a.ts', `import { readSync } from 'node:fs';`],
    ['adapters/stores/a.ts', `import { files } from '../files/files.ts';`],
    ['adapters/faces/cli/main.ts', `import { open } from '../../wiring/open-ledger.ts';`],
    ['adapters/wiring/a.ts', `import { a } from '../guests/a.ts';`],
    ['index.ts', `export { a } from './adapters/wiring/a.ts';`],
  ])('let the import in %s be: %s', (file, text) => {
    expect(importFindings(file, text)).toEqual([]);
  });

  test('find a circle, and none where ways only meet', () => {
    const meeting = new Map([
      ['a', ['b', 'c']],
      ['b', ['d']],
      ['c', ['d']],
    ]);
    expect(circleIn(meeting)).toBeNull();
    expect(circleIn(new Map([...meeting, ['d', ['c']]]))).toEqual(['d', 'c', 'd']);
  });

  test('find what is exported and used nowhere, and what is public and undocumented', () => {
    const text =
      '/** A. */\nexport const a = 1;\nexport async function b() {}\nexport interface C {}\n';
    expect(exportsOf(text)).toEqual([
      { name: 'a', isDocumented: true, isType: false },
      { name: 'b', isDocumented: false, isType: false },
      { name: 'C', isDocumented: false, isType: true },
    ]);
    const index = "export { a, type B } from './x/y.ts';\nexport type { C } from './z.ts';\n";
    expect(reExportsOf('index.ts', index)).toEqual([
      { name: 'a', from: 'x/y.ts' },
      { name: 'B', from: 'x/y.ts' },
      { name: 'C', from: 'z.ts' },
    ]);
    expect(timesIn('// ab\n/** ab */\nab(abc, ab); // ab', 'ab')).toBe(3);
    expect(timesIn('a$(1); ba$', 'a$')).toBe(1);
  });

  test('find a face that reaches behind a ledger', () => {
    const face = 'adapters/faces/cli/a.ts';
    expect(reachFindings(face, 'const { vms } = ledger.state;')).toHaveLength(1);
    expect(reachFindings(face, 'return ledger.views.vms;')).toHaveLength(1);
    expect(reachFindings(face, 'return ledger.vms().map((vm) => row(vm));')).toEqual([]);
    expect(reachFindings('adapters/wiring/a.ts', 'ledger.state')).toEqual([]);
  });

  test('find a marker, and no word that only looks like one', () => {
    const [later, alone] = [['TO', 'DO'].join(''), ['on', 'ly'].join('')];
    expect(markerFindings('a.ts', `ok\n// ${later}: later`)).toHaveLength(1);
    expect(markerFindings('a.ts', `test.${alone}('x', f)`)).toHaveLength(1);
    expect(markerFindings('a.ts', `mkdtemp('${later}${later}'); read${alone}(x)`)).toEqual([]);
  });

  test.each(['domain/utils.ts', 'domain/helpers/a.ts', 'domain/types.ts', 'domain/pageTable.ts'])(
    'refuse the name %s',
    (file) => {
      expect(nameFinding(file)).toHaveLength(1);
    },
  );

  test('read folders, side by side too, and no prose, out of a drawn tree', () => {
    const drawing = 'a/     of b/ and c/\n  b/   x\n    c/  d/\n  e/\n       x/ y\nf.ts\ng/';
    expect(foldersDrawn(drawing)).toEqual(['a', 'a/b', 'a/b/c', 'a/b/d', 'a/e', 'g']);
  });

  test('read the codes out of the table and nowhere else', () => {
    const text = 'see `DISK_FULL`\n| `IO_FAILED` | 6 | x | Do y. |\n|---|\n';
    expect(documentedErrors(text)).toEqual([{ code: 'IO_FAILED', exit: 6, advice: 'Do y.' }]);
  });
});
