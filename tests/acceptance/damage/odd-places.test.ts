// What stands in place of a ledger's files, by mistake or by malice, and what the system says of whoever
// makes them: pipes, devices, links and folders hang nobody and are not followed, what is written is its
// owner's alone, a file system without hard links will do, and a full disk is read.

import { spawnSync } from 'node:child_process';
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { fileFailure } from '../../../adapters/files/failures.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import {
  compact,
  diffOf,
  forgetPoints,
  historyOf,
  listEvents,
  listGroups,
  listPatterns,
  momentOf,
  openLedger,
  recordImages,
  restoreToFile,
  sharersOf,
  sharingOf,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../../index.ts';
import { filesFullUnder } from '../../support/spoiled/broken-files.ts';
import { COMMAND_LINE } from '../../support/command-line.ts';
import { clearCode, judge } from '../../support/spoiled/damaged-ledger.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { digestOf, restoredDigest, type Expected } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../support/long-run.ts';

const PAGES = 12;
const first = makeImage({ seed: 41, pages: PAGES });
const second = changeImage(first, { seed: 42, changedPages: 4 });
const third = changeImage(second, { seed: 43, changedPages: 3 });

let folder: TemporaryFolder;
let url: string;
const expected: Expected = new Map();
const path = (name: string): string => join(folder.path, name);

async function withOpen<A>(
  options: Parameters<typeof openLedger>[0],
  work: (ledger: Ledger) => Promise<A>,
): Promise<A> {
  const ledger = await openLedger({ threads: 0, ...options });
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

const record = async (ledger: Ledger, vm: string, file: string): Promise<number> => {
  let capture = 0;
  await recordImages(ledger, { vm, group: null }, { files: [file], timeMs: null }, (row) => {
    ({ capture } = row);
  });
  return capture;
};

/** A ledger that has a file of every kind: packs that were rewritten, an index, a checkpoint. */
async function makeLedger(at: string, files: FilePort = nodeFiles): Promise<void> {
  await withOpen({ url: at, mode: 'create', files }, async (ledger) => {
    await record(ledger, 'other', path('first.raw'));
    for (const name of ['first', 'second', 'third'])
      await record(ledger, 'guest', path(`${name}.raw`));
    await takeCheckpoint(ledger, { vm: 'guest', name: 'here', capture: 2 });
    await record(ledger, 'other', path('third.raw'));
    await forgetPoints(ledger, { vm: 'other', before: '@2' });
    await compact(ledger, { graceMs: 0, isDryRun: false });
    await historyOf(ledger, ledger.vm('guest'), 1);
  });
}

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  spawnSync('chmod', ['755', folder.path]);
  for (const [name, image] of Object.entries({ first, second, third }))
    writeFileSync(path(`${name}.raw`), image, { mode: 0o644 });
  url = path('ledger');
  await makeLedger(url);
  for (const [at, image] of [first, second, third].entries())
    expected.set(`guest@${at + 1}`, digestOf(image));
});
afterAll(() => folder.remove());

/** Every file, and every folder, below a folder, by its path in it. */
function allBelow(at: string): string[] {
  return readdirSync(at, { recursive: true, encoding: 'utf8' }).toSorted();
}

/** One file of each kind of a ledger. */
function oneOfEach(): string[] {
  const kindOf = (name: string): string =>
    name
      .replace(/^(?<folder>log\/heads|packs\/[0-9a-f]{2}|keys\/fingerprints)\/.*/u, '$<folder>')
      .replace(/^packs\/[0-9a-f]{2}$/u, 'pack')
      .replace(/\d.*$/u, 'N');
  const files = allBelow(url).filter((name) => statSync(join(url, name)).isFile());
  return [...new Map(files.map((name) => [kindOf(name), name])).values()];
}

const isRoot = process.getuid?.() === 0;
const elsewhere = (): string => path('elsewhere');

/** What may stand in place of a file, and how it gets there; `before` is the file's bytes. */
const INSTEAD: readonly (readonly [string, (at: string, before: Buffer) => void])[] = [
  ['a pipe', (at) => void spawnSync('mkfifo', [at])],
  [
    'an endless device',
    (at) => {
      if (isRoot && spawnSync('mknod', [at, 'c', '1', '5']).status === 0) return;
      symlinkSync('/dev/zero', at);
    },
  ],
  ['a link that leads nowhere', (at) => symlinkSync(join(elsewhere(), 'absent'), at)],
  [
    'a link to a file elsewhere',
    (at, before) => {
      writeFileSync(join(elsewhere(), 'file'), before);
      symlinkSync(join(elsewhere(), 'file'), at);
    },
  ],
  ['a folder', (at) => mkdirSync(at)],
];

