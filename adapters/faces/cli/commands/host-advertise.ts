// `host advertise`: says in the log what this host holds, for others to move guests here.

import type { Command } from 'commander';
import { thisHostName } from '../../../wiring/hosts/hosts.ts';
import { Advertiser, type ToldPeer } from '../../link/advertiser.ts';
import { openLink, readLinkKey } from '../../link/connection.ts';
import { listenAddressOf } from '../../sockets/listen-address.ts';
import { collected, positiveNumber } from '../argument-values.ts';
import { bytesText, counted } from '../output.ts';
import { withLedger } from '../session.ts';

interface AdvertiseOptions {
  readonly host?: string;
  readonly vm?: readonly string[];
  readonly peer?: readonly string[];
  readonly key?: string;
  readonly leastPages: number;
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
    const advertiser = new Advertiser({ ledger, host, vms: vm ?? null, leastPages });
    const { points, regions, leftOut, isNew } = await advertiser.tell();
    output.say(
      isNew
        ? `host ${host} holds ${counted(regions, 'region')} of ${counted(points, 'point')}${leftOut === 0 ? '' : `; ${leftOut} shorter ones are left out`}`
        : `host ${host} said so before: nothing to do`,
    );
    const secret = key === undefined ? null : readLinkKey(key);
    const told: ToldPeer[] = [];
    for (const address of peer)
      told.push(await advertiser.exchange(() => openLink(listenAddressOf(address), secret)));
    for (const { peer: name, bytes } of told)
      output.say(`host ${name} was told, and said what it holds; ${bytesText(bytes)} on the link`);
    output.summary('host advertise', {
      peers: told.map(({ peer: name }) => name),
      bytes: told.reduce((sum, { bytes }) => sum + bytes, 0),
      host,
      points,
      regions,
      leftOut,
      told: isNew,
    });
  });
