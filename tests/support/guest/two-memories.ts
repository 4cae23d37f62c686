// The memory of a guest at work, twice: what the codec of pages is trained on and measured with.

import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connectQmp } from '../../../adapters/guests/qemu/qmp-client.ts';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { startBuiltGuest, ticked, type BuiltGuest } from './mixed-guests.ts';

export interface MemoriesRequest {
  readonly folder: string;
  readonly memoryMib: number;
  /** After how many ticks each is saved. */
  readonly ticks: readonly [number, number];
}

const COMMAND_TIMEOUT_MS = 120_000;

async function save(guest: DemoGuest, filename: string, size: number): Promise<void> {
  const qmp = await connectQmp({ path: guest.qmpPath, commandTimeoutMs: COMMAND_TIMEOUT_MS });
  try {
    await qmp.execute('stop');
    await qmp.execute('pmemsave', { val: 0, size, filename });
    await qmp.execute('cont');
  } finally {
    qmp.close();
  }
}

/** Files of a guest's main memory, at two moments; those that are in the folder already are kept. */
export async function twoMemories(
  guest: BuiltGuest<string>,
  request: MemoriesRequest,
): Promise<readonly [string, string]> {
  const { folder, memoryMib, ticks } = request;
  const files = [0, 1].map((i) => join(folder, `${guest.kind}-${i}.raw`)) as [string, string];
  if (files.every((file) => existsSync(file))) return files;
  const own = join(folder, guest.kind);
  const started = await startBuiltGuest(guest, { folder: own, memoryMib });
  try {
    for (const [i, file] of files.entries()) {
      await ticked(started, ticks[i]!);
      await save(started, `${file}.part`, memoryMib * 2 ** 20);
    }
  } finally {
    await started.kill();
    rmSync(own, { recursive: true, force: true });
  }
  for (const file of files) renameSync(`${file}.part`, file);
  return files;
}
