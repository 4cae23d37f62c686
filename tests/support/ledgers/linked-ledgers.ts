// Two ledgers of hosts that are linked by a Unix socket, in one process.

import { connect } from 'node:net';
import { Link } from '../../../adapters/faces/link/frames.ts';
import { acceptLink } from '../../../adapters/faces/link/connection.ts';
import { MigrationTarget, type TargetWays } from '../../../adapters/faces/link/target.ts';
import { SocketServer } from '../../../adapters/faces/sockets/socket-server.ts';
import { exportGroup, importGroup, openLedger, type Ledger } from '../../../index.ts';

/** A ledger that takes guests at a socket. */
export interface TakingLedger {
  readonly ledger: Ledger;
  readonly path: string;
  /** What the target told people. */
  readonly told: readonly string[];
  close(): Promise<void>;
}

/** Lets a ledger take guests, as host `two`. */
export async function taking(
  ledger: Ledger,
  path: string,
  ways: Partial<TargetWays> = {},
): Promise<TakingLedger> {
  const told: string[] = [];
  const target = new MigrationTarget({
    ledger,
    host: 'two',
    command: null,
    isDiskOk: false,
    onTold: (sentence) => told.push(sentence),
    ...ways,
  });
  const server = await SocketServer.listen(
    { kind: 'unix', path },
    {
      serve: async (socket) => target.serve(await acceptLink(socket, null)),
      onFailure: (message) => told.push(`failure: ${message}`),
      onTurnedAway: () => told.push('turned away'),
    },
  );
  return { ledger, path, told, close: () => server.close() };
}

/** A new ledger in memory that has the key of another's default group. */
export async function siblingOf(ledger: Ledger): Promise<Ledger> {
  const sibling = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
  await importGroup(sibling, {
    text: await exportGroup(ledger, 'default'),
    where: 'the other host',
  });
  return sibling;
}

/** Connects to a socket. */
export const linkTo = (path: string): Promise<Link> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      resolve(new Link(socket));
    });
  });

/** Reaches a target once: the link ends as the guest is handed over, and nobody answers from then on. */
export function reachLosingHandOver(path: string): () => Promise<Link> {
  let isAway = false;
  return async () => {
    if (isAway) throw new TypeError('nobody answers');
    isAway = true;
    const link = await linkTo(path);
    const send = link.send.bind(link);
    link.send = async (kind, body) => {
      if (kind === 'handOver') link.close();
      return send(kind, body);
    };
    return link;
  };
}
