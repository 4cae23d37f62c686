// Clones where nothing of the ledger is but a socket: how long until they run, and what comes over it for
// each. In a network of their own where that can be made.

import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { MIB, type BenchContext } from './bench.ts';
import type { CloneStarts } from './clone-starts.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

/** Whoever has the key of the group knows what is zeros, and checks all else. */
const RUNS = [
  { count: 1, isKeyed: false },
  { count: 4, isKeyed: false },
  { count: 16, isKeyed: false },
  { count: 16, isKeyed: true },
] as const;
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
  const key = await starts.exportKey();
  for (const { count, isKeyed } of context.isQuick ? RUNS.slice(0, 1) : RUNS) {
    const having = isKeyed ? 'the key and a socket are' : 'only a socket is';
    context.tell(`${count} clones start where ${having}`);
    const name = `far-${count}${isKeyed ? '-keyed' : ''}`;
    const served = await starts.serve(name);
    const from = ['--from', served.socket, ...(isKeyed ? ['--key', key] : [])];
    const words = ['clone', ...from, '--count', `${count}`];
    const guests = await starts.start(words, { name: `${name}-{n}`, count, through });
    await pause(LIVE_MS);
    const fetched = served.relay.bytes / MIB / count;
    await starts.end(guests);
    await served.close();
    rows.push(
      rowOf({
        what: `from the command until ${count} clones of a memory server run`,
        measured: figureOf([guests.seconds], 's'),
        note: isKeyed ? `${note}, with the key of the group: zeros are not fetched` : note,
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
