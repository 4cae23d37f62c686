// `migrate`: moves a VM's guest, or a point of it, to the host that has most of its memory; `--plan` shows
// how the hosts are ranked and moves nothing, `--ask` lets the host that has the guest move it, `--resolve`
// ends what a failure left.

import { Option, type Command } from 'commander';
import { isUnderWay } from '../../../../domain/migrations.ts';
import { RANKED_BY, type RankedBy } from '../../../../domain/placement.ts';
import { refuse } from '../../../../domain/values/refused.ts';
import { hostsOf, thisHostName } from '../../../wiring/hosts/hosts.ts';
import { drawMigration, migrationOf } from '../../../wiring/hosts/migrations.ts';
import { placeGuest, type Placement } from '../../../wiring/hosts/placement.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../../wiring/ledger/vm-point.ts';
import { openLink, readLinkKey } from '../../link/connection.ts';
import { moveGuest, resolveMove, type MoveRequest } from '../../link/move.ts';
import { askSource, greet, type Moved } from '../../link/source.ts';
import { placementRows } from '../../rows/placement-rows.ts';
import { listenAddressOf } from '../../sockets/listen-address.ts';
import { Interrupted } from '../../rows/failure-rows.ts';
import { UsageError } from '../failure.ts';
import { untilSignal } from '../interruption.ts';
import {
  bytesText,
  field,
  inBytes,
  numeric,
  type Column,
  type Output,
  counted,
} from '../output.ts';
import { tell, withLedger } from '../session.ts';

interface MigrateOptions {
  readonly vm: string;
  readonly at?: string;
  readonly live?: string;
  readonly to?: string;
  readonly address?: string;
  readonly key?: string;
  readonly plan?: boolean;
  readonly resolve?: boolean;
  readonly by: RankedBy;
  readonly from?: string;
  readonly ask?: string;
}

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point (default: latest)')
    .option('--live <socket>', 'move the running guest of this QMP socket')
    .option('--to <host>', 'the host (default: the one that has most of the memory)')
    .option('--address <address>', 'where it takes guests (default: as it said when it joined)')
    .option('--key <file>', "the workgroup's key, which both hosts have: needed over TCP")
    .option('--plan', 'show how the hosts are ranked, and move nothing')
    .option('--ask <host>', 'ask this host, which has the guest, to move it: a name or an address')
    .option('--resolve', 'end a migration that was left in doubt, by what its target says')
    .addOption(
      new Option('--by <what>', 'what is in common is counted in')
        .choices(RANKED_BY)
        .default('pages'),
    )
    .option('--from <host>', 'the host that the guest is on (default: this one)');

const isTrue = (name: string): Column => ({
  title: name,
  cell: (row) => (row[name] === true ? 'yes' : '-'),
});
const COLUMNS: readonly Column[] = [
  field('host'),
  isTrue('eligible'),
  numeric('regions'),
  numeric('pages'),
  numeric('used'),
  inBytes('moveBytes', 'to move'),
  numeric('distance'),
  isTrue('chosen'),
];

/** The point that is meant. */
function pointOf(ledger: Ledger, { vm, at = 'latest' }: MigrateOptions): VmPoint {
  const entry = ledger.vm(vm);
  return { entry, row: ledger.resolve(entry, at) };
}

const placed = (ledger: Ledger, of: MigrateOptions, from: string): Promise<Placement> =>
  placeGuest(ledger, pointOf(ledger, of), { by: of.by, from });

/** Where the guest goes. Refused where no host has what it needs. */
async function targetOf(ledger: Ledger, of: MigrateOptions, from: string): Promise<string> {
  if (of.to !== undefined) return of.to;
  const { chosen } = await placed(ledger, of, from);
  if (chosen === null) throw refuse({ _tag: 'NoHostFits', vm: of.vm });
  return chosen;
}

/** Where a host of the workgroup said that it takes guests. */
function addressOf(ledger: Ledger, host: string): string {
  const text = hostsOf(ledger).find((one) => one.host === host)?.facts.address ?? null;
  if (text !== null) return text;
  throw new UsageError(
    `it is not known where host ${host} takes guests: say --address, or join it with one`,
  );
}

/** Lets the host that has the guest move it: as it decides, and by its own words. */
async function askFor(
  ledger: Ledger,
  output: Output,
  options: MigrateOptions & { readonly ask: string },
): Promise<void> {
  const { vm, to = null, ask, key, live, at } = options;
  if (live !== undefined || at !== undefined)
    throw new UsageError(
      '--ask lets the host that has the guest say what is moved: without --at and --live',
    );
  const isAddress = ask.includes(':');
  const address = listenAddressOf(isAddress ? ask : addressOf(ledger, ask));
  const link = await openLink(address, key === undefined ? null : readLinkKey(key));
  try {
    const host = isAddress ? null : ask;
    await greet(link, { from: thisHostName(), to: host, ledger: ledger.id });
    const moved = await askSource(link, { vm, to });
    const { captures, pages, bytes, downtimeMs } = moved;
    output.say(
      `the guest of VM ${vm} is host ${moved.to}'s${stoodFor(downtimeMs)}; ${pages} pages of ${captures} captures were sent, ${bytesText(bytes)} on the link`,
    );
    output.summary('migrate', { ...moved, asked: ask });
  } finally {
    link.close();
  }
}

