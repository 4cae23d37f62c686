// A guest that is moved because another host asks for it: the source decides, by what it lets others ask
// for, and runs the whole migration itself. Of the other host's words it takes the name of a VM and that of
// a host; where that one is, it knows itself.

import { drawMigration, pointNow } from '../../wiring/hosts/migrations.ts';
import { hostsOf } from '../../wiring/hosts/hosts.ts';
import { placeGuest } from '../../wiring/hosts/placement.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { refuse } from '../../../domain/values/refused.ts';
import type { Link } from './frames.ts';
import type { BodyOf } from './messages.ts';
import { moveGuest } from './move.ts';
import type { Moved } from './source.ts';

/** What a host gives away when it is asked. */
export interface GivingWays {
  /** Whether others may ask for the guest of this VM. */
  readonly isGiven: (vm: string) => boolean;
  /** QMP of its guest; null: none runs, and its newest point is moved. */
  readonly qmpOf: (vm: string) => string | null;
  /** Reaches a host of the workgroup where it said that it takes guests. */
  readonly reach: (address: string) => Promise<Link>;
}

interface Asked {
  readonly ledger: Ledger;
  /** The name of this host. */
  readonly host: string;
  readonly give: GivingWays;
  readonly onTold: (sentence: string) => void;
}

/** Where the guest goes: as was asked, or where most of it is. Refused where no host has what it needs. */
async function targetOf(
  { ledger, host: from }: Asked,
  point: VmPoint,
  to: string | null,
): Promise<{ readonly to: string; readonly address: string }> {
  const chosen = to ?? (await placeGuest(ledger, point, { by: 'pages', from })).chosen;
  if (chosen === null) throw refuse({ _tag: 'NoHostFits', vm: point.entry.vm });
  const known = hostsOf(ledger).find(({ host }) => host === chosen);
  if (known === undefined) throw refuse({ _tag: 'HostUnknown', host: chosen });
  const { address } = known.facts;
  if (address !== null) return { to: chosen, address };
  throw new LedgerError(
    'LINK_LOST',
    `host ${chosen} did not say where it takes guests: \`host join --address\` there, and let this host know`,
    { host: chosen },
  );
}

/** Moves a guest that is asked for and given; what was moved. Refused, and fails, as `migrate` does here. */
export async function moveOnRequest(
  asked: Asked,
  { vm, to: wanted }: BodyOf<'request'>,
): Promise<BodyOf<'moved'>> {
  const { ledger, host: from, give, onTold } = asked;
  const point = await pointNow(ledger, vm, 'latest');
  const { to, address } = await targetOf(asked, point, wanted);
  const qmp = give.qmpOf(vm);
  const migration = drawMigration();
  const moved: Moved[] = [];
  onTold(`VM ${vm} is asked for, and moves to host ${to}`);
  const { downtimeMs } = await moveGuest({
    ledger,
    vm,
    migration,
    from,
    to,
    point: qmp === null ? point : null,
    qmp,
    reach: () => give.reach(address),
    onMoved: (one) => moved.push(one),
    onTold,
  });
  const sum = (count: (one: Moved) => number) => moved.reduce((all, one) => all + count(one), 0);
  const counts = { pages: sum(({ pages }) => pages), bytes: sum(({ bytes }) => bytes) };
  return { vm, migration, to, captures: moved.length, ...counts, downtimeMs };
}