/** Records on top: what is wrong with that. */
async function recordOnTop(at: string): Promise<string[]> {
  try {
    return await withOpen({ url: at, mode: 'write' }, async (ledger) => {
      const capture = await record(ledger, 'guest', path('first.raw'));
      const point = { vm: 'guest', at: `@${capture}`, scratch: path('scratch') };
      const digest = await restoredDigest(ledger, point);
      return digest === digestOf(first) ? [] : [`@${capture} is other memory`];
    });
  } catch (thrown) {
    return clearCode(thrown) === null ? [String((thrown as Error).stack)] : [];
  }
}

describe.each(sampleOf(INSTEAD, 3))('%s in place of a file of a ledger', (_what, put) => {
  test('hangs nobody, is not followed, and costs what is said', async () => {
    const faults: string[] = [];
    const at = path('odd');
    for (const name of sampleOf(oneOfEach(), 2)) {
      rmSync(at, { recursive: true, force: true });
      rmSync(elsewhere(), { recursive: true, force: true });
      mkdirSync(elsewhere());
      cpSync(url, at, { recursive: true });
      const file = join(at, name);
      const before = readFileSync(file);
      rmSync(file);
      put(file, before);
      const kind = lstatSync(file).mode & 0o170000;
      const derived = name.startsWith('log/') ? 'helps' : 'kept';
      const judged = await judge({ url: at, expected, scratch: path('scratch'), derived });
      faults.push(
        ...[...judged.faults, ...(await recordOnTop(at))].map((each) => `${name}: ${each}`),
      );
      if (existsSync(join(elsewhere(), 'absent')))
        faults.push(`${name}: a file was made elsewhere`);
      const isLinked = existsSync(join(elsewhere(), 'file'));
      if (isLinked && !readFileSync(join(elsewhere(), 'file')).equals(before))
        faults.push(`${name}: the file elsewhere was written to`);
      const now = lstatSync(file, { throwIfNoEntry: false });
      const isDerived = /^(?:projections|locks|keys\/fingerprints)\//u.test(name);
      if (now !== undefined && (now.mode & 0o170000) !== kind && !isDerived)
        faults.push(`${name}: something else is in its place now`);
    }
    expect(faults).toEqual([]);
  });
});

/** Permissions below a folder that are not their owner's alone. */
function openTo(at: string): string[] {
  return ['.', ...allBelow(at)].flatMap((name) => {
    const stats = lstatSync(join(at, name));
    const wanted = stats.isDirectory() ? 0o700 : 0o600;
    const found = stats.mode & 0o7777;
    return found === wanted ? [] : [`${name}: ${found.toString(8)}`];
  });
}

describe('whatever the umask', () => {
  test.each(sampleOf(['000', '022', '077', '777'], 3))(
    '%s: what is made is its owner alone to read and write',
    async (umask) => {
      const at = path(`umask-${umask}`);
      const restored = path(`umask-${umask}.restored`);
      const before = process.umask(Number.parseInt(umask, 8));
      try {
        await makeLedger(at);
        await withOpen({ url: at, mode: 'read' }, async (ledger) => {
          const entry = ledger.vm('guest');
          const target = { path: restored, isForced: false, format: 'raw' as const };
          await restoreToFile(ledger, { entry, row: ledger.resolve(entry, '@1') }, target);
        });
      } finally {
        process.umask(before);
      }
      expect(openTo(at)).toEqual([]);
      expect(statSync(restored).mode & 0o7777).toBe(0o600);
      expect(digestOf(readFileSync(restored))).toBe(digestOf(first));
    },
  );
});

const NOBODY = 65_534;

/** Runs a command, as root or as somebody else, under a umask. */
function runAs(uid: number, ledger: string, words: readonly string[], umask = '022') {
  const under = ['-c', `umask ${umask}; exec "$@"`, 'sh', process.execPath, COMMAND_LINE];
  const { status, stderr } = spawnSync('sh', [...under, '--ledger', ledger, ...words], {
    encoding: 'utf8',
    uid,
    gid: uid,
    env: { ...process.env, HOME: '/nonexistent' },
  });
  return { words: words[0], status, stderr };
}

