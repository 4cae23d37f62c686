// Points as files: mounted, read by ordinary tools, and unmounted, whatever becomes of who serves them.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { lookUp } from '../../../adapters/wiring/processes.ts';
import { LedgerCommands, type JsonRow, type Outcome } from '../../support/command-line.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { imageSeries } from '../../support/images.ts';
import { whileRecordedFurther } from '../../support/ledgers/recorded-further.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms, printedBy } from '../../support/tools.ts';

const PAGES = 2048;
const LONG_MS = 300_000;

describeWithPrograms('points as files', ['nbdfuse', 'fusermount3', '/dev/fuse'], () => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let images: Buffer[];
  let environment: Readonly<Record<string, string>>;
  const at = (name: string): string => join(folder.path, name);
  const file = (): string => at('m/memory');

  const said = (...words: string[]): Promise<Outcome> =>
    commands.run(['--json', ...words], { environment });
  const rowOf = ({ stdout, stderr, exitCode }: Outcome): JsonRow => {
    if (exitCode !== 0) throw new TypeError(stderr);
    return JSON.parse(stdout.toString()) as JsonRow;
  };
  const mounted = async (point: string): Promise<JsonRow> =>
    rowOf(await said('mount', '--vm', 'web', '--at', point, at('m')));
  const failure = async (...words: string[]): Promise<unknown> => {
    const { exitCode, stderr } = await said(...words);
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    return [exitCode, error.code, error.message];
  };
  const leasedOnce = (rows: readonly JsonRow[]): number =>
    rows.filter(({ kind }) => kind === 'mount').length;
  const isGone = (pid: unknown): boolean => lookUp(Number(pid)) === null;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    environment = { XDG_STATE_HOME: at('state') };
    mkdirSync(at('m'));
    const series = imageSeries({ seed: 21, pages: PAGES, captures: 2, changedPages: 30 });
    images = [...series].map((image) => Buffer.from(image));
    for (const image of images) {
      writeFileSync(at('image.raw'), image);
      await commands.json('record', 'image', '--vm', 'web', at('image.raw'));
    }
  }, LONG_MS);
  afterEach(async () => {
    await said('unmount', at('m'));
  });
  afterAll(() => folder.remove());

  test(
    'a mounted point is a file of its bytes, until it is unmounted',
    async () => {
      const row = await mounted('@1');
      expect(row).toMatchObject({ vm: 'web', capture: 1, file: file(), bytes: images[0]!.length });
      expect(readFileSync(file()).equals(images[0]!)).toBe(true);
      writeFileSync(at('one.raw'), images[0]!);
      expect(await printedBy('cmp', file(), at('one.raw'))).toBe('');
      expect(() => writeFileSync(file(), 'x')).toThrow(/EPERM|EACCES/u);
      // As QEMU does for a guest's balloon: the guest would read the base's content there, not zeros.
      const punched = spawnSync('fallocate', ['-p', '-o', '0', '-l', '4096', file()]);
      expect([punched.status, String(punched.stderr)]).toEqual([
        1,
        expect.stringContaining('unsupported'),
      ]);
      expect(rowOf(await said('unmount', at('m')))).toMatchObject({ capture: 1, hadDied: false });
      expect(readdirSync(at('m'))).toEqual([]);
      expect(isGone(row['pid'])).toBe(true);
      expect(readdirSync(at('state/pageledger-mounts'))).toEqual([]);
    },
    LONG_MS,
  );

  test(
    'what is in use stays mounted, and a place is mounted once',
    async () => {
      const row = await mounted('latest');
      const fd = openSync(file(), 'r');
      expect(await failure('unmount', at('m'))).toEqual([
        4,
        'MOUNT_BUSY',
        expect.stringContaining('stays mounted'),
      ]);
      expect(await failure('mount', '--vm', 'web', at('m'))).toEqual([
        1,
        'TARGET_EXISTS',
        expect.stringContaining('web@2 is mounted at'),
      ]);
      // As whoever shuts the machine down says it.
      process.kill(Number(row['pid']), 'SIGTERM');
      expect(readFileSync(file()).equals(images[1]!)).toBe(true);
      closeSync(fd);
      process.kill(Number(row['pid']), 'SIGTERM');
      while (!isGone(row['pid'])) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(readdirSync(at('m'))).toEqual([]);
    },
    LONG_MS,
  );

  test(
    'a mount whose process was killed says so, and unmounting removes what is left of it',
    async () => {
      const row = await mounted('@1');
      process.kill(Number(row['pid']), 'SIGKILL');
      while (!isGone(row['pid'])) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await failure('mount', '--vm', 'web', at('m'))).toEqual([
        1,
        'TARGET_EXISTS',
        expect.stringContaining(`its process ${String(row['pid'])} has died`),
      ]);
      const unmounted = await said('unmount', at('m'));
      expect(rowOf(unmounted)).toMatchObject({ hadDied: true });
      expect(unmounted.stderr).toContain('had died');
      expect(readdirSync(at('m'))).toEqual([]);
      expect(readdirSync(at('state/pageledger-mounts'))).toEqual([]);
      await mounted('@2');
      expect(readFileSync(file()).equals(images[1]!)).toBe(true);
    },
    LONG_MS,
  );

  test(
    'reading waits while the packs are away, and never fails for it',
    async () => {
      await mounted('@1');
      const packs = at('ledger/packs');
      renameSync(packs, at('away'));
      const reading = spawn('cmp', [file(), at('one.raw')], { stdio: 'ignore' });
      const ended = once(reading, 'exit');
      const log = (): string => {
        const [name] = readdirSync(at('state/pageledger-mounts'));
        return readFileSync(join(at('state/pageledger-mounts'), name!, 'log'), 'utf8');
      };
      while (!log().includes('readings wait'))
        await new Promise((resolve) => setTimeout(resolve, 20));
      expect(reading.exitCode).toBeNull();
      renameSync(at('away'), packs);
      expect(await ended).toEqual([0, null]);
      expect(log()).toContain('the packs are there again');
    },
    LONG_MS,
  );

  test(
    'a mount that fails says why, and leaves nothing behind',
    async () => {
      const bin = at('bin');
      mkdirSync(bin);
      writeFileSync(join(bin, 'nbdfuse'), '#!/bin/sh\necho no room >&2\nexit 1\n', { mode: 0o755 });
      const before = { ...environment };
      mkdirSync(at('tmp'));
      environment = { ...before, TMPDIR: at('tmp'), PATH: `${bin}:${process.env['PATH'] ?? ''}` };
      expect(await failure('mount', '--vm', 'web', at('m'))).toEqual([
        1,
        'MOUNT_FAILED',
        expect.stringContaining('no room'),
      ]);
      expect(readdirSync(at('tmp'))).toEqual([]);
      // A signal that comes while it is being mounted ends it as well.
      writeFileSync(join(bin, 'nbdfuse'), '#!/bin/sh\nsleep 3\nexec /usr/bin/nbdfuse "$@"\n');
      const words = ['--json', 'mount', '--foreground', '--vm', 'web', at('m')];
      const running = commands.start(words, { environment });
      while (leasedOnce(await commands.json('leases')) === 0) await pause(20);
      running.signal('SIGTERM');
      expect((await running.ended).exitCode).toBe(0);
      environment = before;
      expect(readdirSync(at('tmp'))).toEqual([]);
      expect(readdirSync(at('m'))).toEqual([]);
      expect(await commands.json('leases')).toEqual([]);
      expect(readdirSync(at('state/pageledger-mounts'))).toEqual([]);
    },
    LONG_MS,
  );

  test(
    'a mounted point stays as it is while its VM is recorded further and compacted',
    async () => {
      await mounted('@1');
      writeFileSync(at('one.raw'), images[0]!);
      const { [1]: newest } = images;
      const compared: string[] = [];
      const compare = (): Promise<string> => printedBy('cmp', file(), at('one.raw'));
      const record = async (round: number): Promise<void> => {
        const turned = (round + 1) * 64 * PAGE_BYTES;
        await commands.recordRaw(
          'web',
          Buffer.concat([newest!.subarray(turned), newest!.subarray(0, turned)]),
        );
        // The first reads come before what lies there was moved, the last ones after.
        compared.push(await compare());
      };
      expect(await whileRecordedFurther(commands, { vm: 'web', record }, compare)).toBe('');
      expect(new Set(compared)).toEqual(new Set(['']));
      await commands.recordRaw('web', newest!);
      expect(readFileSync(file()).equals(images[0]!)).toBe(true);
      // What was recorded and forgotten meanwhile is nobody's to read.
      const gone = ['--vm', 'web', '--at', '@3', '--to', at('gone.raw')];
      expect(await commands.errorOf('restore', ...gone)).toEqual([5, 'POINT_FORGOTTEN']);
    },
    LONG_MS,
  );

  test(
    'what cannot be mounted is refused with what to do',
    async () => {
      expect(await failure('mount', '--vm', 'web', at('ledger'))).toEqual([
        1,
        'TARGET_EXISTS',
        expect.stringContaining('is not empty'),
      ]);
      expect(await failure('mount', '--vm', 'web', at('nowhere'))).toEqual([
        1,
        'TARGET_UNWRITABLE',
        expect.stringContaining('an empty folder was expected'),
      ]);
      expect(await failure('mount', '--vm', 'web', '--block', 'vga', at('m'))).toEqual([
        5,
        'BLOCK_UNKNOWN',
        expect.stringContaining('it has ram'),
      ]);
      expect(await failure('unmount', at('m'))).toEqual([5, 'NOT_FOUND', expect.any(String)]);
    },
    LONG_MS,
  );
});
