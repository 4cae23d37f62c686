// `serve nbd`: the points of a ledger as read-only disks, for any client of the NBD protocol.

import { once } from 'node:events';
import type { Command } from 'commander';
import { Exports, type Listed } from '../../nbd/exports.ts';
import { NBD_SOCKET, serveNbd } from '../../nbd/server.ts';
import { uriOf } from '../../nbd/uri.ts';
import { isOpenToOthers, listenAddressOf } from '../../sockets/listen-address.ts';
import { HeldFolder } from '../../../wiring/processes.ts';
import { UsageError } from '../failure.ts';
import { untilSignal } from '../interruption.ts';
import { warn, withLedger } from '../session.ts';
import { unknownOption } from '../unknown-option.ts';
import { waitingTold } from '../waiting.ts';

export const goesOnUnread = true;

export const declare = (command: Command): Command =>
  command
    .option('--vm <name>', 'of one VM, whose points then need no VM/ before them')
    .option(
      '--listen <address>',
      'unix:PATH, tcp:HOST:PORT or a port of loopback (default: a Unix socket of its own, which is printed)',
    )
    .option(
      '--list <which>',
      'which points a list shows: named (latest and checkpoints) or all',
      'named',
    )
    .addOption(unknownOption());

function listedOf(text: string): Listed {
  if (text === 'named' || text === 'all') return text;
  throw new UsageError(`--list ${JSON.stringify(text)} is not known: named or all was expected`);
}

export async function run(command: Command): Promise<void> {
  const options = command.opts<{
    vm?: string;
    listen?: string;
    list: string;
    unknown?: 'zero';
  }>();
  const listed = listedOf(options.list);
  const asked = options.listen === undefined ? null : listenAddressOf(options.listen);
  await withLedger(command, 'use', async (ledger, output) => {
    if (options.vm !== undefined) ledger.vm(options.vm);
    const exports = new Exports({
      ledger,
      vm: options.vm ?? null,
      listed,
      use: { kind: 'server', restored: { how: 'nbd' } },
      waiting: waitingTold(command),
      areUnknownZeros: options.unknown !== undefined,
    });
    const own = asked === null ? new HeldFolder() : null;
    try {
      const server = await serveNbd(asked ?? { kind: 'unix', path: own!.socket(NBD_SOCKET) }, {
        exports,
        onFailure: (message) => warn(command, message),
        onTurnedAway: () =>
          warn(command, 'a client was turned away: there are as many as are served at once'),
      });
      const uri = uriOf(server.address);
      if (isOpenToOthers(server.address))
        warn(
          command,
          'whoever reaches this address can read the memory of the guests: NBD asks for no password here',
        );
      if (output.isJson) output.json({ uri, ...server.address });
      else output.print(`serving points at ${uri}; Ctrl-C ends it`);
      try {
        await untilSignal((signal) => once(signal, 'abort'));
      } finally {
        await server.close();
        await exports.settled();
      }
    } finally {
      own?.remove();
    }
  });
}
