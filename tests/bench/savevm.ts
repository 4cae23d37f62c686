// QEMU's own way: `savevm` into a qcow2 file, again and again, while the guest works.

import { join } from 'node:path';
import { connectQmp, type QmpClient } from '../../adapters/guests/qemu/qmp-client.ts';
import { assert } from '../../domain/values/assert.ts';
import { MIB, type BenchContext } from './bench.ts';
import { seriesSize, workingGuest } from './guest-series.ts';
import { diskBytes } from './ledgers.ts';

const BETWEEN_MS = 2000;

export interface Saved {
  readonly pauseMs: readonly number[];
  readonly bytes: readonly number[];
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Runs a job of QEMU to its end. */
async function job(qmp: QmpClient, id: string, options: Record<string, unknown>): Promise<void> {
  await qmp.execute('blockdev-create', { 'job-id': id, options });
  for (;;) {
    const jobs = (await qmp.execute('query-jobs')) as { id: string; status: string }[];
    const found = jobs.find((candidate) => candidate.id === id);
    if (found?.status === 'concluded') break;
    await pause(20);
  }
  await qmp.execute('job-dismiss', { id });
}

/** Gives a running guest a qcow2 file for its states; it is no disk of the guest. */
async function addStates(qmp: QmpClient, filename: string): Promise<void> {
  const node = { driver: 'file', filename };
  await job(qmp, 'make-file', { ...node, size: 0 });
  await qmp.execute('blockdev-add', { ...node, 'node-name': 'states-file' });
  await job(qmp, 'make-states', { driver: 'qcow2', file: 'states-file', size: 64 * MIB });
  const states = { driver: 'qcow2', file: 'states-file', 'node-name': 'states' };
  await qmp.execute('blockdev-add', states);
}

/** Saves a guest as often as the series has captures. Null where no guest can run here. */
export async function saveGuest(context: BenchContext): Promise<Saved | null> {
  const working = await workingGuest(context, 'saved-guest');
  if (working === null) return null;
  const { guest } = working;
  context.tell('a guest is saved by savevm');
  const disk = join(context.folder, 'states.qcow2');
  const pauseMs: number[] = [];
  const bytes: number[] = [];
  try {
    const qmp = await connectQmp({ path: guest.qmpPath, commandTimeoutMs: 120_000 });
    await addStates(qmp, disk);
    for (let i = 0; i < seriesSize(context).count; i += 1) {
      await pause(BETWEEN_MS);
      const before = diskBytes(disk);
      const start = performance.now();
      const said = await qmp.monitor(`savevm s${i}`);
      pauseMs.push(performance.now() - start);
      assert(said === '', `savevm succeeds: ${said}`);
      bytes.push(diskBytes(disk) - before);
    }
    qmp.close();
  } finally {
    await guest.kill();
  }
  return { pauseMs, bytes };
}
