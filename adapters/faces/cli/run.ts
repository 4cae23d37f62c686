// Runs the command line that the process was started with. It loads the argument parser only; a
// command loads what it needs when it runs, so that help and small questions start quickly.

import { buildProgram, parsedWords } from './program.ts';

let isSettled = false;
/** Whether the command does more than it prints. */
let isWorking = false;
const program = buildProgram(({ goesOnUnread }) => {
  isWorking = goesOnUnread ?? false;
});

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe went away: that is no failure of ours, and no reason to leave work half done.
  if (error.code === 'EPIPE' && isWorking) return;
  isSettled = true;
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`pageledger: standard output cannot be written: ${error.message}\n`);
  process.exit(1);
});

// An event loop that runs dry before a command has ended is no success.
process.once('exit', () => {
  if (isSettled) return;
  process.stderr.write('pageledger: ended before its work was done; please report it\n');
  process.exitCode = 1;
});

async function fail(thrown: unknown): Promise<void> {
  const { CommanderError } = await import('commander');
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? 0 : 2;
    return;
  }
  const { exitCodeOf, failureText } = await import('./failure.ts');
  process.stderr.write(`${failureText(thrown)}\n`);
  process.exitCode = exitCodeOf(thrown);
}

try {
  await program.parseAsync(parsedWords(process.argv.slice(2)), { from: 'user' });
} catch (thrown) {
  await fail(thrown);
}
isSettled = true;
