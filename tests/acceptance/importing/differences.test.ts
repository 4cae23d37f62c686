// Sparse files of what changed, as Firecracker and Cloud Hypervisor write them: whichever program tells
// where their holes are, a capture is the pages that were written, zeros too.

import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { makeImage } from '../../support/images.ts';
import { describeWithPrograms } from '../../support/tools.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 256;
/** Two in a row, the last one, and one that is written with zeros. */
const CHANGED = [7, 8, 100, 255];
const ZEROED = 100;
const LONG_MS = 300_000;

let folder: TemporaryFolder;
let commands: LedgerCommands;
let merged: Buffer;
const path = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(path('ledger'));
  const base = makeImage({ seed: 3, pages: PAGES });
  base.fill(1, ZEROED * PAGE_BYTES, (ZEROED + 1) * PAGE_BYTES);
  writeFileSync(path('whole'), base);
  for (const vm of ['perl', 'qemu-img', 'none'])
    await commands.json('record', 'image', '--vm', vm, path('whole'));
  merged = Buffer.from(base);
  const fd = openSync(path('difference'), 'w');
  ftruncateSync(fd, base.length);
  for (const page of CHANGED) {
    const bytes = new Uint8Array(PAGE_BYTES).map((_, i) => (page === ZEROED ? 0 : page + i * 3));
    writeSync(fd, bytes, 0, PAGE_BYTES, page * PAGE_BYTES);
    merged.set(bytes, page * PAGE_BYTES);
  }
  closeSync(fd);
}, LONG_MS);
afterAll(() => folder.remove());

let folders = 0;

/** Records the difference where the machine has these programs alone: by name, and where each lies. */
async function recorded(vm: string, programs: Readonly<Record<string, string>>) {
  folders += 1;
  const bin = path(`bin-${folders}`);
  mkdirSync(bin);
  for (const [name, target] of Object.entries(programs)) symlinkSync(target, join(bin, name));
  const words = ['--json', 'record', 'image', '--vm', vm, '--diff', path('difference')];
  const { stdout, stderr } = await commands.run(words, { environment: { PATH: bin } });
  if (stdout.length > 0) return { row: jsonRows(stdout)[0], code: null };
  // A warning may stand before it.
  const said = stderr.trim().split('\n').at(-1)!;
  return { row: null, code: (JSON.parse(said) as { error: { code: string } }).error.code };
}

for (const program of ['perl', 'qemu-img'])
  describeWithPrograms(`as ${program} tells its holes, a difference`, [program], () => {
    test(
      'is a capture of what was written',
      async () => {
        const { row } = await recorded(program, { [program]: programPath(program)! });
        expect(row).toMatchObject({ written: CHANGED.length, unchanged: PAGES - CHANGED.length });
        await commands.json('restore', '--vm', program, '--to', path(`${program}.raw`));
        expect(readFileSync(path(`${program}.raw`)).equals(merged)).toBe(true);
      },
      LONG_MS,
    );
  });

test(
  'a difference is refused where no program can tell its holes',
  async () => {
    expect(await recorded('none', {})).toEqual({ row: null, code: 'MISSING_TOOL' });
  },
  LONG_MS,
);

test.each([
  ['perl', 'data'],
  ['perl', '8192 4096'],
  ['qemu-img', '[{"start": 0, "length": 4096'],
  ['qemu-img', '[{"start": 0, "length": -1, "data": true}]'],
])(
  '%s that says %s is not believed',
  async (program, text) => {
    writeFileSync(path('odd'), `#!/bin/sh\necho '${text}'\n`);
    chmodSync(path('odd'), 0o700);
    const { code } = await recorded('none', { [program]: path('odd') });
    expect(code).toBe('SOURCE_UNREADABLE');
  },
  LONG_MS,
);
