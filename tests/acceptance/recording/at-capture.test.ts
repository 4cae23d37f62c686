// A command that runs while a guest stands still to be captured: that it does stand, for how long at
// most, and what is kept of it.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../../adapters/guests/demo-guest/tools.ts';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { LedgerCommands, type JsonRow, type RunningCommand } from '../../support/command-line.ts';
import { GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { killGuards } from '../../support/guest/guards.ts';
import { bootSector, BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import { processesWith } from '../../support/processes/processes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const QEMU = programPath(QEMU_PROGRAM);
const OUTPUT_BYTES_MAX = 64 * 1024;

(QEMU === null ? describe.skip : describe)('a command that runs at a capture', () => {
  let folder: TemporaryFolder;
  let sockets: string;
  let guest: BootSectorGuest;
  let commands: LedgerCommands;
  let before: unknown;
  let captures = 0;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    sockets = join(folder.path, 't');
    mkdirSync(sockets);
    commands = new LedgerCommands(join(folder.path, 'ledger'));
    const where = { qemu: QEMU ?? '', folder: folder.path };
    guest = new BootSectorGuest({ ...where, sector: 'tickingLittle', memoryMib: 16 });
    await guest.ticksOn(5);
    before = await guest.settings();
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    if (QEMU !== null) await guest.kill();
    await folder.remove();
  });

  function record(command: string, ...more: string[]): RunningCommand {
    const single = ['--qmp', guest.qmpPath, '--count', '1', '--at-capture', command, ...more];
    return commands.start(['--json', 'record', 'qemu', '--vm', 'guest', ...single], {
      environment: { TMPDIR: sockets },
    });
  }

  /** A capture with this command: its row, what was kept of the command, and what was said. */
  async function recorded(command: string, ...words: string[]) {
    const recorder = record(command, ...words);
    const { exitCode, stderr } = await recorder.ended;
    expect(exitCode).toBe(0);
    await guest.ticksOn();
    expect([await guest.runState(), await guest.settings()]).toEqual(['running', before]);
    captures += 1;
    const row = recorder.rows()[0]!;
    const [attached] = row['attachments'] as readonly { readonly name: string }[];
    const to = join(folder.path, `with-${captures}`);
    const raw = join(folder.path, 'memory.raw');
    const more = ['--vm', 'guest', '--at', `@${captures}`, '--to', raw, '--with', to, '--force'];
    await commands.json('restore', ...more);
    const output = readFileSync(join(to, attached!.name));
    return { row, name: attached!.name, output, stderr };
  }

  test(
    'finds the guest standing still, knows the VM, and its output is kept',
    async () => {
      const size = `stat -c %s ${join(folder.path, 'console')}`;
      const command = `echo "$PAGELEDGER_VM in $(pwd)"; ${size}; sleep 0.5; ${size}; echo done >&2`;
      const { row, name, output, stderr } = await recorded(command);
      const [first, shown, again, last] = String(output).split('\n');
      expect([first, again, last]).toEqual([`guest in ${process.cwd()}`, shown, 'done']);
      expect(row).toMatchObject({ mode: 'migrate', deviceState: true });
      expect(Number(row['pauseMs'])).toBeGreaterThan(500);
      expect([name, stderr]).toEqual(['at-capture.exit-0', '']);
      expect((await commands.run(['captures', '--vm', 'guest'])).stdout.toString()).toContain(name);
    },
    GUEST_TIMEOUT_MS,
  );

  test('is shown when its capture is resumed', async () => {
    const words = ['resume', '--vm', 'guest', '--at', '@1', '--eager'];
    const { exitCode, stderr } = await commands.run(words);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/a command ran \(exit 0\) and printed:\n.*guest in .*\n.*\n.*\n *done/u);
  });

  test(
    'and fails is said, and the capture is recorded',
    async () => {
      const { name, stderr } = await recorded('echo no room; exit 3');
      expect([name, stderr]).toEqual(['at-capture.exit-3', expect.stringMatching(/with exit 3/u)]);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'is killed at the end of its time with all that it started',
    async () => {
      const mark = `1000.${process.pid}1`;
      const command = `echo begun; sleep ${mark} & sleep ${mark}`;
      const { name, output, stderr } = await recorded(command, '--at-capture-within', '300ms');
      expect([name, String(output)]).toEqual(['at-capture.late', 'begun\n']);
      expect(stderr).toMatch(/was killed after 300 ms, with all that it had started/u);
      expect(processesWith(`sleep\0${mark}`)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'is kept of only as much as is bounded, and waits for nobody to read the rest',
    async () => {
      const { output, stderr } = await recorded('head -c 300000 /dev/zero; echo end');
      expect(output.length).toBe(OUTPUT_BYTES_MAX);
      expect(stderr).toMatch(/of its output the beginning was kept/u);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'ends with its recorder, and the guest runs on',
    async () => {
      const mark = `1000.${process.pid}2`;
      const recorder = record(`sleep ${mark}`);
      while (processesWith(`sleep\0${mark}`).length === 0) await delay(5);
      recorder.signal('SIGKILL');
      await recorder.ended;
      await guest.ticksOn();
      while (readdirSync(sockets).length > 0) await delay(10);
      expect([await guest.runState(), await guest.settings()]).toEqual(['running', before]);
      expect(processesWith(`sleep\0${mark}`)).toEqual([]);
      const rows: JsonRow[] = await commands.json('captures', '--vm', 'guest');
      expect(rows).toHaveLength(captures);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'ends with its guard, and the guest runs on',
    async () => {
      const mark = `1000.${process.pid}3`;
      const recorder = record(`sleep ${mark}`);
      while (processesWith(`sleep\0${mark}`).length === 0) await delay(5);
      killGuards(recorder.pid);
      const { exitCode, stderr } = await recorder.ended;
      const said = /IO_FAILED.*its guard has ended, so this program brought the guest back/u;
      expect([exitCode, stderr]).toEqual([6, expect.stringMatching(said)]);
      await guest.ticksOn();
      expect([await guest.runState(), await guest.settings()]).toEqual(['running', before]);
      expect(processesWith(`sleep\0${mark}`)).toEqual([]);
      expect(readdirSync(sockets)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test.each([
    [['--at-capture', ' '], /--at-capture is empty/u],
    [['--at-capture', 'true', '--at-capture-within', 'soon'], /--at-capture-within soon is no/u],
    [['--at-capture', 'true', '--at-capture-within', '25h'], /25h is more than a day/u],
  ])('is refused with %j', async (words, said) => {
    const guestWords = ['record', 'qemu', '--vm', 'guest', '--qmp', guest.qmpPath];
    const { exitCode, stderr } = await commands.run([...guestWords, ...words]);
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(said)]);
  });
});

const IMAGES = programPath('qemu-img');

(QEMU === null || IMAGES === null ? describe.skip : describe)(
  'a guest and its disk, snapshotted at a capture',
  () => {
    let folder: TemporaryFolder;
    beforeAll(async () => {
      folder = await makeTemporaryFolder();
    });
    afterAll(() => folder.remove());
    const inside = (name: string): string => join(folder.path, name);

    function images(...words: string[]): void {
      const { status, stderr } = spawnSync(IMAGES!, words, { encoding: 'utf8' });
      expect([status, stderr]).toEqual([0, '']);
    }

    /** A QEMU that boots from this image; its console is a file beside it. */
    function commandOf(image: string): string[] {
      const disk = `file=${inside(image)},format=qcow2`;
      const ways = ['-display', 'none', '-drive', disk, '-serial', `file:${inside(image)}.console`];
      return [QEMU!, '-machine', 'pc', '-accel', 'tcg', '-m', '16', '-nodefaults', ...ways];
    }

    /** Lines of the console of this image's last guest. */
    async function linesOf(image: string, atLeast: number): Promise<string[]> {
      for (;;) {
        const path = `${inside(image)}.console`;
        const lines = existsSync(path) ? readFileSync(path, 'latin1').split('\n').slice(0, -1) : [];
        if (lines.length >= atLeast) return lines;
        await delay(20);
      }
    }

    test(
      'are put back together, and no other disk does',
      async () => {
        writeFileSync(
          inside('raw'),
          Buffer.concat([bootSector('counting'), Buffer.alloc(2 ** 20)]),
        );
        images('convert', '-O', 'qcow2', inside('raw'), inside('disk'));
        const [program, ...words] = commandOf('disk');
        const qmp = inside('qmp');
        const options = [...words, '-qmp', `unix:${qmp},server=on,wait=off`];
        const qemu = spawn(program!, options, { stdio: 'ignore' });
        await linesOf('disk', 5);
        const commands = new LedgerCommands(inside('ledger'));
        /** The first line of a guest resumed from a capture with this disk. */
        async function resumed(capture: number, image: string): Promise<string> {
          const at = ['--vm', 'guest', '--at', `@${capture}`, '--eager', '--disk-ok', '--'];
          rmSync(`${inside(image)}.console`, { force: true });
          const second = commands.start(['resume', ...at, ...commandOf(image)]);
          const [line] = await linesOf(image, 1);
          second.signal('SIGTERM');
          await second.ended;
          return line!;
        }
        // A capture may come where the guest has read its disk for the next line, and would say the
        // same with any: with an empty one, it does not.
        images('convert', '-O', 'qcow2', inside('raw'), inside('empty'));
        let capture = 0;
        let first = '';
        let other = '';
        while (!/^[=!]/u.test(first) || !other.startsWith('!')) {
          capture += 1;
          const image = `moment-${capture}`;
          const snapshot = `${IMAGES!} snapshot -c ${image} ${inside('disk')}`;
          const more = ['--qmp', qmp, '--count', '1', '--at-capture', snapshot];
          const [row] = await commands.json('record', 'qemu', '--vm', 'guest', ...more);
          expect(row!['attachments']).toMatchObject([{ name: 'at-capture.exit-0' }]);
          const from = ['-l', `snapshot.name=${image}`, '-O', 'qcow2', inside('disk')];
          images('convert', '-U', ...from, inside(image));
          first = await resumed(capture, image);
          other = await resumed(capture, 'empty');
        }
        const { length } = await linesOf('disk', 0);
        const lines = await linesOf('disk', length + 5);
        // It writes out what it knows of its disk when it is asked to end.
        qemu.kill('SIGTERM');
        await once(qemu, 'exit');
        expect(await resumed(capture, 'disk')).toBe(first.replace('=', '!'));
        expect(lines).toContain(first);
        expect(lines.every((line) => line.startsWith('='))).toBe(true);
      },
      GUEST_TIMEOUT_MS,
    );
  },
);
