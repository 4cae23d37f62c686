// Whether anybody can write to a file: told by the system where it has leases, else by what is mapped.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mayHaveWriters } from '../../../adapters/files/writers.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { printedWithoutKoffi } from '../../support/processes/without-koffi.ts';

const MODULE = JSON.stringify(new URL('../../../adapters/files/writers.js', import.meta.url).href);

let folder: TemporaryFolder;
let path: string;
let fd: number;
let others: ChildProcessWithoutNullStreams[] = [];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder.path, 'image');
  writeFileSync(path, Buffer.alloc(4096));
});
beforeEach(() => {
  fd = openSync(path, 'r');
});
afterEach(async () => {
  closeSync(fd);
  const ended = others.map((child) => once(child, 'exit'));
  for (const child of others) child.kill('SIGKILL');
  await Promise.all(ended);
  others = [];
});
afterAll(() => folder.remove());

/** Another process that does this with the file, and says when it has. */
async function other(doing: string): Promise<void> {
  const script = `import mmap, os, sys\nfile = open(sys.argv[1], "r+b")\n${doing}\nsys.stdin.read()`;
  const child = spawn('python3', ['-c', script, path]);
  others.push(child);
  await once(child.stdout, 'data');
}

const MAPPED = 'memory = mmap.mmap(file.fileno(), 0)\nfile.close()\nprint("done", flush=True)';
const OPEN = 'print("done", flush=True)';
const READ =
  'file = open(sys.argv[1], "rb")\nmemory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\nprint("done", flush=True)';
const OWN =
  'file = open(sys.argv[1], "rb")\nmemory = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)\nmemory[0] = 1\nprint("done", flush=True)';

const answerWithoutKoffi = (): string =>
  printedWithoutKoffi(`
    import { openSync } from 'node:fs';
    const { mayHaveWriters } = await import(${MODULE});
    console.log(await mayHaveWriters(openSync(${JSON.stringify(path)}, 'r')));
  `).trim();

describe('a file', () => {
  test('that nobody else has open has no writers', async () => {
    expect(await mayHaveWriters(fd)).toBe(false);
    expect(answerWithoutKoffi()).toBe('false');
  });

  test('that others read, or map for themselves, has none', async () => {
    await other(READ);
    await other(OWN);
    expect(await mayHaveWriters(fd)).toBe(false);
    expect(answerWithoutKoffi()).toBe('false');
  });

  test('that another has mapped to write has one, while it lasts', async () => {
    await other(MAPPED);
    expect(await mayHaveWriters(fd)).toBe(true);
    expect(answerWithoutKoffi()).toBe('true');
    others[0]!.kill('SIGKILL');
    await once(others[0]!, 'exit');
    others = [];
    expect(await mayHaveWriters(fd)).toBe(false);
  });

  test('that another has open to write has one, where the system tells', async () => {
    await other(OPEN);
    expect(await mayHaveWriters(fd)).toBe(true);
    expect(answerWithoutKoffi()).toBe('false');
  });

  test('that has no leases is looked for in what is mapped', async () => {
    const device = openSync('/dev/null', 'r');
    expect(await mayHaveWriters(device)).toBe(false);
    closeSync(device);
  });
});

test('who opens a file to write while it is asked is not kept, and does no harm', async () => {
  const child = spawn('python3', [
    '-c',
    'import sys\nfor turn in range(20000): open(sys.argv[1], "r+b").close()',
    path,
  ]);
  const ended = once(child, 'exit');
  const found = new Set<boolean>();
  while (child.exitCode === null && child.signalCode === null) {
    for (let turn = 0; turn < 200; turn += 1) found.add(await mayHaveWriters(fd));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await ended).toEqual([0, null]);
  expect(await mayHaveWriters(fd)).toBe(false);
  expect(found.has(false)).toBe(true);
});
