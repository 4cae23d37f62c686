// `serve memory`: a point for clones on hosts that hold no page of it.

import { once } from 'node:events';
import type { Command } from 'commander';
import { mappedBlockOf } from '../../../wiring/clones/clone-base.ts';
import { publishMaster } from '../../../wiring/clones/clones.ts';
import { FarClones } from '../../../wiring/clones/far-clones.ts';
import {
  devicesOf,
  identifiersOf,
  keyAtHand,
  sealBy,
  serverKeyOf,
} from '../../../wiring/clones/master-memory.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { Exports } from '../../nbd/exports.ts';
import { placeText } from '../../nbd/far-client.ts';
import { masterExports } from '../../nbd/master-exports.ts';
import { serveNbd } from '../../nbd/server.ts';
import { listenAddressOf } from '../../sockets/listen-address.ts';
import { untilSignal } from '../interruption.ts';
import { warn, withLedger } from '../session.ts';
import { waitingTold } from '../waiting.ts';

export const goesOnUnread = true;

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point', 'latest')
    .requiredOption(
      '--listen <address>',
      "unix:PATH, tcp:HOST:PORT or a port of loopback; over TCP both sides need the key of the VM's group",
    );

export async function run(command: Command): Promise<void> {
  const { vm, at, listen } = command.opts<{ vm: string; at: string; listen: string }>();
  const address = listenAddressOf(listen);
  await withLedger(command, 'use', async (ledger, output) => {
    const entry = ledger.vm(vm);
    const point = { entry, row: ledger.resolve(entry, at) };
    const { capture } = point.row;
    const block = mappedBlockOf(point);
    const key = await keyAtHand(ledger, point);
    if (key === null && address.kind === 'tcp')
      throw new LedgerError(
        'KEY_MISSING',
        `memory is served over TCP to who has the key of the group alone, and that of ${entry.state.registered?.group ?? ''} is not on this host`,
        { vm },
      );
    const name = `@${capture}/${block}`;
    const use = { kind: 'server', restored: { how: 'server', to: listen } } as const;
    const waiting = waitingTold(command);
    const exports = new Exports({ ledger, vm, listed: 'named', use, waiting });
    // Held from before the first client until the last has gone.
    const opened = await exports.open(name);
    try {
      await opened.hold();
      const clones = new FarClones(ledger, { point, block });
      const server = await serveNbd(address, {
        exports: masterExports({
          master: { vm, capture, block },
          memory: () => exports.open(name),
          devices: await devicesOf(ledger, point, block),
          identifiers: key === null ? null : await identifiersOf(ledger, point, block),
          seal: key === null ? null : sealBy(key),
          told: (told) => clones.note(told),
        }),
        ...(address.kind === 'tcp' && key !== null ? { key: serverKeyOf(key) } : {}),
        onFailure: (message) => warn(command, message),
        onTurnedAway: () =>
          warn(command, 'a client was turned away: there are as many as are served at once'),
      });
      try {
        const place = placeText(server.address);
        await publishMaster(ledger, { point, block, path: place });
        if (output.isJson) output.json({ vm, capture, block, ...server.address });
        else output.print(`serving ${vm}@${capture} at ${place}; Ctrl-C ends it`);
        await untilSignal((signal) => once(signal, 'abort'));
      } finally {
        await server.close();
      }
    } finally {
      opened.close();
      await exports.settled();
    }
  });
}
