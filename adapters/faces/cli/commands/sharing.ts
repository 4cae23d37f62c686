// `sharing`: how memory is made up and what it costs, who shares with whom, and what other settings
// would have cost.

import type { Command } from 'commander';
import { momentOf } from '../../../wiring/questions/moments.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import type { FreeEvents, FreeReport } from '../../../../projections/questions/free-pages.ts';
import { patternCounts } from '../../../../projections/questions/pattern-classes.ts';
import { splitPoint } from '../../../../domain/values/point.ts';
import { Refused } from '../../../../domain/values/refused.ts';
import { freePagesAt, whatIfOfFree } from '../../../wiring/guest/free-pages.ts';
import { sharersOf, sharingOf, whatIfOf } from '../../../wiring/questions/pages.ts';
import { type Ledger } from '../../../wiring/ledger/ledger.ts';
import { holderRow } from '../../rows/holder-rows.ts';
import { knownPagesOf, savedBytesOf, sharingRow } from '../../rows/sharing-rows.ts';
import { wholeNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { declareKernel, kernelChoiceOf, kernelChoiceWith } from '../guest-point.ts';
import { bytesText, field, numeric, type Output, counted } from '../output.ts';
import { tell, withLedger } from '../session.ts';
import { share, sharingTable } from '../sharing-table.ts';
import { HOLDER_COLUMNS, holderTexts } from '../tables.ts';

const FREE = '--free';

export const declare = (command: Command): Command =>
  declareKernel(
    command
      .option('--vm <name>', 'of one VM, and what it shares with others')
      .option('--at <moment>', 'at this point; of --vm, or one that names its VM (default: latest)')
      .option('--page <gfn>', 'who shares this page of the VM', wholeNumber)
      .option('--what-if', 'what the whole history would have cost under other settings')
      .option('--free', 'also what pages cost that Linux guests hold to be free'),
    FREE,
  );

interface SharingOptions {
  readonly vm?: string;
  readonly at?: string;
  readonly page?: number;
  readonly whatIf?: boolean;
  readonly free?: boolean;
}

type Report = Awaited<ReturnType<typeof sharingOf>>;

function sayReport(output: Output, report: Report, vm: string | null): void {
  const { unique, uniqueBytes, storedBytes, logBytes, brokenPerMinute } = report;
  const known = knownPagesOf(report);
  const all = known * PAGE_BYTES;
  output.print(
    `${report.vms} ${report.vms === 1 ? 'VM' : 'VMs'} of ${bytesText(report.pages * PAGE_BYTES)}; ${bytesText((known - unique) * PAGE_BYTES)} need no storage (${share(known - unique, known)})`,
  );
  output.print(
    `the unique pages take ${bytesText(uniqueBytes)} as they are stored: ${bytesText(savedBytesOf(report))} saved (${share(savedBytesOf(report), all)})`,
  );
  if (brokenPerMinute !== null)
    output.print(`sharing was broken ${brokenPerMinute.toFixed(1)} times a minute`);
  output.print(
    `the whole ledger takes ${bytesText(storedBytes)} of pages and ${bytesText(logBytes)} of events`,
  );
  const { damagedVms, unknown } = report;
  if (damagedVms.length > 0)
    output.print(
      `${counted(unknown, 'page is', 'pages are')} not counted in any class: the events that tell of them are damaged, in the VMs ${damagedVms.join(', ')}; \`pageledger verify\` names the damage`,
    );
  else if (unknown > 0)
    output.print(`what ${unknown} pages hold is unknown: the dumps of their VMs leave them out`);
  if (report.vm === null) return;
  const { leftPrivate, sharedWith } = report.vm;
  output.print(`${counted(leftPrivate, 'page')} of other VMs would be private if ${vm} left`);
  if (sharedWith.length > 0)
    output.rows([...sharedWith], [field('vm', 'shares with'), numeric('contents')]);
}

async function showPage(ledger: Ledger, output: Output, options: SharingOptions): Promise<void> {
  const { vm, page: gfn, at = 'latest' } = options;
  if (vm === undefined || gfn === undefined) throw new UsageError('--page is of a VM: give --vm');
  const entry = ledger.vm(vm);
  const moment = momentOf(ledger, at, vm);
  const row = ledger.resolve(entry, splitPoint(at).point);
  const pages = entry.pagesAt(row.capture);
  if (gfn >= pages) throw new Refused({ _tag: 'GfnOutOfRange', vm, gfn, pages });
  const { identifier, isUnknown, holders } = await sharersOf(ledger, { entry, row, gfn }, moment);
  if (output.isJson) {
    for (const holder of holders) output.json(holderRow(holder, identifier));
    return;
  }
  if (identifier === null)
    output.print(`page ${gfn} of ${vm}@${row.capture} is ${isUnknown ? 'unknown' : 'a pattern'}`);
  else {
    output.print(`page ${gfn} of ${vm}@${row.capture} holds ${identifier}, as these do:`);
    output.rows(holders.map(holderTexts), HOLDER_COLUMNS);
  }
}

/** Says once why some guests do not tell which of their pages are free. */
function tellReasons(command: Command, reasons: readonly string[]): void {
  for (const reason of reasons) tell(command, `not every free page is known: ${reason}`);
}

function sayFree(output: Output, { freePages, freeContents, freeBytes }: FreeReport, all: number) {
  output.print(
    `guests hold ${freePages} of the pages to be free (${share(freePages, all)}); what such pages alone hold are ${freeContents} contents, ${bytesText(freeBytes)} as they are stored`,
  );
}

function sayFreeEvents(output: Output, free: FreeEvents | undefined): void {
  if (free === undefined) return;
  const { pageEvents, freePageEvents, undescribedCaptures } = free;
  const unknown =
    undescribedCaptures === 0 ? '' : `; of ${undescribedCaptures} captures nobody says it`;
  output.print(
    `${freePageEvents} of ${pageEvents} page events are of pages that their guest held to be free when they were captured (${share(freePageEvents, pageEvents)})${unknown}.`,
  );
}

async function showWhatIf(command: Command, ledger: Ledger, output: Output): Promise<void> {
  const options = command.opts<SharingOptions>();
  if (options.vm !== undefined || options.at !== undefined || options.page !== undefined)
    throw new UsageError('--what-if is about the whole history: leave --vm, --at and --page out');
  const { found: settings, reasons } =
    options.free === true
      ? await whatIfOfFree(ledger, kernelChoiceOf(command))
      : { found: await whatIfOf(ledger), reasons: [] };
  tellReasons(command, reasons);
  const recorded = settings[0]?.storedBytes ?? 0;
  const rows = settings.map((row) => ({
    ...row,
    bytes: bytesText(row.storedBytes),
    ratio: recorded === 0 ? '-' : `${(row.storedBytes / recorded).toFixed(2)} x`,
    pageSize: bytesText(row.pageBytes),
    how: row.isEstimate ? 'estimate' : 'exact',
  }));
  if (output.isJson) {
    for (const { free, ...row } of settings) output.json({ ...row, ...free });
    return;
  }
  output.rows(rows, [
    field('setting'),
    numeric('pages', 'pages stored'),
    numeric('pageSize', 'of'),
    numeric('bytes'),
    numeric('ratio', 'as recorded'),
    field('how'),
  ]);
  output.print(
    'Over the whole history, from the record alone: a page counts as its part of its block as it is stored now, a patch as its reference where there are no patches, and what was released as nothing.',
  );
  sayFreeEvents(output, settings.at(-1)?.free);
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<SharingOptions>();
    const choice = kernelChoiceWith(command, { isAsked: options.free === true, goesWith: FREE });
    if (options.whatIf === true) return showWhatIf(command, ledger, output);
    if (options.page !== undefined) return showPage(ledger, output, options);
    const { vm = null, at = 'latest' } = options;
    if (vm !== null) ledger.vm(vm);
    const asked = { ...momentOf(ledger, at, vm), vm };
    const report = await sharingOf(ledger, asked);
    const free = options.free === true ? await freePagesAt(ledger, asked, choice) : null;
    tellReasons(command, free?.reasons ?? []);
    if (output.isJson) return output.json({ vm, ...sharingRow(report), ...free?.found });
    sharingTable(output, report, patternCounts(report.classes));
    sayReport(output, report, vm);
    if (free !== null) sayFree(output, free.found, report.pages);
  });
