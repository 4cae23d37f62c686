// `history`: every version of a page, and who owned it then.

import type { Command } from 'commander';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { addressHistoryOf, historyOf, type ShownVersion } from '../../../wiring/questions/pages.ts';
import { Refused } from '../../../../domain/values/refused.ts';
import type { VmEntry } from '../../../../projections/models/vm-entry.ts';
import { pagesOfVm } from '../../../../projections/questions/moment.ts';
import { UsageError } from '../failure.ts';
import { declareExcerpt, excerptOf, excerptOfTimed, type Excerpt } from '../excerpt.ts';
import { field, leftOut, mayBeCut, numeric } from '../output.ts';
import { versionRow } from '../../rows/page-rows.ts';
import { address, wholeNumber } from '../argument-values.ts';
import { declareKernel, kernelChoiceWith } from '../guest-point.ts';
import { OWNER_COLUMNS, ownersTold } from '../owner-columns.ts';
import { ownerCells } from '../../rows/guest-rows.ts';
import { withLedger } from '../session.ts';

const OWNERS = '--owners';

export const declare = (command: Command): Command =>
  declareKernel(
    declareExcerpt(command.requiredOption('--vm <name>', 'the VM'))
      .option('--page <gfn>', "the page's number", wholeNumber)
      .option('--address <address>', 'a guest-physical address in the page', address)
      .option('--owners', 'who owned the page in a Linux guest at each version'),
    OWNERS,
  );

interface HistoryOptions {
  readonly vm: string;
  readonly page?: number;
  readonly address?: number;
  readonly owners?: boolean;
}

function versionsAsked(
  ledger: Ledger,
  entry: VmEntry,
  { page: gfn, address: at }: HistoryOptions,
  { last, sinceMs }: Excerpt,
): Promise<readonly ShownVersion[]> {
  if (gfn !== undefined && at === undefined) {
    const pages = pagesOfVm(entry);
    if (gfn >= pages) throw new Refused({ _tag: 'GfnOutOfRange', vm: entry.vm, gfn, pages });
    // By number alone: times of captures need not ascend.
    return historyOf(ledger, entry, gfn, { last: sinceMs === null ? last : null });
  }
  if (at !== undefined && gfn === undefined) return addressHistoryOf(ledger, entry, at);
  throw new UsageError('either --page or --address was expected');
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<HistoryOptions>();
    const isAsked = options.owners === true;
    const choice = kernelChoiceWith(command, { isAsked, goesWith: OWNERS });
    const entry = ledger.vm(options.vm);
    const asked = excerptOf(command, ledger);
    // Owners are looked up of what is shown, each in another memory.
    const versions = excerptOfTimed(await versionsAsked(ledger, entry, options, asked), asked);
    const owners = isAsked
      ? await ownersTold(command, ledger, {
          places: versions.map(({ from, gfn }) => ({ vm: entry.vm, capture: from, gfn })),
          ...choice,
        })
      : null;
    const rows = versions.map((version, i) => ({
      ...versionRow(entry.vm, version, entry.isForgotten(version.capture)),
      ...(owners === null ? {} : ownerCells(owners[i]!)),
    }));
    output.rows(rows, [
      numeric('capture'),
      ...(options.address === undefined ? [] : [leftOut(3, numeric('from'))]),
      field('time'),
      numeric('gfn'),
      field('outcome'),
      leftOut(2, field('pattern')),
      numeric('storedBytes', 'bytes'),
      numeric('sharers'),
      leftOut(1, numeric('sharersNow', 'now')),
      ...(owners === null ? [] : OWNER_COLUMNS),
      mayBeCut(field('identifier')),
    ]);
  });
