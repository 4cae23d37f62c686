// A ledger copied into another folder: the same memory at every point, also
// where the copy was interrupted, and nothing overwritten where the target is something else. Copies
// from and to servers are in shared-ledger.test.ts.

import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  copyLedger,
  fingerprint,
  isLedgerError,
  openLedger,
  takeCheckpoint,
  verify,
  type Copied,
} from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { imageSeries } from '../../support/images.ts';
import {
  answersOf,
  eventsOf,
  recordFiles,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const KILLS = Number(process.env['PAGELEDGER_KILLS'] ?? 1);
const LONG_MS = 300_000 + KILLS * 5000;

let folder: TemporaryFolder;
let source: string;
let files: string[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  source = join(folder.path, 'source');
  const images = imageSeries({ seed: 3, pages: 300, captures: 4, changedPages: 60 });
  files = writeImages({ folder: folder.path, name: 'image', images });
  await withLedger({ url: source, mode: 'create' }, async (ledger) => {
    await recordFiles(ledger, { vm: 'red', files: files.slice(0, 3) });
    await recordFiles(ledger, { vm: 'green', files: files.slice(1) });
    await recordFiles(ledger, { vm: 'blue', files: files.slice(0, 1), group: 'apart' });
    await takeCheckpoint(ledger, { vm: 'red', name: 'before', capture: 2 });
  });
});

afterAll(() => folder.remove());

/** Copies through the library. */
async function copied(from: string, to: string): Promise<Copied> {
  return withLedger({ url: from, mode: 'read' }, (original) =>
    withLedger({ url: to, mode: 'create' }, (target) => copyLedger({ from: original, to: target })),
  );
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (thrown) {
    if (isLedgerError(thrown)) return thrown.code;
    throw thrown;
  }
  return 'none';
}

const answers = (url: string) =>
  withLedger({ url, mode: 'read' }, async (ledger) => {
    const { events: _events, ...rest } = await answersOf(ledger, [0, 5, 299]);
    // What the log's own files take is theirs, positions in them too, and keys are not copied.
    const ofTheLog = ['logBytes', 'position', 'fromPosition', 'withoutKey'];
    const text = JSON.stringify(rest, (name, value: unknown) => {
      if (ofTheLog.includes(name)) return null;
      return typeof value === 'bigint' ? String(value) : value;
    });
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  });

describe('a copy', () => {
  test(
    'answers everything as the original, event by event, and has an id of its own',
    async () => {
      const to = join(folder.path, 'whole');
      const { events, packs, fingerprint: print } = await copied(source, to);
      const of = { url: source, mode: 'read' } as const;
      const rows = await withLedger(of, (ledger) => eventsOf(ledger));
      expect(events).toBe(rows.length - 1);
      const entries = readdirSync(join(source, 'packs'), { recursive: true, withFileTypes: true });
      expect(packs).toBe(entries.filter((entry) => entry.isFile()).length);
      expect(print).toBe(await withLedger(of, fingerprint));
      const mine = await answers(to);
      expect(mine['verify']).toMatchObject({ findings: [], summary: { damaged: 0 } });
      expect(mine).toEqual(await answers(source));
      const ids = await Promise.all(
        [source, to].map((url) =>
          withLedger({ url, mode: 'read' }, ({ id }) => Promise.resolve(id)),
        ),
      );
      expect(ids[0]).not.toBe(ids[1]);
    },
    LONG_MS,
  );

  test(
    'has no key: it restores at once, and records after group import',
    async () => {
      const to = join(folder.path, 'keyless');
      const original = new LedgerCommands(source);
      const copy = new LedgerCommands(to);
      await copied(source, to);
      expect(await copy.json('group', 'list')).toEqual([
        { group: 'apart', key: 'missing', vms: 1 },
        { group: 'default', key: 'missing', vms: 2 },
      ]);
      expect(await copy.bytes('restore', '--vm', 'red', '--at', 'cp:before', '--to', '-')).toEqual(
        await original.bytes('restore', '--vm', 'red', '--at', '@2', '--to', '-'),
      );
      const words = ['record', 'image', '--vm', 'red', files[3]!];
      const refused = await copy.run(words);
      expect([refused.exitCode, refused.stderr]).toEqual([
        5,
        expect.stringContaining('KEY_MISSING'),
      ]);
      const key = join(folder.path, 'default.key');
      await original.json('group', 'export', '--group', 'default', '--to', key);
      expect(statSync(key).mode & 0o777).toBe(0o600);
      expect(await copy.json('group', 'import', key)).toMatchObject([{ group: 'default' }]);
      const [row] = await copy.json(...words);
      expect(row).toMatchObject({ capture: 4, stored: 0 });
      const wrong = await copy.run(['verify']);
      expect(wrong.exitCode).toBe(0);
      expect(wrong.stdout.toString()).toContain('no key of group apart');
    },
    LONG_MS,
  );

  test(
    'made again brings over what came since, and nothing twice',
    async () => {
      const growing = join(folder.path, 'growing');
      const to = join(folder.path, 'grown');
      cpSync(source, growing, { recursive: true });
      await copied(growing, to);
      expect(await copied(growing, to)).toMatchObject({ events: 0, packs: 0, bytes: 0 });
      await withLedger({ url: growing, mode: 'write' }, (ledger) =>
        recordFiles(ledger, { vm: 'red', files: files.slice(3) }),
      );
      expect((await copied(growing, to)).events).toBeGreaterThanOrEqual(2);
      const prints = await Promise.all(
        [growing, to].map((url) => withLedger({ url, mode: 'read' }, fingerprint)),
      );
      expect(prints[0]).toBe(prints[1]);
    },
    LONG_MS,
  );

  test(
    `killed ${KILLS} times goes on where it stopped`,
    async () => {
      const to = join(folder.path, 'killed');
      let finished = 0;
      for (let i = 0; i < KILLS; i += 1) {
        const command = new LedgerCommands(to).start(['--json', 'copy', source, to]);
        const timer = setTimeout(() => command.signal('SIGKILL'), 250 + (i % 6) * 60);
        const { exitCode } = await command.ended;
        clearTimeout(timer);
        if (exitCode === 0) finished += 1;
        if (i % 6 === 5) rmSync(to, { recursive: true, force: true });
      }
      await copied(source, to);
      const prints = await Promise.all(
        [source, to].map((url) => withLedger({ url, mode: 'read' }, fingerprint)),
      );
      expect(prints[0]).toBe(prints[1]);
      expect(finished).toBeLessThanOrEqual(KILLS);
    },
    LONG_MS,
  );
});

