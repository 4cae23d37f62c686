// `clone`: starts guests from one point, all over one file of its memory, and sees to them until they end.

import type { Command } from 'commander';
import { publishMaster, startClone, type CloneBase } from '../../../wiring/clones/clones.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../../wiring/ledger/vm-point.ts';
import { Limiter } from '../../../../domain/values/limiter.ts';
import { escapedLines } from '../../rows/escaped-text.ts';
import { positiveNumber } from '../argument-values.ts';
import { mountedBase, ownBase } from '../clone-bases.ts';
import { RunningGuests, type MemoryLimit } from '../running-guests.ts';
import { tellStarted, untilEnded } from '../started-clones.ts';
import { UsageError } from '../failure.ts';
import { bytesText, type Output } from '../output.ts';
import { tell, warn, withLedger } from '../session.ts';

interface CloneOptions {
  readonly vm: string;
  readonly at: string;
  readonly count: number;
  readonly over?: string;
  readonly diskOk?: boolean;
  readonly memory?: number;
}

const MIB = 2 ** 20;
/** Guests that are started at once. */
const STARTED_AT_ONCE = 4;
/** Stands for a clone's number in QEMU's words. */
const NUMBER = '{n}';

export const declare = (command: Command): Command =>
  command
    .argument('[command...]', `after --: QEMU's command line; ${NUMBER} in it is a clone's number`)
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point', 'latest')
    .option('--count <n>', 'how many', positiveNumber, 1)
    .option(
      '--over <folder>',
      'where a point is mounted with `mount --block`, this one or one that is much like it (default: one is mounted for these clones)',
    )
    .option(
      '--memory <MiB>',
      'what all clones may take of the host together: beyond it they drop what they can read again',
      positiveNumber,
    )
    .option('--disk-ok', 'the disks are as they were at that moment');

/** QEMU's words for one of the clones. */
const wordsOf = (words: readonly string[], n: number): readonly string[] =>
  words.map((word) => word.replaceAll(NUMBER, String(n)));

/** Refuses words that would be the same where each clone needs its own. */
function checkWords({ args }: Command, count: number): void {
  if (args.length === 0)
    throw new UsageError(
      `a command line was expected after --, as -- qemu-system-x86_64 ARGS...; ${NUMBER} in it is a clone's number`,
    );
  const one = args.find((word) => /^(?:file|unix|pty|pipe):/u.test(word) && !word.includes(NUMBER));
  if (count > 1 && one !== undefined)
    throw new UsageError(
      `all ${count} clones would use ${one}: say ${NUMBER} in it, which is a clone's number`,
    );
}

/** What clones may take together; null: all there is. */
function limitOf(command: Command): MemoryLimit | null {
  const { memory } = command.opts<CloneOptions>();
  if (memory === undefined) return null;
  return {
    bytes: memory * MIB,
    onExcess: (bytes) =>
      warn(
        command,
        `clones wrote ${bytesText(bytes)} more than the ${memory} MiB that they may take: that is nowhere else, so it stays in memory`,
      ),
  };
}

/** Starts the clones, all or none. */
async function startAll(
  command: Command,
  { ledger, output }: { readonly ledger: Ledger; readonly output: Output },
  of: { readonly point: VmPoint; readonly base: CloneBase },
): Promise<RunningGuests> {
  const { count, diskOk = false } = command.opts<CloneOptions>();
  const { point, base } = of;
  const limit = limitOf(command);
  const running = new RunningGuests(ledger, limit);
  const limiter = new Limiter(STARTED_AT_ONCE);
  const start = async (n: number): Promise<void> => {
    const clone = await startClone(ledger, point, {
      base,
      command: wordsOf(command.args, n),
      isDiskOk: diskOk,
      isAccounted: limit !== null,
      onStderr: (text) => process.stderr.write(`${escapedLines(text.trimEnd())}\n`),
    });
    running.add({ n, point, clone });
    tellStarted(command, output, { n, point, clone });
  };
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const started = await Promise.allSettled(numbers.map((n) => limiter.run(() => start(n))));
  const failed = started.find((each) => each.status === 'rejected');
  if (failed === undefined) return running;
  await running.end();
  throw failed.reason;
}

export const run = (command: Command): Promise<void> => {
  const { vm, at, count, over } = command.opts<CloneOptions>();
  checkWords(command, count);
  return withLedger(command, 'use', async (ledger, output) => {
    const entry = ledger.vm(vm);
    const point = { entry, row: ledger.resolve(entry, at) };
    const used =
      over === undefined ? await ownBase(command, point) : mountedBase(ledger, point, over);
    try {
      await publishMaster(ledger, used.base);
      const running = await startAll(command, { ledger, output }, { point, base: used.base });
      if (!output.isJson)
        tell(command, `${count} clones run over ${used.base.path}; Ctrl-C ends them`);
      await untilEnded(running);
      const { capture } = point.row;
      output.summary('clone', { vm, capture, clones: count, ...running.pages });
    } finally {
      await used.letGo();
    }
  });
};
