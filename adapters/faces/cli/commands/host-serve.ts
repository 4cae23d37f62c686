// `host serve`: takes guests that other hosts move here.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { thisHostName } from '../../../wiring/hosts/hosts.ts';
import { pauseUnless } from '../../../wiring/record/guest-ticks.ts';
import { Advertiser } from '../../link/advertiser.ts';
import { acceptLink, openLink, readLinkKey, type LinkKey } from '../../link/connection.ts';
import type { Link } from '../../link/frames.ts';
import type { GivingWays } from '../../link/requested-move.ts';
import { MigrationTarget } from '../../link/target.ts';
import { listenAddressOf } from '../../sockets/listen-address.ts';
import { SocketServer } from '../../sockets/socket-server.ts';
import { collected, positiveDuration } from '../argument-values.ts';
import { baseAt } from '../clone-bases.ts';
import { UsageError } from '../failure.ts';
import { tellOfInterruption, untilSignal } from '../interruption.ts';
import { bytesText, counted } from '../output.ts';
import { tell, warn, withLedger } from '../session.ts';
import { shellWords } from '../shell-word.ts';

export const goesOnUnread = true;

interface ServeOptions {
  readonly listen: string;
  readonly key?: string;
  readonly start?: readonly string[];
  readonly host?: string;
  readonly diskOk?: boolean;
  readonly over?: string;
  readonly give?: readonly string[];
  readonly guests?: string;
  readonly advertiseEvery?: string;
  readonly peer?: readonly string[];
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
    .option(
      '--over <folder>',
      'start guests over what is mounted there with `mount --block`, where that fits',
    )
    .option('--give <vm>', 'move the guest of this VM when another host asks for it', collected)
    .option('--guests <folder>', 'where the QMP sockets of given guests are: web.qmp is VM web')
    .option('--advertise-every <duration>', 'tell what this host holds again, where it has changed')
    .option('--peer <address>', 'tell this host with a ledger of its own as well', collected)
    .option('--disk-ok', 'the disks are those of the guests, as they left them');

/** Tells what this host holds, now and each time again; what fails is told, and tried the next time. */
async function advertiseOn(
  command: Command,
  advertiser: Advertiser,
  of: {
    readonly everyMs: number;
    readonly peers: readonly string[];
    readonly reach: (address: string) => Promise<Link>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { everyMs, peers, reach, signal } = of;
  const attempt = (work: () => Promise<void>): Promise<void> =>
    work().catch((thrown: unknown) =>
      warn(command, `what is held was not told: ${sentenceOf(thrown)}`),
    );
  while (!signal.aborted) {
    await attempt(async () => {
      const { isNew, regions, points } = await advertiser.tell();
      if (isNew) tell(command, `${regions} regions of ${points} points are told`);
    });
    for (const address of peers) {
      if (signal.aborted) return;
      await attempt(async () => {
        const { peer, bytes } = await advertiser.exchange(() => reach(address));
        tell(command, `host ${peer} was told; ${bytesText(bytes)} on the link`);
      });
    }
    await pauseUnless(everyMs, signal, () => false);
  }
}

const sentenceOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/** What others may ask for, and how it is moved. */
function givingOf({ give, guests }: ServeOptions, key: LinkKey | null): GivingWays | null {
  if (give === undefined) {
    if (guests === undefined) return null;
    throw new UsageError(
      '--guests says where guests are that others may ask for: name them by --give',
    );
  }
  const given = new Set(give);
  return {
    isGiven: (vm) => given.has(vm),
    qmpOf: (vm) => {
      const path = guests === undefined ? null : join(guests, `${vm}.qmp`);
      return path !== null && existsSync(path) ? path : null;
    },
    reach: (address) => openLink(listenAddressOf(address), key),
  };
}

export async function run(command: Command): Promise<void> {
  const options = command.opts<ServeOptions>();
  const { listen, key: path, start = null, host = thisHostName(), diskOk } = options;
  const address = listenAddressOf(listen);
  if (address.kind === 'tcp' && path === undefined)
    throw new UsageError(
      "--key was expected with a TCP address: a file with the workgroup's key, as `openssl rand -hex 32` makes one",
    );
  const workgroup = path === undefined ? null : readLinkKey(path);
  const key = address.kind === 'unix' ? null : workgroup;
  const give = givingOf(options, workgroup);
  const { advertiseEvery, peer: peers = [], over } = options;
  if (over !== undefined && start === null)
    throw new UsageError('--over is what guests are started over: say how with --start');
  if (advertiseEvery === undefined && peers.length > 0)
    throw new UsageError(
      '--peer is told what this host holds: say how often with --advertise-every',
    );
  const everyMs =
    advertiseEvery === undefined ? null : positiveDuration('--advertise-every', advertiseEvery);
  await withLedger(command, 'write', async (ledger, output) => {
    const base = over === undefined ? null : () => baseAt(ledger, over);
    // What is none now is said before anybody is waited for.
    base?.();
    const advertiser = new Advertiser({ ledger, host, vms: null, leastPages: 1 });
    const target = new MigrationTarget({
      ledger,
      host,
      command: start,
      isDiskOk: diskOk ?? false,
      base,
      give,
      earlier: advertiser.earlier,
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
    const takenText = (): string => `${counted(target.taken, 'guest was', 'guests were')} taken`;
    tellOfInterruption(() => `${takenText()}, and what else was just arriving is not`);
    const { address: at } = server;
    const where = at.kind === 'unix' ? `unix:${at.path}` : `tcp:${at.host}:${at.port}`;
    if (output.isJson) output.json({ host, address: where });
    else output.print(`host ${host} takes guests at ${where}; Ctrl-C ends it`);
    const reach = (text: string) => openLink(listenAddressOf(text), workgroup);
    try {
      await untilSignal(async (signal) => {
        if (everyMs === null) await once(signal, 'abort');
        else await advertiseOn(command, advertiser, { everyMs, peers, reach, signal });
      });
    } finally {
      await server.close();
    }
    tell(command, `host ${host} takes no more guests; ${takenText()}`);
    output.summary('host serve', { host, guests: target.taken });
  });
}
