// `host advertise`: says in the log what this host holds, for others to move guests here.

import type { Command } from 'commander';
import {
  advertise,
  advertisementOf,
  DEFAULT_RULE,
  pointsHeld,
} from '../../../wiring/hosts/contents.ts';
import { thisHostName } from '../../../wiring/hosts/hosts.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { openLink, readLinkKey } from '../../link/connection.ts';
import { hearContents, tellContents } from '../../link/contents.ts';
import { greet } from '../../link/source.ts';
import { listenAddressOf } from '../../sockets/listen-address.ts';
import { collected, positiveNumber } from '../argument-values.ts';
import { withLedger } from '../session.ts';

interface AdvertiseOptions {
  readonly host?: string;
  readonly vm?: readonly string[];
  readonly peer?: readonly string[];
  readonly key?: string;
  readonly leastPages: number;
}

/** Tells a peer what this host holds, and hears what that does: who it is. */
async function exchange(
  ledger: Ledger,
  host: string,
  { address, key }: { readonly address: string; readonly key: string | undefined },
): Promise<string> {
  const link = await openLink(
    listenAddressOf(address),
    key === undefined ? null : readLinkKey(key),
  );
  try {
    const { host: peer } = await greet(link, { from: host, to: null, ledger: ledger.id });
    await tellContents(link, ledger, host);
    await hearContents(link, ledger, { peer, facts: null });
    return peer;
  } finally {
    link.close();
  }
}

export const declare = (command: Command): Command =>
  command
    .option('--host <name>', 'the host (default: this one)')
    .option('--vm <name>', 'a VM whose newest capture it has at hand (default: all)', collected)
    .option('--peer <address>', 'a host with a ledger of its own: both tell each other', collected)
    .option('--key <file>', "the workgroup's key, which both hosts have: needed over TCP")
    .option('--least-pages <n>', 'leave shorter regions out', positiveNumber, 1);

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const {
      host = thisHostName(),
      vm,
      leastPages,
      peer = [],
      key,
    } = command.opts<AdvertiseOptions>();
    const points = pointsHeld(vm === undefined ? ledger.vms() : vm.map((name) => ledger.vm(name)));
    const told = await advertisementOf(ledger, points, { ...DEFAULT_RULE, leastPages });
    const isNew = await advertise(ledger, host, told);
    const { count: regions } = told.regions;
    const { leftOut } = told;
    output.say(
      isNew
        ? `host ${host} holds ${regions} regions of ${points.length} points${leftOut === 0 ? '' : `; ${leftOut} shorter ones are left out`}`
        : `host ${host} said so before: nothing to do`,
    );
    const peers: string[] = [];
    for (const address of peer) peers.push(await exchange(ledger, host, { address, key }));
    for (const name of peers) output.say(`host ${name} was told, and said what it holds`);
    output.summary('host advertise', {
      peers,
      host,
      points: points.length,
      regions,
      leftOut,
      told: isNew,
    });
  });
