// `host serve`: takes guests that other hosts move here.

import { once } from 'node:events';
import type { Command } from 'commander';
import { thisHostName } from '../../../wiring/hosts/hosts.ts';
import { acceptLink, readLinkKey } from '../../link/connection.ts';
import { MigrationTarget } from '../../link/target.ts';
import { listenAddressOf } from '../../sockets/listen-address.ts';
import { SocketServer } from '../../sockets/socket-server.ts';
import { UsageError } from '../failure.ts';
import { untilSignal } from '../interruption.ts';
import { tell, warn, withLedger } from '../session.ts';
import { shellWords } from '../shell-word.ts';

export const goesOnUnread = true;

interface ServeOptions {
  readonly listen: string;
  readonly key?: string;
  readonly start?: readonly string[];
  readonly host?: string;
  readonly diskOk?: boolean;
}

/** Peers at once: one at a time moves a guest here. */
const PEERS_MAX = 16;

export const declare = (command: Command): Command =>
  command
    .requiredOption('--listen <address>', 'unix:PATH, tcp:HOST:PORT or a port of loopback')
    .option('--key <file>', "the workgroup's key, which both hosts have: needed over TCP")
    .option(
      '--start <command>',
      "QEMU's command line, by which guests are started here",
      shellWords,
    )
    .option('--host <name>', "the host's name (default: as its system calls it)")
    .option('--disk-ok', 'the disks are those of the guests, as they left them');

export async function run(command: Command): Promise<void> {
  const options = command.opts<ServeOptions>();
  const { listen, key: path, start = null, host = thisHostName(), diskOk } = options;
  const address = listenAddressOf(listen);
  if (address.kind === 'tcp' && path === undefined)
    throw new UsageError(
      "--key was expected with a TCP address: a file with the workgroup's key, as `openssl rand -hex 32` makes one",
    );
  const key = path === undefined || address.kind === 'unix' ? null : readLinkKey(path);
  await withLedger(command, 'write', async (ledger, output) => {
    const target = new MigrationTarget({
      ledger,
      host,
      command: start,
      isDiskOk: diskOk ?? false,
      onTold: (sentence) => tell(command, sentence),
    });
    const server = await SocketServer.listen(address, {
      serve: async (socket) => {
        const link = await acceptLink(socket, key).catch((thrown: unknown) => {
          tell(command, `a peer was turned away: ${String(thrown)}`);
          return null;
        });
        if (link !== null) await target.serve(link);
      },
      onFailure: (message) => warn(command, message),
      onTurnedAway: () => warn(command, 'a host was turned away: there are as many as are served'),
      clientsMax: PEERS_MAX,
    });
    const { address: at } = server;
    const where = at.kind === 'unix' ? `unix:${at.path}` : `tcp:${at.host}:${at.port}`;
    if (output.isJson) output.json({ host, address: where });
    else output.print(`host ${host} takes guests at ${where}; Ctrl-C ends it`);
    try {
      await untilSignal((signal) => once(signal, 'abort'));
    } finally {
      await server.close();
    }
  });
}
