// Folders that end with their process, however that ends; and what else lies beside them, which does not.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HeldFolder } from '../../../adapters/guests/held-folder.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const OTHERS = 65_533;
const MODULE = new URL('../../../adapters/guests/held-folder.js', import.meta.url).href;
const SCRIPT = `
const { HeldFolder } = await import(process.argv[1]);
process.stdout.write(new HeldFolder(process.argv[2]).path);
process.stdin.resume().once('end', () => process.exit(0));
`;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
});
afterEach(() => folder.remove());

/** A process that holds a folder. */
async function holding(): Promise<{ readonly child: ChildProcess; readonly path: string }> {
  const words = ['--input-type=module', '-e', SCRIPT, MODULE, folder.path];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [path] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, path: path.toString() };
}

async function killed(): Promise<string> {
  const { child, path } = await holding();
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  return path;
}

describe('a folder that a process holds', () => {
  test("is the user's alone, and gone with the process that ends", async () => {
    const { child, path } = await holding();
    expect(lstatSync(path).mode & 0o777).toBe(0o700);
    const gone = once(child, 'exit');
    child.stdin!.end();
    await gone;
    expect(existsSync(path)).toBe(false);
  });

  test('is removed by who makes the next one where its process was killed, and by nobody while it runs', async () => {
    const { child, path } = await holding();
    const left = await killed();
    expect(existsSync(left)).toBe(true);
    const own = new HeldFolder(folder.path);
    expect(existsSync(left)).toBe(false);
    expect(existsSync(path)).toBe(true);
    new HeldFolder(folder.path).remove();
    expect(existsSync(own.path)).toBe(true);
    own.remove();
    expect(readdirSync(folder.path)).toEqual([path.slice(folder.path.length + 1)]);
    const gone = once(child, 'exit');
    child.stdin!.end();
    await gone;
  });

  test('takes nothing along that is not known to be left by one of ours', async () => {
    const left = await killed();
    const said = readFileSync(join(left, 'holder.json'), 'utf8');
    const at = (name: string): string => join(folder.path, name);
    const made = (name: string, holder: string | null): string => {
      mkdirSync(at(name));
      if (holder !== null) writeFileSync(join(at(name), 'holder.json'), holder);
      return at(name);
    };
    const dead = JSON.parse(said) as Record<string, unknown>;
    const others = [
      made('pageledger-other', said),
      made('pageledger-held-bare', null),
      made('pageledger-held-rubbish', '{"process":'),
      made('pageledger-held-long', said + ' '.repeat(5000)),
      made('pageledger-held-elsewhere', JSON.stringify({ ...dead, boot: null })),
      made('pageledger-held-namespace', JSON.stringify({ ...dead, space: 'pid:[1]' })),
      made('aside', said),
    ];
    symlinkSync(at('aside'), at('pageledger-held-link'));
    others.push(at('pageledger-held-link'));
    if (process.getuid?.() === 0) {
      const theirs = made('pageledger-held-theirs', said);
      chownSync(theirs, OTHERS, OTHERS);
      others.push(theirs);
    }
    new HeldFolder(folder.path).remove();
    expect(existsSync(left)).toBe(false);
    expect(others.filter((path) => !existsSync(path))).toEqual([]);
    expect(existsSync(join(at('aside'), 'holder.json'))).toBe(true);
  });
});