const stoodFor = (downtimeMs: number | null): string =>
  downtimeMs === null ? '' : `; it stood for ${downtimeMs.toFixed(0)} ms`;

function requestOf(
  command: Command,
  ledger: Ledger,
  of: MigrateOptions & { readonly from: string; readonly to: string; readonly migration: string },
  onMoved: (moved: Moved) => void,
): MoveRequest {
  const { vm, from, to, migration, live, key } = of;
  const address = listenAddressOf(of.address ?? addressOf(ledger, to));
  const secret = key === undefined ? null : readLinkKey(key);
  return {
    ledger,
    vm,
    migration,
    from,
    to,
    point: live === undefined && of.resolve !== true ? pointOf(ledger, of) : null,
    qmp: live ?? null,
    reach: () => openLink(address, secret),
    onMoved,
    onTold: (sentence) => tell(command, sentence),
  };
}

/** Says what was moved of a capture. */
function tellMoved(
  output: Output,
  { capture, regions, pages, patched, held, stale, bytes }: Moved,
): void {
  output.say(
    `capture ${capture}: ${counted(pages, 'page')} in ${counted(regions, 'region')} ${pages === 1 ? 'was' : 'were'} sent${patched === 0 ? '' : `, ${patched} of them as patches`}, ${held} were there${stale === 0 ? '' : `, ${stale} were not that should have been`}; ${bytesText(bytes)} on the link`,
  );
}

/**
 * Moves it, and says how long the guest stood. An interruption ends that as long as the guest was not
 * handed over: it goes on here; later, what is left takes a moment.
 */
async function movedOrKept(ledger: Ledger, request: MoveRequest): Promise<number | null> {
  const { vm, migration } = request;
  const isOurs = (): boolean => {
    const state = migrationOf(ledger, vm);
    return state?.migration !== migration || state.phase === 'failed';
  };
  const { result, signal } = await untilSignal(
    (abort) =>
      moveGuest({ ...request, signal: abort }).catch((thrown: unknown) => {
        if (abort.aborted && isOurs()) return null;
        throw thrown;
      }),
    () => true,
  );
  if (result !== null) return result.downtimeMs;
  throw new Interrupted(
    signal!,
    `interrupted by ${signal!}: VM ${vm} was not moved, and its guest is where it was`,
  );
}

async function move(command: Command, ledger: Ledger, output: Output): Promise<void> {
  const options = command.opts<MigrateOptions>();
  const { vm, from = thisHostName() } = options;
  const to = await targetOf(ledger, options, from);
  const done: Moved[] = [];
  const of = { ...options, from, to, migration: drawMigration() };
  const request = requestOf(command, ledger, of, (moved) => {
    done.push(moved);
    tellMoved(output, moved);
  });
  const downtimeMs = await movedOrKept(ledger, request);
  const sum = (count: (moved: Moved) => number) => done.reduce((all, one) => all + count(one), 0);
  output.say(`the guest of VM ${vm} is host ${to}'s${stoodFor(downtimeMs)}`);
  output.summary('migrate', {
    vm,
    migration: of.migration,
    from,
    to,
    captures: done.length,
    pages: sum(({ pages }) => pages),
    patched: sum(({ patched }) => patched),
    held: sum(({ held }) => held),
    stale: sum(({ stale }) => stale),
    bytes: sum(({ bytes }) => bytes),
    downtimeMs,
  });
}

async function resolve(command: Command, ledger: Ledger, output: Output): Promise<void> {
  const options = command.opts<MigrateOptions>();
  const { vm, from = thisHostName() } = options;
  const state = migrationOf(ledger, vm);
  if (!isUnderWay(state)) {
    output.say(`no migration of VM ${vm} is under way: nothing to do`);
    output.summary('migrate', { vm, resolved: null });
    return;
  }
  const { migration, to } = state;
  const of = { ...options, from: state.from ?? from, to: to ?? '', migration };
  const { phase } = await resolveMove(requestOf(command, ledger, of, () => undefined));
  output.say(
    phase === 'completed'
      ? `the guest of VM ${vm} is host ${of.to}'s`
      : `the guest of VM ${vm} is host ${of.from}'s: nothing was moved`,
  );
  output.summary('migrate', { vm, migration, resolved: phase });
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const options = command.opts<MigrateOptions>();
    const { plan, resolve: isResolve, live, at, from = thisHostName() } = options;
    if (live !== undefined && at !== undefined)
      throw new UsageError('--at names a point that is there, and --live moves a guest: give one');
    if (options.ask !== undefined) await askFor(ledger, output, { ...options, ask: options.ask });
    else if (plan === true)
      output.rows(placementRows(options.vm, await placed(ledger, options, from)), COLUMNS);
    else if (isResolve === true) await resolve(command, ledger, output);
    else await move(command, ledger, output);
  });