(isRoot ? describe : describe.skip)('a ledger of somebody else (needs root)', () => {
  test('that root used once is still its owner to use', () => {
    const theirs = path('theirs');
    mkdirSync(theirs);
    chownSync(theirs, NOBODY, NOBODY);
    const at = join(theirs, 'ledger');
    const recordOf = (name: string): string[] => ['record', 'image', '--vm', 'guest', path(name)];
    const done = [
      runAs(NOBODY, at, ['init']),
      runAs(NOBODY, at, recordOf('first.raw')),
      runAs(0, at, recordOf('second.raw')),
      runAs(0, at, ['checkpoint', '--vm', 'guest', '--name', 'root', '--at', '@2']),
      runAs(NOBODY, at, recordOf('third.raw')),
      runAs(NOBODY, at, ['forget', '--vm', 'guest', '--keep-last', '1']),
      runAs(NOBODY, at, ['compact', '--grace', '0s']),
      runAs(NOBODY, at, ['verify']),
    ];
    expect(done.filter(({ status, stderr }) => status !== 0 || stderr !== '')).toEqual([]);
    const owners = allBelow(at).map((name) => lstatSync(join(at, name)).uid);
    expect([...new Set(owners)]).toEqual([NOBODY]);
    expect(openTo(at)).toEqual([]);
  });

  test('is theirs to use, also if their umask takes everything away', () => {
    const mine = path('umask-of-another');
    mkdirSync(mine);
    chownSync(mine, NOBODY, NOBODY);
    const at = join(mine, 'ledger');
    const done = [
      ['init'],
      ['record', 'image', '--vm', 'guest', path('first.raw')],
      ['restore', '--vm', 'guest', '--to', join(mine, 'restored')],
      ['verify'],
    ].map((words) => runAs(NOBODY, at, words, '777'));
    expect(done.filter(({ status, stderr }) => status !== 0 || stderr !== '')).toEqual([]);
    expect(openTo(at)).toEqual([]);
  });
});

describe('a file system', () => {
  test.each(sampleOf(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'], 4))(
    'without hard links (%s) holds a ledger',
    async (code) => {
      const at = path(`linkless-${code}`);
      const files: FilePort = {
        ...nodeFiles,
        link: (_source, target) =>
          Promise.reject(fileFailure({ code }, { operation: 'link a file to', path: target })),
      };
      await makeLedger(at, files);
      const judged = await judge({ url: at, expected, scratch: path('scratch'), derived: 'kept' });
      expect(judged).toMatchObject({ faults: [], findings: [], refusal: null });
      expect(openTo(at)).toEqual([]);
    },
  );

  test('that is full is read, also without anything derived, and restored from to another', async () => {
    const at = path('full');
    cpSync(url, at, { recursive: true });
    const full = filesFullUnder(at);
    const restored = path('from-full');
    const at1 = (ledger: Ledger) => {
      const entry = ledger.vm('guest');
      return { entry, row: ledger.resolve(entry, '@1') };
    };
    const latest = (ledger: Ledger) => momentOf(ledger, 'latest');
    const questions: readonly (readonly [string, (ledger: Ledger) => Promise<unknown>])[] = [
      [
        'log',
        (ledger) =>
          listEvents(ledger, { vm: null, type: null, from: null, to: null, isExpanded: true }, () =>
            Promise.resolve(),
          ),
      ],
      ['history', (ledger) => historyOf(ledger, ledger.vm('guest'), 1)],
      ['who', (ledger) => sharersOf(ledger, { ...at1(ledger), gfn: 1 }, latest(ledger))],
      ['sharing', (ledger) => sharingOf(ledger, { ...latest(ledger), vm: null })],
      [
        'diff',
        async (ledger) => {
          const { entry, row } = at1(ledger);
          const b = { entry, row: ledger.resolve(entry, '@3') };
          let pages = 0;
          for await (const some of diffOf(ledger, { a: { entry, row }, b, withBytes: true }))
            pages += some.length;
          expect(pages).toBeGreaterThan(0);
        },
      ],
      ['groups', (ledger) => listGroups(ledger)],
      ['patterns', (ledger) => Promise.resolve(listPatterns(ledger))],
      ['verify', (ledger) => verify(ledger, () => undefined)],
      [
        'restore',
        async (ledger) => {
          const entry = ledger.vm('guest');
          const row = ledger.resolve(entry, 'cp:here');
          const target = { path: restored, isForced: true, format: 'raw' as const };
          await restoreToFile(ledger, { entry, row }, target);
        },
      ],
    ];
    for (const [name, ask] of questions) {
      rmSync(join(at, 'projections'), { recursive: true, force: true });
      await withOpen({ url: at, mode: 'read', files: full }, ask).catch((thrown: unknown) => {
        throw new Error(`${name}: ${String((thrown as Error).stack)}`);
      });
      expect(existsSync(join(at, 'projections', 'catalogue'))).toBe(false);
    }
    expect(digestOf(readFileSync(restored))).toBe(digestOf(second));
  });
});
