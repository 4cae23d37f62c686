// Clones that a command has started: it says so of each, and stays until they have ended.

import { once } from 'node:events';
import type { Command } from 'commander';
import { CloneStderr } from './clone-stderr.ts';
import type { ParentPoint } from '../../../domain/vm.ts';
import type { Output } from './output.ts';
import type { NumberedClone, RunningGuests } from './running-guests.ts';
import { tell, warn } from './session.ts';

/** A point as people and rows name it. */
export const pointText = ({ vm, capture }: ParentPoint): string => `${vm}@${capture}`;

/** Says of a clone that it runs, and over which point. */
export function tellStarted(
  command: Command,
  output: Output,
  { n, master, clone, base }: NumberedClone & { readonly base: ParentPoint },
): void {
  const { id, process: child, qmpPath, runState, startMs, sentPages } = clone;
  const { vm, capture } = master;
  const pid = child.pid ?? null;
  if (output.isJson)
    output.json({
      n,
      id,
      vm,
      capture,
      base: pointText(base),
      pid,
      qmp: qmpPath,
      state: runState,
      startMs,
      sentPages,
    });
  else
    tell(
      command,
      `clone ${n} of ${vm}@${capture} is ${runState} after ${startMs.toFixed(0)} ms (process ${pid ?? '?'}, QMP at ${qmpPath})`,
    );
}

/** Where the QEMUs of all clones of a command say what they say. */
export const stderrOf = (command: Command): CloneStderr =>
  new CloneStderr({
    write: (text) => process.stderr.write(text),
    onKeptPages: () =>
      warn(
        command,
        'a clone gives pages back, as by a balloon: they stay in this host, since its base has them otherwise',
      ),
  });

/** Waits until all have ended; an interruption, which may have been before, ends them. */
export async function untilEnded(running: RunningGuests, abort: AbortSignal): Promise<void> {
  if (!abort.aborted) await Promise.race([running.ended, once(abort, 'abort')]);
  await running.end();
}
