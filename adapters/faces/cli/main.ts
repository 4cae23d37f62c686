#!/usr/bin/env node
// The command line's entry. It loads the argument parser only; a command loads what it needs when it
// runs, so that help and small questions start quickly.

import { buildProgram } from './program.ts';

const program = buildProgram();
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe went away: that is no failure of ours.
  if (error.code === 'EPIPE') process.exit(0);
});

program.parseAsync(process.argv).catch(async (thrown: unknown) => {
  const { CommanderError } = await import('commander');
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? 0 : 2;
    return;
  }
  const { exitCodeOf, failureText } = await import('./failure.ts');
  process.stderr.write(`${failureText(thrown)}\n`);
  process.exitCode = exitCodeOf(thrown);
});
