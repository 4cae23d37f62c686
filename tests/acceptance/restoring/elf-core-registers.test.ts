// A core of a real guest beside the one that QEMU itself writes of the same moment: the same registers of
// each CPU, to the byte, and the same memory; and what it has beside that for those who know kernels.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { readCore, type ElfCore } from '../../support/guest/elf-core.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { withQmp } from '../../support/guest/still-guest.ts';
import { tickingGuest } from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const CPUS = 2;
const THREAD = { from: 32, to: 36 };

describeWithQemu('a core of a guest with two CPUs', await findTools(), (tools) => {
  let folder: TemporaryFolder;
  let guest: DemoGuest;
  let path: string;
  let commands: LedgerCommands;
  let ours: ElfCore;
  let qemus: ElfCore;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const extra = ['-smp', String(CPUS)];
    guest = await tickingGuest({ tools, folder: folder.path, memoryMib: 128, extra });
    const dump = join(folder.path, 'qemus');
    await withQmp(guest.qmpPath, async (qmp) => {
      await qmp.execute('stop');
      await qmp.execute('dump-guest-memory', { paging: false, protocol: `file:${dump}` });
    });
    qemus = readCore(readFileSync(dump));
    rmSync(dump);
    commands = new LedgerCommands(join(folder.path, 'ledger'));
    await commands.json('record', 'qemu', '--vm', 'guest', '--qmp', guest.qmpPath, '--count', '1');
    path = join(folder.path, 'core');
    await commands.json('restore', '--vm', 'guest', '--format', 'elf', '--to', path);
    ours = readCore(readFileSync(path));
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  });

  const addressOf = async (name: string): Promise<bigint> => {
    const [symbol] = await commands.json('symbols', '--vm', 'guest', name);
    return BigInt(String(symbol!['address']));
  };

  test('has the notes of CPUs that QEMU writes, but for the numbers of their threads', () => {
    const notes = ({ notes: all }: ElfCore) =>
      all.map(({ name, type, bytes }) => {
        const known = Buffer.from(bytes);
        if (name === 'CORE') known.fill(0, THREAD.from, THREAD.to);
        return { name, type, known: known.toString('hex') };
      });
    expect(notes(qemus).map(({ name }) => name)).toEqual(['CORE', 'CORE', 'QEMU', 'QEMU']);
    expect(notes(ours).slice(0, -1)).toEqual(notes(qemus));
  });

  test('has threads called as the processes on the CPUs, or as Linux calls no task', async () => {
    const threads = ours.notes.slice(0, CPUS).map(({ bytes }) => bytes.readUInt32LE(THREAD.from));
    const pids = new Set((await commands.json('ps', '--vm', 'guest')).map(({ pid }) => pid));
    for (const [cpu, thread] of threads.entries())
      expect(pids.has(thread) || thread === 2 ** 22 + cpu).toBe(true);
  });

  test('has what its kernel says of itself, and its memory by its own addresses', async () => {
    const info = ours.notes.at(-1)!;
    expect([info.name, info.type]).toEqual(['VMCOREINFO', 0]);
    const said = info.bytes.toString('latin1');
    expect(said).toMatch(/^OSRELEASE=\d+\.\d+\.\S+\n[^\0]*$/u);
    const [image, all] = ours.segments;
    expect(image!.virtual).toBe(await addressOf('_stext'));
    const banner = Number((await addressOf('linux_banner')) - image!.virtual);
    const release = said.split('\n')[0]!.slice('OSRELEASE='.length);
    expect(image!.bytes.toString('latin1', banner, banner + 200)).toContain(
      `Linux version ${release} `,
    );
    // A variable of the kernel's says where it has all memory.
    const base = Number((await addressOf('page_offset_base')) - image!.virtual);
    expect(all!.virtual).toBe(image!.bytes.readBigUInt64LE(base));
    expect(
      image!.bytes.equals(all!.bytes.subarray(image!.physical).subarray(0, image!.bytes.length)),
    ).toBe(true);
  });

  test('has the memory that QEMU writes, where the guest sees its RAM', () => {
    const all = ours.segments.at(-1);
    const ram = qemus.segments.filter(({ physical }) => physical < all!.bytes.length);
    expect(ram.length).toBeGreaterThan(0);
    for (const { physical, bytes } of ram)
      expect(all!.bytes.subarray(physical, physical + bytes.length).equals(bytes)).toBe(true);
  });

  const MAKEDUMPFILE = programPath('makedumpfile');
  (MAKEDUMPFILE === null ? describe.skip : describe)('to makedumpfile', () => {
    test('has the messages of its kernel', () => {
      const log = join(folder.path, 'log');
      const words = ['--dump-dmesg', path, log];
      const { status } = spawnSync(MAKEDUMPFILE ?? '', words, { encoding: 'utf8' });
      expect(status).toBe(0);
      expect(readFileSync(log, 'latin1')).toMatch(/\] Linux version /u);
    });
  });

  const GDB = programPath('gdb');
  (GDB === null ? describe.skip : describe)('to gdb', () => {
    test('has a thread for each CPU with its registers', () => {
      const asked = [
        `core-file ${path}`,
        'info threads',
        'thread apply all p/x $rip',
        'thread apply all x/i $rip',
      ];
      const words = asked.flatMap((word) => ['-ex', word]);
      const { stdout } = spawnSync(GDB ?? '', ['-nx', '-batch', ...words], { encoding: 'utf8' });
      const rips = ours.notes
        .slice(0, CPUS)
        .map(({ bytes }) => bytes.readBigUInt64LE(112 + 16 * 8));
      // Its code is where it runs.
      expect(stdout).not.toContain('Cannot access memory');
      const shown = [...stdout.matchAll(/^\$\d+ = (0x[0-9a-f]+)$/gmu)].map((match) => match[1]);
      expect(shown.length).toBe(CPUS);
      expect(new Set(shown)).toEqual(new Set(rips.map((rip) => `0x${rip.toString(16)}`)));
    });
  });
});
