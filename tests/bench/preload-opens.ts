// Loaded before a program: when it ends, writes the files that it opened, a path a line, into the
// file that PAGELEDGER_BENCH_REPORT names. It stands between the program and node:fs.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const report = process.env['PAGELEDGER_BENCH_REPORT'];
const opened: string[] = [];

type Opener = (path: unknown, ...more: unknown[]) => unknown;

/** The same function, which notes the path it is called with. */
const noting =
  (open: Opener): Opener =>
  (path, ...more) => {
    opened.push(String(path));
    return open(path, ...more);
  };

function wrap(holder: object, names: readonly string[]): void {
  const functions = holder as Record<string, Opener>;
  for (const name of names) functions[name] = noting(functions[name]!.bind(holder));
}

if (isMainThread && report !== undefined) {
  const { writeFileSync } = fs;
  wrap(fs, ['open', 'openSync', 'readFile', 'readFileSync', 'createReadStream']);
  wrap(fs.promises, ['open', 'readFile']);
  syncBuiltinESMExports();
  process.on('exit', () => {
    writeFileSync(report, opened.join('\n'));
  });
}
