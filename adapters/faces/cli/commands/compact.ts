// `compact`: what is stored, smaller, and space that nobody needs, back.

import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { compact, graceMsOf, type CompactedLedger } from '../../../wiring/forget/compact.ts';
import type { LaidOutAnew } from '../../../wiring/points/layout-anew.ts';
import { durationMs } from '../../../../domain/values/instant.ts';
import { compactRow, givenBackBytesOf } from '../../rows/compact-rows.ts';
import { Interrupted } from '../../rows/failure-rows.ts';
import { UsageError } from '../failure.ts';
import { untilSignal } from '../interruption.ts';
import { bytesText, counted, type Output } from '../output.ts';
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

const packsText = (count: number): string => counted(count, 'pack');

/** What was laid out by what guests asked for, or would be. */
function anewText({ vm, name, traced, made }: LaidOutAnew): string {
  if (made === null)
    return `checkpoint ${name} of ${vm} would be laid out anew, by the ${counted(traced, 'page')} that guests asked for`;
  const { bytes, readsBefore, reads } = made;
  return `checkpoint ${name} of ${vm} laid out anew, by the ${counted(traced, 'page')} that guests asked for: ${bytesText(bytes)} copied, ${counted(reads, 'read')} of these instead of ${readsBefore}`;
}

/** What became of packs that were, or would be, rewritten. */
function sayRewritten(output: Output, compacted: CompactedLedger, isDryRun: boolean): void {
  const { rewritten, released, laidOut, isStopped } = compacted;
  const { packs, bytesBefore, bytesAfter } = rewritten;
  if (isDryRun && packs > 0)
    output.say(
      `would rewrite ${packsText(packs)} of ${bytesText(bytesBefore)} into about ${bytesText(bytesAfter)} or less`,
    );
  if (isDryRun) return;
  if (packs > 0)
    output.say(
      `${packsText(packs)} of ${bytesText(bytesBefore)} rewritten into ${bytesText(bytesAfter)}`,
    );
  if (released > 0)
    output.say(
      `${released === 1 ? '1 page that no kept point holds was' : `${released} pages that no kept point holds were`} let go of`,
    );
  if (packs > 0 && !isStopped && laidOut.points > 0)
    output.say(
      `${laidOut.points === 1 ? '1 point that was' : `${laidOut.points} points that were`} laid out kept together: ${laidOut.reads} reads, ${laidOut.readsBefore} before`,
    );
}

/** What there is less of now, or more. */
function sayGivenBack(output: Output, compacted: CompactedLedger, isDryRun: boolean): void {
  const { deleted, writtenBytes } = compacted;
  const packs = packsText(deleted.packs);
  if (isDryRun && deleted.packs > 0)
    output.say(`${bytesText(deleted.bytes)} could be given back now (${packs})`);
  if (isDryRun) return;
  const givenBack = givenBackBytesOf(compacted, false);
  if (deleted.packs > 0 && writtenBytes === 0)
    output.say(`${bytesText(givenBack)} given back (${packs})`);
  else if (givenBack > 0)
    output.say(
      `${bytesText(givenBack)} given back: ${packs} of ${bytesText(deleted.bytes)} deleted, ${bytesText(writtenBytes)} written`,
    );
  else if (writtenBytes > 0)
    output.say(
      `${bytesText(-givenBack)} more are taken for now: ${bytesText(writtenBytes)} written, ${deleted.packs === 0 ? 'nothing' : `${packs} of ${bytesText(deleted.bytes)}`} deleted`,
    );
}

/** Whether there was nothing to do, and nothing is left to be done. */
const isNothing = ({
  rewritten,
  released,
  deleted,
  unreadable,
  laidOutAnew,
  isStopped,
}: CompactedLedger): boolean =>
  rewritten.packs + released + deleted.packs + deleted.waitingPacks + unreadable.packs === 0 &&
  laidOutAnew.length === 0 &&
  !isStopped;

function say(output: Output, compacted: CompactedLedger, isDryRun: boolean): void {
  const { deleted, unreadable, laidOutAnew } = compacted;
  if (isNothing(compacted)) output.say('nothing to rewrite, and nothing to give back');
  sayRewritten(output, compacted, isDryRun);
  for (const each of laidOutAnew) output.say(anewText(each));
  sayGivenBack(output, compacted, isDryRun);
  if (deleted.waitingPacks > 0)
    output.say(
      `${packsText(deleted.waitingPacks)} of ${bytesText(deleted.waitingBytes)} ${deleted.waitingPacks === 1 ? 'waits' : 'wait'} to be deleted, and may go ${
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

/** What an interrupted compaction has done, and what is left. */
function stoppedText({ rewritten, left, leftCheckpoints }: CompactedLedger): string {
  const pages = counted(rewritten.pages, 'page');
  const done =
    rewritten.pages === 0
      ? 'nothing was rewritten'
      : `${pages} rewritten into ${bytesText(rewritten.bytesAfter)}, which stays`;
  const rest = [
    ...(left.packs === 0
      ? []
      : [`${packsText(left.packs)} of ${bytesText(left.bytes)} to rewrite`]),
    ...(leftCheckpoints === 0 ? [] : [`${counted(leftCheckpoints, 'checkpoint')} to lay out anew`]),
  ];
  return rest.length === 0
    ? done
    : `${done}; left are ${rest.join(' and ')}, and compact goes on from there`;
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
      throw new Interrupted(signal, `interrupted by ${signal}: ${stoppedText(result)}`);
  });
