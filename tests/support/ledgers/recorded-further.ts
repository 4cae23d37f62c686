// A VM that goes on while somebody reads points of it: it is recorded again and again, what was recorded
// meanwhile is forgotten but for the newest, and the ledger compacted, which takes away what nobody holds.

import type { LedgerCommands } from '../command-line.ts';

/** Rounds that are made at least, however soon the work is done. */
const ROUNDS_MIN = 2;

/**
 * Does `work` while `record` records the VM's next capture, round after round, each followed by a
 * compaction. `round` counts from 0. What the work gives, when a last round has ended.
 */
export async function whileRecordedFurther<T>(
  commands: LedgerCommands,
  { vm, record }: { readonly vm: string; readonly record: (round: number) => Promise<unknown> },
  work: () => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const working = work().finally(() => done.abort());
  // Its failure is met when it is waited for.
  working.catch(() => undefined);
  const before = await capturesOf(commands, vm);
  for (let round = 0; round < ROUNDS_MIN || !done.signal.aborted; round += 1) {
    await record(round);
    if (round > 0) await commands.json('forget', '--vm', vm, '--at', `@${before + round}`);
    await commands.json('compact', '--grace', '0s');
  }
  return working;
}

async function capturesOf(commands: LedgerCommands, vm: string): Promise<number> {
  const [newest] = await commands.json('captures', '--vm', vm, '--last', '1');
  return Number(newest!['capture']);
}
