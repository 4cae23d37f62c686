import { describe, expect, test } from '@jest/globals';
import {
  attachmentOfOutcome,
  commandDoubt,
  commandEndOf,
  type CommandOutcome,
} from '../../../domain/values/command-outcome.ts';

const DONE: CommandOutcome = {
  exitCode: 0,
  signal: null,
  isLate: false,
  output: Buffer.from('pool@1\n'),
  isCut: false,
};

describe('a command that ran at a capture', () => {
  test('is kept by its output, and needs no word where it succeeded', async () => {
    const { name, content } = attachmentOfOutcome(DONE);
    const parts: Uint8Array[] = [];
    for await (const part of content()) parts.push(part);
    expect([name, Buffer.concat(parts).toString()]).toEqual(['at-capture.exit-0', 'pool@1\n']);
    expect([commandEndOf(name), commandDoubt(DONE, 5)]).toEqual(['exit-0', null]);
  });

  test.each<[Partial<CommandOutcome>, string, RegExp]>([
    [{ exitCode: 3 }, 'exit-3', /ended with exit 3;/u],
    [{ exitCode: null, signal: 'SIGKILL' }, 'signal-SIGKILL', /ended with signal SIGKILL;/u],
    [{ exitCode: null, signal: 'SIGKILL', isLate: true }, 'late', /killed after 250 ms/u],
    [{ exitCode: null }, 'not-begun', /ended with not begun/u],
    [{ isCut: true }, 'exit-0', /the beginning was kept/u],
  ])('with %j is told of as %s', (what, end, said) => {
    const outcome = { ...DONE, ...what };
    expect(commandEndOf(attachmentOfOutcome(outcome).name)).toBe(end);
    expect(commandDoubt(outcome, 250)).toMatch(said);
  });

  test('is not what another attachment is of', () => {
    expect(commandEndOf('state.bin')).toBeNull();
  });
});
