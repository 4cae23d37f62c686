// The words of a command that is given as one text are those that a shell makes of it.

import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { quoted, shellWords } from '../../../../adapters/faces/cli/shell-word.ts';

describe('words of a command', () => {
  test('come back from quotes, whatever they hold', () => {
    const minded = String.raw`ab 'x"y\$z|;&<>()*?[~#=é`.split('');
    const unit = fc.constantFrom(...minded, '`', '\n', '\t', '\0');
    fc.assert(
      fc.property(fc.array(fc.string({ unit }), { minLength: 1 }), (words) => {
        expect(shellWords(words.map(quoted).join(' '))).toEqual(words);
      }),
    );
  });

  test.each([
    'qemu-system-x86_64 -m 1G -drive if=none,file=/a.img',
    `  one\ttwo 'three  four' "five 'six'" `,
    String.raw`a\ b "c\"d\$e\\f\g" ''x'' "" a\'b`,
    String.raw`-append "console=ttyS0 root=/dev/vda" x#y a~b {} !`,
    'one \\\ntwo "th\\\nree"',
  ])('are what a shell makes of %j', (text) => {
    const said = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${text}`], { encoding: 'utf8' });
    expect(shellWords(text).join('\0')).toBe(said.split('\0').slice(0, -1).join('\0'));
  });

  test.each([
    ['qemu $HOME', /\$ at character 6/u],
    ['qemu "a $b"', /begins with " at character 6/u],
    ['qemu `id`', /` at character 6/u],
    ['qemu; rm x', /; at character 5/u],
    ['qemu | tee x', /\| at character 6/u],
    ['qemu > x', /> at character 6/u],
    ['qemu *.img', /\* at character 6/u],
    ['qemu # x', /# at character 6/u],
    ['~/qemu', /~ at character 1/u],
    ["qemu 'x", /begins with ' at character 6/u],
    ['qemu x\\', /begins with \\ at character 7/u],
    ['  ', /a command was expected/u],
  ])('%j is not one: it says why', (text, why) => {
    expect(() => shellWords(text)).toThrow(why);
  });
});