describe('what is no beginning of the source is refused as a target, and left as it is:', () => {
  test.each([
    ['a ledger of its own', async (to: string) => recordInto(to, { vm: 'red', from: null })],
    [
      'a copy that was recorded into',
      async (to: string) => recordInto(to, { vm: 'new', from: source }),
    ],
    [
      'a copy that a VM of the source was recorded in',
      async (to: string) => recordInto(to, { vm: 'red', from: source }),
    ],
  ])(
    '%s',
    async (name, make) => {
      const to = join(folder.path, name);
      await make(to);
      const print = await withLedger({ url: to, mode: 'read' }, fingerprint);
      expect(await codeOf(copied(source, to))).toBe('LEDGER_DIVERGED');
      expect(await withLedger({ url: to, mode: 'read' }, fingerprint)).toBe(print);
    },
    LONG_MS,
  );

  /** Records a VM into a ledger of its own, or into a copy. */
  async function recordInto(
    to: string,
    { vm, from }: { readonly vm: string; readonly from: string | null },
  ): Promise<void> {
    if (from !== null) await copied(from, to);
    if (from !== null) cpSync(join(from, 'keys'), join(to, 'keys'), { recursive: true });
    await withLedger({ url: to, mode: 'create' }, (ledger) =>
      recordFiles(ledger, { vm, files: files.slice(3) }),
    );
  }
});

describe('a source that is damaged', () => {
  test(
    'is not copied as if it were whole: the copy has what is whole, and the rest when it is healed',
    async () => {
      const broken = join(folder.path, 'broken');
      const to = join(folder.path, 'of-broken');
      cpSync(source, broken, { recursive: true });
      const pack = readdirSync(join(broken, 'packs'), { recursive: true, encoding: 'utf8' }).find(
        (name) => name.length > 60,
      );
      truncateSync(join(broken, 'packs', pack!), 100);
      const { findings, fingerprint: print } = await copied(broken, to);
      expect([findings.length, print]).toEqual([1, null]);
      const missed = new Set(findings[0]!.affects);
      const points = await withLedger({ url: to, mode: 'read' }, async (ledger) => {
        const found = await verify(ledger, () => undefined);
        return found.findings.flatMap(({ affects }) => affects);
      });
      expect(new Set(points)).toEqual(missed);
      const again = await new LedgerCommands(to).run(['--json', 'copy', broken, to]);
      const rows = again.stdout.toString().trim().split('\n');
      expect([again.exitCode, again.stderr]).toEqual([3, '']);
      expect(rows.map((row) => JSON.parse(row) as unknown)).toEqual([
        expect.objectContaining({ where: `pack ${basename(pack!)}`, affects: [...missed] }),
        expect.objectContaining({ events: 0, packs: 0, missed: 1, fingerprint: null }),
      ]);
      cpSync(join(source, 'packs', pack!), join(broken, 'packs', pack!));
      expect((await copied(broken, to)).findings).toEqual([]);
      const ledger = await openLedger({ url: to, mode: 'read', threads: 0 });
      expect(await fingerprint(ledger)).toBe(
        await withLedger({ url: source, mode: 'read' }, fingerprint),
      );
      await ledger.close();
    },
    LONG_MS,
  );
});
