// Clones of a memory server's point: whoever serves it is told of each, so that its ledger holds the point
// for them and knows where they run.

import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { StartedClone } from '../../wiring/clones/clones.ts';
import type { ToldClone } from '../../wiring/clones/far-clones.ts';
import { drawLease } from '../../wiring/points/leases.ts';
import { holderOf } from '../../wiring/processes.ts';
import type { FarServer } from '../nbd/far-memory.ts';
import { tellServer } from '../nbd/told-clones.ts';
import type { ToldLooks } from '../nbd/told-looks.ts';
import type { NumberedClone } from './running-guests.ts';
import { warn } from './session.ts';

/** How long a server that is away is tried when a clone has ended, and how often. */
const TOLD_MS = 10_000;
const AGAIN_MS = 500;

/** Tells a server that a clone has ended; where it stays away, says what is left in its ledger. */
async function tellEnded(command: Command, server: FarServer, told: ToldClone): Promise<void> {
  const { lease } = told;
  for (const limit = performance.now() + TOLD_MS; ; await pause(AGAIN_MS))
    try {
      await tellServer(server, { ...told, what: 'ended' });
      return;
    } catch (thrown) {
      if (!isLedgerError(thrown)) throw thrown;
      if (thrown.code === 'PEER_UNREACHABLE' && performance.now() < limit) continue;
      warn(
        command,
        `clone ${lease} has ended, and the ledger that served it holds its point still: \`lease --end ${lease}\` there lets it go (${thrown.message})`,
      );
      return;
    }
}

/** A memory server, how its clones come by their memory, and what it is told of that; null: nothing. */
interface FarWays {
  readonly server: FarServer;
  readonly kind: ToldClone['kind'];
  readonly told: ToldLooks | null;
}

/** Starts a clone and tells its server; one that nobody notes runs on all the same, which is said. */
export async function startFar<Clone extends StartedClone>(
  command: Command,
  { server, kind, told: looks }: FarWays,
  start: (name: string) => Promise<Clone>,
): Promise<{ readonly clone: Clone } & Pick<NumberedClone, 'teller'>> {
  const lease = drawLease();
  const clone = await start(lease);
  const { process: child, qmpPath: qmp } = clone;
  const holder = holderOf(child.pid ?? 0);
  const told: ToldClone = { what: 'began', kind, lease, holder, qmp, privatePages: null };
  try {
    await tellServer(server, told);
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    warn(
      command,
      `the ledger that serves its point knows nothing of clone ${lease}, and may forget that once the server has gone: ${thrown.message}`,
    );
    return { clone, teller: null };
  }
  looks?.add(lease, holder);
  return {
    clone: { ...clone, id: lease },
    teller: {
      dropped: async (pages) => looks?.dropped(lease, pages),
      ended: (privatePages) => tellEnded(command, server, { ...told, privatePages }),
    },
  };
}

/** Says of a clone that another process started, and has ended by now. */
export const tellFarEnded = (
  command: Command,
  server: FarServer,
  of: Pick<ToldClone, 'lease' | 'holder' | 'qmp'>,
): Promise<void> =>
  tellEnded(command, server, { ...of, what: 'ended', kind: 'postcopy', privatePages: null });
