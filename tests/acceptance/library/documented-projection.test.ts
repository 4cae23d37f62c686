// The example of docs/architecture.md, "A projection in a few lines", as it stands there: checked and
// compiled as a user's program is, and run.

import { spawnSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LedgerCommands } from '../../support/command-line.ts';
import { makeSmallLedger } from '../../support/ledgers/small-ledger.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 120_000;
const LIBRARY = fileURLToPath(new URL('../../../index.js', import.meta.url));

let folder: TemporaryFolder;
let commands: LedgerCommands;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const url = join(folder.path, 'ledger');
  commands = new LedgerCommands(url);
  await makeSmallLedger({ url, scratch: folder.path });
});
afterAll(() => folder.remove());

/** The first TypeScript of a document. */
const exampleIn = (document: string): string =>
  /```ts\n(?<code>.*?)```/su.exec(readFileSync(join(sourceRoot(), document), 'utf8'))!.groups![
    'code'
  ]!;

/** How a user's program would be compiled. */
const CONFIG = {
  compilerOptions: {
    strict: true,
    skipLibCheck: true,
    module: 'nodenext',
    target: 'es2024',
    types: ['node'],
  },
  files: ['largest.ts'],
};

test(
  'the example folds the ledger as it says, over the changes and as a named projection',
  async () => {
    symlinkSync(join(sourceRoot(), 'node_modules'), join(folder.path, 'node_modules'));
    writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify(CONFIG));
    const code = exampleIn('docs/architecture.md').replace(`'pageledger'`, JSON.stringify(LIBRARY));
    writeFileSync(join(folder.path, 'largest.ts'), code);
    const options = { cwd: folder.path, encoding: 'utf8' } as const;
    const compiler = join(sourceRoot(), 'node_modules/.bin/tsc');
    expect(spawnSync(compiler, options).stdout).toBe('');
    const done = spawnSync(process.execPath, ['largest.js'], options);
    expect([done.status, done.stderr]).toEqual([0, '']);
    const largest: Record<string, number> = {};
    for (const vm of ['alpha', 'beta'])
      for (const { written } of await commands.json('captures', '--vm', vm))
        largest[vm] = Math.max(largest[vm] ?? 0, Number(written));
    const [folded, kept] = done.stdout.trimEnd().split('\n');
    expect(JSON.parse(folded!.replace('folded ', ''))).toEqual(largest);
    expect(JSON.parse(kept!.replace('kept ', ''))).toEqual(largest);
  },
  LONG_MS,
);
