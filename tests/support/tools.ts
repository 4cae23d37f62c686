// Programs of the machine that tests need; where one is missing the tests are skipped and say why.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe } from '@jest/globals';
import { programPath } from '../../adapters/guests/demo-guest/tools.ts';

/** Tests that need these programs; counted as skipped, with the reason, where one is missing. */
export function describeWithPrograms(
  name: string,
  programs: readonly string[],
  tests: () => void,
): void {
  // What has a slash is a file or a device.
  const isMissing = (program: string): boolean =>
    program.includes('/') ? !existsSync(program) : programPath(program) === null;
  const missing = programs.filter(isMissing);
  const suite = missing.length === 0 ? describe : describe.skip;
  const title = missing.length === 0 ? name : `${name} (skipped: ${missing.join(', ')} not there)`;
  suite(title, () => {
    tests();
  });
}

/** What a program printed that must succeed. */
export function printedBy(program: string, ...words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${program} ${words.join(' ')}: exit ${code}: ${stdout}${stderr}`));
    });
  });
}
