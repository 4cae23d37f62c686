// `host join`: this host comes into the workgroup, or says what has changed of it.

import { InvalidArgumentError, type Command } from 'commander';
import { joinHost, thisHostName, type JoinRequest } from '../../../wiring/hosts/hosts.ts';
import { listenAddressOf } from '../../sockets/listen-address.ts';
import { withLedger } from '../session.ts';

interface JoinOptions {
  readonly host?: string;
  readonly address?: string;
  readonly distance?: JoinRequest['distances'];
}

/** A distance as it is written: HOST=N. */
function distanceOf(text: string, before: JoinRequest['distances'] = []): JoinRequest['distances'] {
  const [, host = '', distance = ''] = /^([^=]+)=(\d{1,15})$/u.exec(text) ?? [];
  if (host === '')
    throw new InvalidArgumentError(
      'HOST=N was expected, a host and how far it is, as a whole number.',
    );
  return [...before.filter((of) => of.host !== host), { host, distance: Number(distance) }];
}

export const declare = (command: Command): Command =>
  command
    .option('--host <name>', "the host's name (default: as its system calls it)")
    .option('--address <address>', 'where it takes guests, as `host serve` listens there')
    .option('--distance <host=n>', 'how far another host is, in any unit', distanceOf);

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { host = thisHostName(), address = null, distance } = command.opts<JoinOptions>();
    // Others connect to it: what is none is said here and now.
    if (address !== null) listenAddressOf(address);
    const distances = distance ?? [];
    const isNew = await joinHost(ledger, { host, address, distances });
    output.say(`host ${host} ${isNew ? 'is in the workgroup' : 'is as it was: nothing to do'}`);
    output.summary('host join', { host, joined: isNew });
  });
