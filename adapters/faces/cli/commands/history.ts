// `history`: every version of a page.

import type { Command } from 'commander';
import * as either from 'fp-ts/lib/Either.js';
import { gfnOfAddress } from '../../../../domain/values/memory-map.ts';
import { historyOf } from '../../../wiring/pages.ts';
import { Refused } from '../../../../domain/values/refused.ts';
import { type VmEntry } from '../../../../projections/models/catalogue.ts';
import { UsageError } from '../failure.ts';
import { field, numeric } from '../output.ts';
import { versionRow } from '../../rows/page-rows.ts';
import { address, wholeNumber } from '../argument-values.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .option('--page <gfn>', "the page's number", wholeNumber)
    .option('--address <address>', 'a guest-physical address in the page', address);

function gfnAsked(entry: VmEntry, options: { page?: number; address?: number }): number {
  if ((options.page === undefined) === (options.address === undefined))
    throw new UsageError('either --page or --address was expected');
  const map = entry.state.registered?.memoryMap;
  if (options.page !== undefined) {
    const pages = map?.blocks.reduce((sum, block) => sum + block.pages, 0) ?? 0;
    if (options.page >= pages)
      throw new Refused({ _tag: 'GfnOutOfRange', vm: entry.vm, gfn: options.page, pages });
    return options.page;
  }
  const found = gfnOfAddress(map ?? { blocks: [], ranges: [] }, options.address ?? 0);
  if (either.isLeft(found)) throw new Refused(found.left);
  return found.right.gfn;
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<{ vm: string; page?: number; address?: number }>();
    const entry = ledger.vm(options.vm);
    const gfn = gfnAsked(entry, options);
    const rows = (await historyOf(ledger, entry, gfn)).map((version) =>
      versionRow(entry.vm, version, entry.isForgotten(version.capture)),
    );
    output.rows(rows, [
      numeric('capture'),
      field('time'),
      numeric('gfn'),
      field('outcome'),
      field('pattern'),
      numeric('storedBytes', 'bytes'),
      numeric('sharers'),
      numeric('sharersNow', 'now'),
      field('identifier'),
    ]);
  });
