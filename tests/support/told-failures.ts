// What a user is told when something fails: the exit code and the one sentence, from a command that ran
// or from the library, in the same form, without anything secret.

import { expect } from '@jest/globals';
import { exitCodeOf, failureText } from '../../adapters/faces/cli/failure.ts';
import type { Outcome } from './command-line.ts';
import { TEST_SECRET } from './s3-server/s3-server.ts';

/** Passwords and keys that tests type; none may ever be seen again. */
export const SECRETS = [TEST_SECRET, 'pass-W0rd-of-a-user', 'another-Secr3t-key'] as const;
export const [, PASSWORD, OTHER_SECRET] = SECRETS;

export interface Told {
  readonly exitCode: number | null;
  readonly sentence: string;
}

/** No secret stands in it, as it was typed or percent-encoded. */
export function expectNoSecret(...texts: readonly string[]): void {
  for (const text of texts)
    for (const secret of SECRETS) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(encodeURIComponent(secret));
    }
}

/** All that hangs on a failure: a log of it, or a debugger, would show that. */
function depthsOf(failure: unknown): string {
  const texts: string[] = [];
  for (let at = failure; at instanceof Object; at = (at as { cause?: unknown }).cause) {
    const {
      stack,
      message,
      facts: kept,
    } = at as { stack?: string; message?: string; facts?: unknown };
    const facts = JSON.stringify(kept, (_name, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    texts.push(stack ?? '', message ?? '', facts ?? '');
  }
  return texts.join('\n');
}

/** What a failure of the library is told as on the command line. */
export async function toldBy(work: Promise<unknown>): Promise<Told> {
  const failure: unknown = await work.then(
    () => {
      throw new TypeError('it was expected to fail, and it did not');
    },
    (thrown: unknown) => thrown,
  );
  const sentence = failureText(failure);
  expectNoSecret(sentence, depthsOf(failure));
  expect(sentence).not.toContain('unexpected failure');
  return { exitCode: exitCodeOf(failure), sentence };
}

/** The sentence of an error as --json tells it, as it is without. */
function sentenceOf(line: string): string {
  if (!line.startsWith('{')) return line;
  const { error } = JSON.parse(line) as { error: { code: string; message: string } };
  return `pageledger: ${error.message} [${error.code}]`;
}

/** What a command that failed has told, on its last line; notices may stand before it. */
export function toldIn({ exitCode, stdout, stderr }: Outcome): Told {
  expectNoSecret(stderr, stdout.toString('utf8'));
  const lines = stderr.trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^(?:pageledger: |\{"error":)/u);
  expect(stderr).not.toContain('unexpected failure');
  return { exitCode, sentence: sentenceOf(lines.at(-1)!) };
}

/** What is told with this exit code and these words in it, in this order. */
export const saying = (exitCode: number, ...words: readonly string[]): Told => ({
  exitCode,
  sentence: expect.stringMatching(
    new RegExp(
      words.map((word) => word.replaceAll(/[$()*+.?[\\\]^{|}]/gu, '\\$&')).join('.*'),
      'su',
    ),
  ) as unknown as string,
});
