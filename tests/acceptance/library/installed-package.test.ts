// The package as its users get it: packed, installed into an empty folder, and run there.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { imageSeries } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../support/long-run.ts';

/** The build that this test belongs to, and the package around it. */
const BUILD = fileURLToPath(new URL('../../..', import.meta.url));
const PACKAGE = dirname(BUILD.replace(/\/$/u, ''));
const PROGRAM = (
  JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as {
    bin: { pageledger: string };
  }
).bin.pageledger.replace('./', '');
const INSTALL_MS = 300_000;
const LONG_MS = 300_000;

function run(command: string, words: readonly string[], cwd: string): string {
  const done = spawnSync(command, words, { cwd, encoding: 'utf8', timeout: INSTALL_MS });
  if (done.status !== 0)
    throw new TypeError(
      `${command} ${words.join(' ')}: ${done.error?.message ?? ''} exit ${done.status}: ${done.stderr}`,
    );
  return done.stdout;
}

/** The compilers that programs may have. */
const COMPILERS = sampleOf(['typescript', 'typescript-5.9'], 2).map((name) =>
  join(PACKAGE, 'node_modules', name, 'bin', 'tsc'),
);

/** What a package may hold. */
const OURS = /^(?:dist\/|docs\/|examples\/|package\.json|README|CHANGELOG|LICENSE)/u;

