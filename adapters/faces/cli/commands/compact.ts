// `compact`: what is stored, smaller, and space that nobody needs, back.

import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { compact, graceMsOf, type CompactedLedger } from '../../../wiring/forget/compact.ts';
import type { LaidOutAnew } from '../../../wiring/points/layout-anew.ts';
import { durationMs } from '../../../../domain/values/instant.ts';
import { compactRow } from '../../rows/compact-rows.ts';
import { Interrupted } from '../../rows/failure-rows.ts';
import { UsageError } from '../failure.ts';
import { untilSignal } from '../interruption.ts';
import { bytesText, type Output } from '../output.ts';
import { isoTime } from '../../rows/row.ts';
import { progressOf, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .option(
      '--grace <duration>',
      'how long emptied packs wait (default: 0s where one host has log and packs, else 1h)',
    )
    .option('--dry-run', 'say what it would give, and change nothing');

function graceAsked(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = durationMs(text);
  if (ms !== null) return ms;
  throw new UsageError('--grace is a duration such as 0s, 90s or 1h');
}

const packsText = (count: number): string => (count === 1 ? '1 pack' : `${count} packs`);

/** What was laid out by what guests asked for, or would be. */
function anewText({ vm, name, traced, made }: LaidOutAnew): string {
  if (made === null)
    return `checkpoint ${name} of ${vm} would be laid out anew, by the ${traced} pages that guests asked for`;
  const { bytes, readsBefore, reads } = made;
  return `checkpoint ${name} of ${vm} laid out anew, by the ${traced} pages that guests asked for: ${bytesText(bytes)} copied, ${reads} reads of these instead of ${readsBefore}`;
}

function say(
  output: Output,
  { rewritten, released, deleted, unreadable, laidOut, laidOutAnew }: CompactedLedger,
  isDryRun: boolean,
): void {
  const { packs, bytesBefore, bytesAfter } = rewritten;
  if (packs === 0) output.say('nothing to rewrite');
  else if (isDryRun)
    output.say(
      `would rewrite ${packsText(packs)} of ${bytesText(bytesBefore)} into about ${bytesText(bytesAfter)} or less`,
    );
  else
    output.say(
      `${packsText(packs)} of ${bytesText(bytesBefore)} rewritten into ${bytesText(bytesAfter)}; ${released} pages that no kept point holds released`,
    );
  if (packs > 0 && !isDryRun && laidOut.points > 0)
    output.say(
      `${laidOut.points === 1 ? '1 point that was' : `${laidOut.points} points that were`} laid out kept together: ${laidOut.reads} reads, ${laidOut.readsBefore} before`,
    );
  for (const each of laidOutAnew) output.say(anewText(each));
  if (deleted.packs > 0)
    output.say(
      `${bytesText(deleted.bytes)} ${isDryRun ? 'could be given back now' : 'given back'} (${packsText(deleted.packs)})`,
    );
  if (deleted.waitingPacks > 0)
    output.say(
      `${bytesText(deleted.waitingBytes)} more (${packsText(deleted.waitingPacks)}) may go ${
        deleted.waitingUntilMs === null
          ? 'once the log is whole'
          : `from ${isoTime(deleted.waitingUntilMs)} on`
      }: run compact again then`,
    );
  if (unreadable.packs > 0)
    output.say(
      `${packsText(unreadable.packs)} of ${bytesText(unreadable.bytes)} passed over, for not all in them can be read: nothing of them was rewritten or deleted; run \`pageledger verify --repair\``,
    );
  if (deleted.doubt !== null)
    output.say(
      `packs that no event names stay, for events may be missing from the log: ${deleted.doubt}; run \`pageledger verify\``,
    );
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const options = command.opts<{ grace?: string; dryRun?: boolean }>();
    const graceMs = graceAsked(options.grace) ?? graceMsOf(ledger);
    const isDryRun = options.dryRun ?? false;
    const progress = progressOf(command, 'compacting');
    const { result, signal } = await untilSignal((abort) =>
      compact(ledger, {
        graceMs,
        isDryRun,
        signal: abort,
        onProgress: ({ pages, pageCount }) =>
          progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES),
      }),
    ).finally(() => progress.clear());
    output.summary('compact', compactRow(result, isDryRun));
    say(output, result, isDryRun);
    if (signal !== null && result.isStopped)
      throw new Interrupted(
        signal,
        `interrupted by ${signal}: what was rewritten stays, and compact goes on from there`,
      );
  });
