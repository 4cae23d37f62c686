// The examples of docs/events.md, "Following a ledger", as they stand there.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { makeSmallLedger } from '../../support/ledgers/small-ledger.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const LIBRARY = new URL('../../../index.js', import.meta.url).href;

let folder: TemporaryFolder;
let commands: LedgerCommands;
let examples: string[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const url = join(folder.path, 'ledger');
  commands = new LedgerCommands(url);
  await makeSmallLedger({ url, scratch: folder.path });
  const text = readFileSync(join(sourceRoot(), 'docs/events.md'), 'utf8');
  examples = [...text.matchAll(/```js\n(.*?)```/gsu)].map((match) => match[1]!);
});
afterAll(() => folder.remove());

test(
  'the example of the library prints what it says, and ends',
  async () => {
    const path = join(folder.path, 'follow.mjs');
    writeFileSync(path, examples[0]!.replace(`'pageledger'`, JSON.stringify(LIBRARY)));
    const done = spawnSync(process.execPath, [path], { cwd: folder.path, encoding: 'utf8' });
    expect([done.status, done.stderr]).toEqual([0, '']);
    const rows = await commands.json('log', '--pages');
    const of = (type: string): JsonRow[] => rows.filter((row) => row['type'] === type);
    const broken = of('SharingBroken').map(({ place, gfn }) => `${String(place)} ${Number(gfn)}`);
    const seen = of('CaptureCommitted').map(({ place }) => `seen ${String(place)}`);
    expect(broken.length).toBeGreaterThan(0);
    expect(done.stdout.trimEnd().split('\n')).toEqual([...broken, ...seen]);
  },
  LONG_MS,
);

test(
  'the example of a projection is a whole one, in less than fifteen lines',
  async () => {
    expect(examples[1]!.trimEnd().split('\n').length).toBeLessThan(15);
    const path = join(folder.path, 'largest.mjs');
    writeFileSync(path, examples[1]!);
    const subscriber = commands.start(['subscribe', '--projection', path]);
    const { position } = (await commands.json('log')).at(-1)!;
    await subscriber.until((command) => command.rows().at(-1)?.['position'] === position);
    subscriber.signal('SIGTERM');
    expect((await subscriber.ended).exitCode).toBe(0);
    const largest: Record<string, number> = {};
    for (const vm of ['alpha', 'beta'])
      for (const { written } of await commands.json('captures', '--vm', vm))
        largest[vm] = Math.max(largest[vm] ?? 0, Number(written));
    expect(subscriber.rows().at(-1)!['state']).toEqual(largest);
  },
  LONG_MS,
);