describe('the package', () => {
  const images = [...imageSeries({ seed: 1, pages: 200, captures: 3, changedPages: 20 })];
  let folder: TemporaryFolder;
  let installed: string;
  let files: string[];
  let packed: string[];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const source = join(folder.path, 'source');
    installed = join(folder.path, 'installed');
    for (const path of [source, installed]) mkdirSync(path);
    const beside = ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'docs', 'examples'];
    for (const name of beside)
      if (existsSync(join(PACKAGE, name)))
        cpSync(join(PACKAGE, name), join(source, name), { recursive: true });
    cpSync(BUILD, join(source, 'dist'), { recursive: true });
    // As it stands built: the scripts of the package are for those who have its sources.
    const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder.path];
    const [tarball] = JSON.parse(run('npm', words, source)) as [
      { filename: string; files: { path: string }[] },
    ];
    packed = tarball.files.map(({ path }) => path);
    writeFileSync(join(installed, 'package.json'), '{ "private": true, "type": "module" }');
    const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'];
    run('npm', ['install', ...quiet, join(folder.path, tarball.filename)], installed);
    files = writeImages({ folder: installed, name: 'image', images });
  }, INSTALL_MS);
  afterAll(() => folder.remove());

  test('holds what runs, documents and examples, and no tests and no sources', () => {
    for (const path of [
      'package.json',
      'dist/index.js',
      'dist/index.d.ts',
      PROGRAM,
      'dist/adapters/kernels/kernels.wasm',
      'dist/adapters/kernels/engine/page-worker.js',
      'docs/errors.md',
      'examples/subscriber/read_events.py',
    ])
      expect(packed).toContain(path);
    expect(packed.filter((path) => path.includes('tests/'))).toEqual([]);
    const sources = packed.filter((path) => /\.[cm]?ts$/u.test(path) && !path.endsWith('.d.ts'));
    expect(sources).toEqual([]);
    expect(packed.filter((path) => path.endsWith('.tsbuildinfo'))).toEqual([]);
    expect(packed.filter((path) => !OURS.test(path))).toEqual([]);
  });

  test('needs at run time only what it says', () => {
    const { dependencies } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const modules = readdirSync(join(installed, 'node_modules'));
    for (const name of Object.keys(dependencies)) expect(modules).toContain(name.split('/')[0]);
    for (const name of ['jest', 'typescript', 'fast-check', 'assemblyscript'])
      expect(modules).not.toContain(name);
  });

  test(
    'runs as a command',
    () => {
      const pageledger = (...words: string[]): string =>
        run('npx', ['pageledger', ...words], installed);
      expect(pageledger('--help')).toMatch(/^Usage: pageledger/u);
      const rows = pageledger('--json', 'record', 'image', '--init', '--vm', 'vm', ...files)
        .trim()
        .split('\n');
      expect(rows).toHaveLength(files.length + 1);
      pageledger('restore', '--vm', 'vm', '--at', '@2', '--to', 'back');
      expect(readFileSync(join(installed, 'back')).equals(images[1]!)).toBe(true);
      // The ledger is where nothing else is said.
      expect(existsSync(join(installed, '.pageledger'))).toBe(true);
      expect(pageledger('--json', 'verify')).toContain('"damaged":0');
    },
    LONG_MS,
  );

  test(
    'is a library, with worker threads',
    () => {
      const script = `
      import { openLedger, recordImages, restoreToFile, LedgerError } from 'pageledger';
      const ledger = await openLedger({ url: 'library', mode: 'create', threads: 2 });
      const files = process.argv.slice(2);
      await recordImages(ledger, { vm: 'vm', group: null }, { files, timeMs: null }, (row) =>
        console.log(row.capture, row.written),
      );
      const entry = ledger.vm('vm');
      const row = ledger.resolve(entry, '@1');
      const to = { path: 'library.raw', format: 'raw', isForced: false };
      await restoreToFile(ledger, { entry, row }, to);
      await ledger.close();
      await openLedger({ url: 'nowhere', mode: 'read' }).catch((error) =>
        console.log(error instanceof LedgerError, error.code),
      );
    `;
      writeFileSync(join(installed, 'script.js'), script);
      const printed = run('node', ['script.js', ...files], installed)
        .trim()
        .split('\n');
      expect(printed).toEqual(['1 200', '2 20', '3 20', 'true NOT_FOUND']);
      expect(readFileSync(join(installed, 'library.raw')).equals(images[0]!)).toBe(true);
    },
    LONG_MS,
  );

  test(
    'has types that a TypeScript program can be written against',
    () => {
      const program = `
      import { openLedger, type Ledger } from 'pageledger';
      const ledger: Ledger = await openLedger({ url: 'typed', mode: 'create' });
      const captures: number = ledger.vm('vm').captures.length;
      // @ts-expect-error a mode that there is not
      await openLedger({ url: 'typed', mode: 'append' });
      export { captures };
    `;
      writeFileSync(join(installed, 'program.ts'), program);
      const strict = ['--strict', '--noEmit', '--skipLibCheck', '--target', 'es2023'];
      const how = [...strict, '--module', 'nodenext', '--types', 'node'];
      const types = ['--typeRoots', join(PACKAGE, 'node_modules', '@types')];
      for (const compiler of COMPILERS)
        expect(run('node', [compiler, ...how, ...types, 'program.ts'], installed)).toBe('');
    },
    LONG_MS,
  );

  test(
    'does what docs/library.md says, in the order of the page',
    () => {
      const document = readFileSync(join(PACKAGE, 'docs', 'library.md'), 'utf8');
      const told = [...document.matchAll(/^```ts\n(.*?)^```\n\n```\n(.*?)^```$/gmsu)];
      expect(told).toHaveLength(6);
      const place = join(installed, 'documented');
      mkdirSync(place);
      writeFileSync(join(place, 'package.json'), '{ "type": "module" }');
      for (const [i, [, program]] of told.entries())
        writeFileSync(join(place, `example-${i}.ts`), program!);
      const how = ['--strict', '--skipLibCheck', '--target', 'es2023', '--module', 'nodenext'];
      const types = ['--types', 'node', '--typeRoots', join(PACKAGE, 'node_modules', '@types')];
      const programs = told.map((_, i) => `example-${i}.ts`);
      // The last one's are run.
      for (const compiler of COMPILERS)
        expect(run('node', [compiler, ...how, ...types, ...programs], place)).toBe('');
      for (const [i, [, , printed]] of told.entries())
        expect([i, run('node', [`example-${i}.js`], place)]).toEqual([i, printed]);
    },
    LONG_MS,
  );
});
