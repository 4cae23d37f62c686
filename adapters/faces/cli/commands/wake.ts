// `wake`: starts a parked clone again, over its master's point, with what it had modified out of its capture.

import type { Command } from 'commander';
import { publishMaster, startClone, tellerOf } from '../../../wiring/clones/clones.ts';
import {
  noteWoken,
  parkedNamed,
  wakingPoint,
  whileWaking,
  type ParkedClone,
} from '../../../wiring/clones/parking.ts';
import { PageLooks } from '../../../wiring/clones/page-looks.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../../wiring/ledger/vm-point.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import { usedBase } from '../clone-bases.ts';
import { UsageError } from '../failure.ts';
import { unlessInterrupted } from '../interruption.ts';
import { RunningGuests } from '../running-guests.ts';
import { stderrOf, tellStarted, untilEnded } from '../started-clones.ts';
import { tell, withLedger } from '../session.ts';

interface WakeOptions {
  readonly over?: string;
  readonly diskOk?: boolean;
}

export const declare = (command: Command): Command =>
  command
    .argument('<id>', 'the clone, as `clones` shows it')
    .argument('[command...]', "after --: QEMU's command line")
    .option(
      '--over <folder>',
      "where a point that is much like it is mounted (default: its master's is mounted for it)",
    )
    .option('--disk-ok', 'the disks are as they were at that moment');

/** The point that it is woken over: its master's, as long as that is kept, else its own. */
function basePoint(ledger: Ledger, { vm, capture }: ParkedClone, own: VmPoint): VmPoint {
  if (capture === null) return own;
  try {
    const entry = ledger.vm(vm);
    return { entry, row: ledger.resolve(entry, `@${capture}`) };
  } catch (thrown) {
    if (isLedgerError(thrown)) return own;
    throw thrown;
  }
}

export const run = (command: Command): Promise<void> => {
  const [id = '', ...words] = command.args;
  if (words.length === 0)
    throw new UsageError('a command line was expected after --, as -- qemu-system-x86_64 ARGS...');
  const told = `clone ${id} is parked still, and nothing is mounted for it`;
  return unlessInterrupted(told, (abort) => wake(command, { id, words, abort }));
};

/** Wakes it, and stays until it has ended. */
const wake = (
  command: Command,
  of: { readonly id: string; readonly words: readonly string[]; readonly abort: AbortSignal },
): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { id, words, abort } = of;
    const { over, diskOk = false } = command.opts<WakeOptions>();
    const parked = parkedNamed(ledger, id);
    const point = wakingPoint(ledger, parked);
    const used = await usedBase(command, ledger, {
      point,
      clones: 1,
      else: basePoint(ledger, parked, point),
      ...(over === undefined ? {} : { over }),
    });
    try {
      await publishMaster(ledger, used.base);
      const master = { vm: point.entry.vm, capture: point.row.capture };
      let isAwake = false;
      const clone = await whileWaking(ledger, parked, () =>
        startClone(ledger, point, {
          base: used.base,
          command: words,
          isDiskOk: diskOk,
          isAccounted: false,
          wake: async (lease) => {
            abort.throwIfAborted();
            await noteWoken(ledger, parked, lease);
            isAwake = true;
          },
          onStderr: stderrOf(command).ofOne(),
        }),
      ).catch((thrown: unknown) => {
        if (!isAwake) abort.throwIfAborted();
        throw thrown;
      });
      const running = new RunningGuests(null, PageLooks.ofPoint(ledger, point, used.base));
      const numbered = { n: 1, master, clone, teller: tellerOf(ledger, point, clone.id) };
      running.add(numbered);
      const { entry, row } = used.base.point;
      const base = { vm: entry.vm, capture: row.capture };
      tellStarted(command, output, { ...numbered, base });
      if (!output.isJson) tell(command, `clone ${id} is awake; Ctrl-C ends it`);
      await untilEnded(running, abort);
      output.summary('wake', { id, ...master, ...running.pages });
    } finally {
      await used.letGo();
    }
  });
