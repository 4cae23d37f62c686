// Clones where nothing of the ledger is but a socket: how long until they run, and what comes over it for
// each. In a network of their own where that can be made.

import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { MIB, type BenchContext } from './bench.ts';
import type { CloneStarts } from './clone-starts.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const NETWORK = ['unshare', '--net'];
/** How long clones live before what they fetched is looked at. */
const LIVE_MS = 5_000;

/** Rows of clones of a memory server. */
export async function farCloneRows(
  context: BenchContext,
  { starts, memoryMib }: { readonly starts: CloneStarts; readonly memoryMib: number },
): Promise<readonly Row[]> {
  const canBeApart = spawnSync(NETWORK[0]!, [...NETWORK.slice(1), 'true']).status === 0;
  const note = canBeApart ? 'in a network of their own' : 'in the network of the host';
  const through = canBeApart ? NETWORK : [];
  const limit = { what: "the guest's memory", figure: figureOf([memoryMib], 'MiB') };
  const rows: Row[] = [];
  for (const count of context.isQuick ? [1] : [1, 4, 16]) {
    context.tell(`${count} clones start where only a socket is`);
    const served = await starts.serve(`far-${count}`);
    const words = ['clone', '--from', served.socket, '--count', `${count}`];
    const guests = await starts.start(words, { name: `far-${count}-{n}`, count, through });
    await pause(LIVE_MS);
    const fetched = served.relay.bytes / MIB / count;
    await starts.end(guests);
    await served.close();
    rows.push(
      rowOf({
        what: `from the command until ${count} clones of a memory server run`,
        measured: figureOf([guests.seconds], 's'),
        note,
      }),
      rowOf({
        what: `fetched for each of ${count} that ran for ${LIVE_MS / 1000} s`,
        measured: figureOf([fetched], 'MiB'),
        limit,
      }),
    );
  }
  return rows;
}
