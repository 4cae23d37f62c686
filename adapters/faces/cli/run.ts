// Runs the command line that the process was started with. It loads the argument parser only; a
// command loads what it needs when it runs, so that help and small questions start quickly.

import { CommanderError } from 'commander';
import { buildProgram, parsedWords, wantsJson } from './program.ts';
import { withPeersName } from './peers-names.ts';
import { watchInterruptions } from './interruption.ts';
import { forStandardError } from './wrapped-text.ts';

let isSettled = false;
/** Whether the command does more than it prints. */
let isWorking = false;
const words = parsedWords(process.argv.slice(2));
const isJson = wantsJson(words);
const program = buildProgram({
  isJson,
  onCommand: ({ goesOnUnread }) => {
    isWorking = goesOnUnread ?? false;
  },
});

let isUnread = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe went away, or a disk is full: no reason to leave work half done.
  const isFirst = !isUnread;
  isUnread = true;
  const sentence = `standard output cannot be written: ${error.message}`;
  if (isWorking) {
    if (isFirst && error.code !== 'EPIPE')
      process.stderr.write(
        `pageledger: warning: ${sentence}; what it would show is in the ledger\n`,
      );
    return;
  }
  isSettled = true;
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`pageledger: ${sentence}\n`);
  process.exit(1);
});
// A sentence for people that cannot be written is lost, and nothing else.
process.stderr.on('error', () => undefined);

// An event loop that runs dry before a command has ended is no success.
process.once('exit', () => {
  if (isSettled) return;
  process.stderr.write('pageledger: ended before its work was done; please report it\n');
  process.exitCode = 1;
});

async function fail(thrown: unknown): Promise<void> {
  // What was thrown where help was printed is no failure.
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return;
  const { exitCodeOf, failureJson, failureText, UsageError } = await import('./failure.ts');
  let failure = thrown;
  if (thrown instanceof CommanderError) {
    const isHelp = thrown.code === 'commander.help';
    const sentence = isHelp
      ? 'a command was expected; `pageledger --help` lists them'
      : withPeersName(thrown.message)
          .trimEnd()
          .replace(/^error: /u, '');
    failure = new UsageError(sentence);
  }
  process.exitCode = exitCodeOf(failure);
  // The parser has said it already, in its own form.
  if (isJson) process.stderr.write(failureJson(failure));
  else if (failure === thrown) process.stderr.write(`${forStandardError(failureText(failure))}\n`);
}

watchInterruptions((interrupted) => {
  isSettled = true;
  void fail(interrupted).then(() => process.exit());
});
async function run(): Promise<void> {
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (thrown) {
    await fail(thrown);
  }
  isSettled = true;
}
/** Resolves when the command has ended, however, for who runs one after the other in one process. */
export const ended = run();
