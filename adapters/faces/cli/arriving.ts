// What `resume` does while a guest's memory arrives: it stays in the foreground. The first interruption
// gives the guest all that is left, the second leaves it standing and says how it goes on.

import type { Command } from 'commander';
import type { ArrivingMemory, Arrived } from '../../wiring/restore/resume.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { Interrupted, type Interrupting } from '../rows/failure-rows.ts';
import type { Row } from '../rows/row.ts';
import type { FarOptions } from './far-server.ts';
import { onInterruptions } from './interruption.ts';
import { bytesText, type Output } from './output.ts';
import { ledgerUrl, progressOf, tell } from './session.ts';
import { quoted } from './shell-word.ts';

const DRAW_MS = 500;

/** The command that goes on with a guest that was left, or whose giver was killed. */
export function recoveringLine(command: Command, qmpPath: string): string {
  const { from, key } = command.opts<FarOptions>();
  const going = `resume --recover ${quoted(qmpPath)}`;
  if (from === undefined) return `pageledger --ledger ${quoted(ledgerUrl(command))} ${going}`;
  const proved = key === undefined ? '' : ` --key ${quoted(key)}`;
  return `pageledger ${going} --from ${quoted(from)}${proved}`;
}

/** Watches for interruptions while a guest's memory arrives. */
function interruptions(command: Command, memory: ArrivingMemory) {
  let met: Interrupting | null = null;
  const end = onInterruptions((signal) => {
    if (met !== null) {
      memory.leave();
      return;
    }
    met = signal;
    const { pages, pageCount } = memory.progress();
    tell(
      command,
      `giving the guest the ${bytesText((pageCount - pages) * PAGE_BYTES)} that are left; again, and it is left standing`,
    );
    memory.push();
  });
  return { met: () => met, end };
}

const ENDED: Readonly<Record<Exclude<Arrived, 'left'>, string>> = {
  finished: 'all memory is there, and the guest runs on by itself',
  gone: 'the guest has ended',
};

/** Waits until a guest has its memory, and says how that went. Interrupted where it was left standing. */
export async function awaitArrival(
  command: Command,
  output: Output,
  of: { readonly memory: ArrivingMemory; readonly label: string; readonly row: Row },
): Promise<void> {
  const { memory, label } = of;
  const startedMs = performance.now();
  const signals = interruptions(command, memory);
  const line = recoveringLine(command, memory.qmpPath);
  const progress = progressOf(command, 'giving memory');
  const drawn = setInterval(() => {
    const { pages, pageCount } = memory.progress();
    progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES);
  }, DRAW_MS);
  let how: Arrived;
  try {
    how = await memory.arrived;
  } catch (thrown) {
    tell(command, `${label} is left standing; when the cause is mended, it goes on with: ${line}`);
    throw thrown;
  } finally {
    signals.end();
    clearInterval(drawn);
    progress.clear();
  }
  const counts = memory.counts();
  const arrivedMs = performance.now() - startedMs;
  if (output.isJson) output.json({ ...of.row, arrived: how, arrivedMs, ...counts });
  if (how === 'left')
    throw new Interrupted(
      signals.met() ?? 'SIGINT',
      `interrupted: ${label} stands at the next page that it lacks; it goes on with: ${line}`,
    );
  tell(
    command,
    `${label}: ${ENDED[how]}; ${counts.requests} requests, pages: ${counts.demanded} asked for, ` +
      `${counts.filled} beside them, ${counts.prefetched} prefetched, ${counts.pushed} pushed`,
  );
}
