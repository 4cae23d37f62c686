// `who`: which VMs and pages hold, or held, a content.

import type { Command } from 'commander';
import { momentOf } from '../../wiring/audit.ts';
import { whoHolds } from '../../wiring/pages.ts';
import { type Holder } from '../../../projections/questions/who.ts';
import { field, numeric, type Row } from './output.ts';
import { withLedger } from './session.ts';

/** A holding as programs read it. */
export const holderJson = ({ vm, gfn, group, from, to, retiredAt }: Holder): Row => ({
  vm,
  gfn,
  group,
  from,
  to,
  retiredAt: retiredAt === null ? null : String(retiredAt),
});

const endOf = ({ to, retiredAt }: Holder): string => {
  if (to !== null) return `@${to}`;
  return retiredAt === null ? 'held' : 'retired';
};

export const HOLDER_COLUMNS = [
  field('vm', 'VM'),
  numeric('gfn'),
  field('group'),
  field('fromText', 'from'),
  field('toText', 'until'),
];

/** A holding as people read it. */
export const holderRow = (holder: Holder): Row => ({
  ...holderJson(holder),
  fromText: `@${holder.from}`,
  toText: endOf(holder),
});

export const who = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<{ identifier: string; at?: string }>();
    const at = options.at === undefined ? null : momentOf(ledger, options.at);
    const { identifier, holders } = await whoHolds(ledger, { identifier: options.identifier, at });
    if (output.isJson) {
      for (const holder of holders) output.json({ ...holderJson(holder), identifier });
      return;
    }
    output.say(identifier);
    if (holders.length === 0)
      output.say(at === null ? 'nobody ever held it' : 'nobody holds it at that moment');
    else output.rows(holders.map(holderRow), HOLDER_COLUMNS);
  });
