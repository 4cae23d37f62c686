// A core of a real guest beside the one that QEMU itself writes of the same moment: the same registers of
// each CPU, to the byte, and the same memory.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startGuest, type DemoGuest } from '../../adapters/guests/demo-guest/start-guest.ts';
import { programPath } from '../../adapters/guests/demo-guest/tools.ts';
import { LedgerCommands } from '../support/command-line.ts';
import { readCore, type ElfCore } from '../support/guest/elf-core.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../support/guest/real-guest.ts';
import { withQmp } from '../support/guest/still-guest.ts';
import { valueOf } from '../support/outcomes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const CPUS = 2;
const THREAD = { from: 32, to: 36 };

describeWithQemu('a core of a guest with two CPUs', await findTools(), (tools) => {
  let folder: TemporaryFolder;
  let guest: DemoGuest;
  let path: string;
  let ours: ElfCore;
  let qemus: ElfCore;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const extra = ['-smp', String(CPUS)];
    guest = await valueOf(startGuest({ tools, folder: folder.path, memoryMib: 128, extra }));
    await guest.waitForLine(/^T n=1 /u);
    const dump = join(folder.path, 'qemus');
    await withQmp(guest.qmpPath, async (qmp) => {
      await qmp.execute('stop');
      await qmp.execute('dump-guest-memory', { paging: false, protocol: `file:${dump}` });
    });
    qemus = readCore(readFileSync(dump));
    rmSync(dump);
    const commands = new LedgerCommands(join(folder.path, 'ledger'));
    await commands.json('record', 'qemu', '--vm', 'guest', '--qmp', guest.qmpPath, '--count', '1');
    path = join(folder.path, 'core');
    await commands.json('restore', '--vm', 'guest', '--format', 'elf', '--to', path);
    ours = readCore(readFileSync(path));
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  });

  test('has the notes of CPUs that QEMU writes, but for the numbers of their threads', () => {
    const notes = ({ notes: all }: ElfCore) =>
      all.map(({ name, type, bytes }) => {
        const known = Buffer.from(bytes);
        if (name === 'CORE') known.fill(0, THREAD.from, THREAD.to);
        return { name, type, known: known.toString('hex') };
      });
    expect(notes(ours).map(({ name }) => name)).toEqual(['CORE', 'CORE', 'QEMU', 'QEMU']);
    expect(notes(ours)).toEqual(notes(qemus));
    const threads = ours.notes.slice(0, CPUS).map(({ bytes }) => bytes.readUInt32LE(THREAD.from));
    // Linux gives none of its tasks such a number.
    expect(threads).toEqual([2 ** 22, 2 ** 22 + 1]);
  });

  test('has the memory that QEMU writes, where the guest sees its RAM', () => {
    const [all] = ours.segments;
    const ram = qemus.segments.filter(({ physical }) => physical < all!.bytes.length);
    expect(ram.length).toBeGreaterThan(0);
    for (const { physical, bytes } of ram)
      expect(all!.bytes.subarray(physical, physical + bytes.length).equals(bytes)).toBe(true);
  });

  const GDB = programPath('gdb');
  (GDB === null ? describe.skip : describe)('to gdb', () => {
    test('has a thread for each CPU with its registers', () => {
      const commands = [`core-file ${path}`, 'info threads', 'thread apply all p/x $rip'];
      const words = commands.flatMap((word) => ['-ex', word]);
      const { stdout } = spawnSync(GDB ?? '', ['-nx', '-batch', ...words], { encoding: 'utf8' });
      const rips = ours.notes
        .slice(0, CPUS)
        .map(({ bytes }) => bytes.readBigUInt64LE(112 + 16 * 8));
      const shown = [...stdout.matchAll(/^\$\d+ = (0x[0-9a-f]+)$/gmu)].map((match) => match[1]);
      expect(shown.length).toBe(CPUS);
      expect(new Set(shown)).toEqual(new Set(rips.map((rip) => `0x${rip.toString(16)}`)));
    });
  });
});
