// What a Node.js that is too old is told. The version is made up: the entry asks for nothing else.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { COMMAND_LINE } from '../../../support/command-line.ts';
import { sourceRoot } from '../../../support/sources/source-root.ts';

/** The command line's help under a Node.js that says that it is this one. */
function helpUnder(version: string) {
  const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
  const preload = `data:text/javascript,${encodeURIComponent(pretend)}`;
  return spawnSync(process.execPath, ['--import', preload, COMMAND_LINE, '--help'], {
    encoding: 'utf8',
  });
}

describe('the command line', () => {
  test.each(['0.12.18', '12.22.12', '18.20.8', '20.18.3'])(
    'under Node.js %s says which it needs, and does nothing',
    (version) => {
      const { status, stdout, stderr } = helpUnder(version);
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        /^pageledger: this is Node\.js [\d.]+ \(.+\), and pageledger needs 20\.19 or later; .+\n$/u,
      );
      expect(stderr).toContain(`this is Node.js ${version} (${process.execPath})`);
    },
  );

  test.each(['20.19.0', '22.0.0', '100.1.0'])('runs under Node.js %s', (version) => {
    const { status, stdout, stderr } = helpUnder(version);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Usage: pageledger');
  });

  test('needs the version that the package asks for', () => {
    const text = readFileSync(join(sourceRoot(), 'package.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ engines: { node: '>=20.19' } });
  });
});
