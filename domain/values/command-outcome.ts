// What came of a command that ran while a guest stood still to be captured, and how it is kept: its
// output as an attachment, whose name says how it ended.

import { attachmentOfBytes, type Attachment } from './attachment.ts';

export interface CommandOutcome {
  /** Null where it did not end by itself, or never began. */
  readonly exitCode: number | null;
  /** What ended it; null: nothing did, or it never began. */
  readonly signal: string | null;
  /** Whether it was killed at the end of its time. */
  readonly isLate: boolean;
  /** Of its standard output and error, at most 64 KiB. */
  readonly output: Uint8Array;
  /** Whether there was more of it. */
  readonly isCut: boolean;
}

/** How an attachment's name begins that is the output of such a command. */
const PREFIX = 'at-capture.';
const SUCCEEDED = 'exit-0';

function endOf({ exitCode, signal, isLate }: CommandOutcome): string {
  if (isLate) return 'late';
  if (exitCode !== null) return `exit-${exitCode}`;
  return signal === null ? 'not-begun' : `signal-${signal}`;
}

/** The output of a command, under a name that says how it ended: `at-capture.exit-0`, `.late`, ... */
export const attachmentOfOutcome = (outcome: CommandOutcome): Attachment =>
  attachmentOfBytes(`${PREFIX}${endOf(outcome)}`, outcome.output);

/** How a command ended, of the name of its output; null: of another attachment. */
export const commandEndOf = (name: string): string | null =>
  name.startsWith(PREFIX) ? name.slice(PREFIX.length) : null;

/** What a person should know of a command; null: it did what it should, as far as it says. */
export function commandDoubt(outcome: CommandOutcome, timeoutMs: number): string | null {
  const end = endOf(outcome);
  const cut = outcome.isCut ? '; of its output the beginning was kept' : '';
  if (end === SUCCEEDED) return outcome.isCut ? `the command of --at-capture is done${cut}` : null;
  const how = outcome.isLate
    ? `was killed after ${timeoutMs} ms, with all that it had started`
    : `ended with ${end.replace('-', ' ')}`;
  return `the command of --at-capture ${how}${cut}; the capture is recorded, see its output with restore --with`;
}
