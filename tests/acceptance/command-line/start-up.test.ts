// What a small question loads of Node.js: each of its own modules takes up to a millisecond, of the fifty
// that starting it takes at all.

import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { COMMAND_LINE } from '../../support/command-line.ts';
import { makeImage } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** Loaded before a command: tells at its end what of Node.js it has loaded. */
const TELL = `process.on('exit', () => console.error(JSON.stringify(process.moduleLoadList)));`;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

/** What of Node.js a command loads. */
function loadedBy(words: readonly string[]): readonly string[] {
  // Not by --import, which loads all that modules of the language need.
  const tell = join(folder.path, 'tell.cjs');
  writeFileSync(tell, TELL);
  const line = ['--require', tell, COMMAND_LINE, '--ledger', join(folder.path, 'ledger'), ...words];
  const { status, stderr } = spawnSync(process.execPath, line, { encoding: 'utf8' });
  expect({ words, status, stderr: status === 0 ? '' : stderr }).toEqual({
    words,
    status: 0,
    stderr: '',
  });
  const list = JSON.parse(stderr.trim().split('\n').at(-1)!) as string[];
  return list.map((module) => module.replace('NativeModule ', ''));
}

describe('a small question', () => {
  test('loads nothing for processes, threads, WebCrypto or modules of the language', () => {
    const image = join(folder.path, 'small.raw');
    writeFileSync(image, makeImage({ seed: 1, pages: 64 }));
    const vm = ['--vm', 'guest'];
    const recorded = loadedBy(['record', 'image', '--init', ...vm, image, image]);
    expect(recorded).toContain('child_process');
    for (const words of [['captures', ...vm], ['history', ...vm, '--page', '3'], ['vms']]) {
      const loaded = loadedBy(words);
      expect(loaded).toContain('crypto');
      for (const module of [
        'child_process',
        'worker_threads',
        'internal/crypto/webcrypto',
        'internal/modules/esm/load',
        'internal/fs/promises',
      ])
        expect({ words, module, isLoaded: loaded.includes(module) }).toEqual({
          words,
          module,
          isLoaded: false,
        });
    }
  });

  test('is no part of help, which loads nothing that questions are answered with', () => {
    expect(loadedBy(['--help'])).not.toContain('crypto');
  });
});

describe('what was compiled when the program was built', () => {
  const ASK = `process.on('exit', () => {
    const compiled = Object.values(require.cache).flatMap(({ script }) => script ?? []);
    console.log(JSON.stringify(compiled.map((script) => script.cachedDataRejected ?? null)));
  });`;

  test('is taken, and does without where it is damaged or gone', () => {
    const program = join(folder.path, 'program');
    cpSync(dirname(COMMAND_LINE), program, { recursive: true });
    const ask = join(folder.path, 'ask.cjs');
    writeFileSync(ask, ASK);
    const answered = (): readonly [number | null, unknown] => {
      const line = ['--require', ask, join(program, 'main.js'), '--ledger', program, 'vms'];
      const { status, stdout } = spawnSync(process.execPath, line, { encoding: 'utf8' });
      return [status, JSON.parse(stdout)];
    };
    // There is no ledger: which is found out by what was loaded.
    expect(answered()).toEqual([1, [false]]);
    const compiled = readdirSync(program).filter((name) => name.endsWith('.compiled'));
    expect(compiled).toHaveLength(1);
    const path = join(program, compiled[0]!);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(65_536)]) {
      writeFileSync(path, bytes);
      expect(answered()).toEqual([1, [true]]);
    }
    rmSync(path);
    expect(answered()).toEqual([1, [null]]);
  });
});
