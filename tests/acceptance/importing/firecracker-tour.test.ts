// docs/firecracker.md, as it stands there: every command that it shows is run, on files as Firecracker
// writes them (made here: there is no Firecracker), and prints what the page says, but for numbers.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { COMMAND_LINE } from '../../support/command-line.ts';
import { makeImage, pageAt, seededRandom } from '../../support/images.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 2048;
const CHANGED = [3, 4, 700, 701, 2000];
/** What a state file begins with. */
const STATE_MAGIC = Buffer.from('0000648619841007', 'hex');

let folder: TemporaryFolder;
const at = (...names: string[]): string => join(folder.path, ...names);

/** A pair as Firecracker leaves it: memory, and the state of the machine. */
function writePair(name: string, memory: (path: string) => void, seconds: number): void {
  mkdirSync(at('snapshots', name), { recursive: true });
  const random = seededRandom(seconds);
  const state = Buffer.concat([
    STATE_MAGIC,
    Buffer.from(Array.from({ length: 23_456 }, () => random(256))),
  ]);
  writeFileSync(at('snapshots', name, 'vmstate'), state);
  memory(at('snapshots', name, 'mem'));
  const time = Date.UTC(2026, 10, 28, 9) / 1000 + seconds;
  for (const file of ['vmstate', 'mem']) utimesSync(at('snapshots', name, file), time, time);
}

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const base = makeImage({ seed: 11, pages: PAGES });
  writePair('1', (path) => writeFileSync(path, base), 0);
  const merged = base.slice();
  // A diff snapshot: a file of the memory's size that has the pages which changed, and holes.
  const changed = makeImage({
    seed: 12,
    pages: CHANGED.length,
    mix: { zero: 0, text: 1, random: 0, repeated: 0, duplicate: 0 },
  });
  writePair(
    '2',
    (path) => {
      const file = openSync(path, 'w');
      ftruncateSync(file, base.length);
      for (const [i, gfn] of CHANGED.entries()) {
        const page = pageAt(changed, i);
        writeSync(file, page, 0, PAGE_BYTES, gfn * PAGE_BYTES);
        merged.set(page, gfn * PAGE_BYTES);
      }
      closeSync(file);
    },
    3600,
  );
  writeFileSync(at('rebased.mem'), merged);
  mkdirSync(at('bin'));
  const script = `#!/bin/sh\nexec '${process.execPath}' '${COMMAND_LINE}' "$@"\n`;
  writeFileSync(at('bin', 'pageledger'), script);
  chmodSync(at('bin', 'pageledger'), 0o700);
  writeFileSync(at('vm.json'), '{"boot-source":{"kernel_image_path":"vmlinux"}}\n');
  mkdirSync(at('images'));
  for (const [i, name] of ['mon.mem', 'tue.mem'].entries()) {
    writeFileSync(at('images', name), makeImage({ seed: 13 + i, pages: 64 }));
    utimesSync(at('images', name), 1_790_000_000 + i, 1_790_000_000 + i);
  }
}, 120_000);
afterAll(() => folder.remove());

/** Numbers, times and widths differ from run to run. */
const shape = (text: string): string =>
  text
    .replaceAll(/[0-9a-f]{32,}/gu, '#')
    .replaceAll(/\d[\d.:TZ-]*/gu, '#')
    .replaceAll(/ (B|KiB|MiB|ms|s)\b/gu, ' unit')
    .replaceAll(/ +/gu, ' ')
    .trim();

test('every command of the page prints what the page says', () => {
  const diff = statSync(at('snapshots', '2', 'mem'));
  expect(diff.blocks * 512).toBeLessThan(diff.size);
  const text = readFileSync(join(sourceRoot(), 'docs/firecracker.md'), 'utf8');
  const blocks = [...text.matchAll(/```console\n(.*?)```/gsu)].map((match) => match[1]!);
  const shown = blocks.flatMap((block) => block.split(/^\$ /mu).slice(1));
  expect(shown.length).toBeGreaterThan(8);
  const environment = { ...process.env, PATH: `${at('bin')}:${process.env['PATH']}` };
  for (const each of shown) {
    const [command = '', ...lines] = each.trimEnd().split('\n');
    const done = spawnSync('bash', ['-c', `${command} 2>&1`], {
      cwd: folder.path,
      env: environment,
      encoding: 'utf8',
    });
    const printed = shape(done.stdout);
    expect([command, printed]).toEqual([command, shape(lines.join('\n'))]);
  }
  // The pair that came back is the one that a base and a diff make.
  expect(readFileSync(at('back', 'mem'))).toEqual(readFileSync(at('rebased.mem')));
  for (const name of ['vmstate', 'config'])
    expect(statSync(at('back', name)).mode & 0o777).toBe(0o600);
  expect(readFileSync(at('back', 'vmstate'))).toEqual(
    readFileSync(at('snapshots', '2', 'vmstate')),
  );
}, 300_000);
