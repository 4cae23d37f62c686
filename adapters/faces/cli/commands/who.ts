// `who`: which VMs and pages hold, or held, a content, from when to when, and who owned these.

import { readFile, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { splitPoint } from '../../../../domain/values/point.ts';
import { isRefused } from '../../../../domain/values/refused.ts';
import type { Holder } from '../../../../projections/questions/who.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { identifiersOf } from '../../../wiring/questions/asked-contents.ts';
import { readPages } from '../../../wiring/questions/memory.ts';
import { momentOf } from '../../../wiring/questions/moments.ts';
import { whoHolds } from '../../../wiring/questions/pages.ts';
import { ownerCells } from '../../rows/guest-rows.ts';
import { holderRow } from '../../rows/holder-rows.ts';
import type { Row } from '../../rows/row.ts';
import { bytesOfHex, wholeNumber } from '../argument-values.ts';
import { declareExcerpt, excerptByTime, excerptOf, type Excerpt } from '../excerpt.ts';
import { UsageError } from '../failure.ts';
import { declareKernel, kernelChoiceWith } from '../guest-point.ts';
import { OWNER_COLUMNS, ownersTold } from '../owner-columns.ts';
import { type Output } from '../output.ts';
import { tell, warn, withLedger } from '../session.ts';
import { HOLDER_COLUMNS, holderTexts } from '../tables.ts';

/** Pages of a file that are asked about at once. */
const FILE_PAGES_MAX = 4096;

const OWNERS = '--owners';

export const declare = (command: Command): Command =>
  declareKernel(
    declareExcerpt(command)
      .option('--identifier <hex>', "the content's identifier, or its first 8 digits or more")
      .option('--file <file>', 'what its pages hold (of 4 KiB, the last one filled up with zeros)')
      .option('--text <text>', 'a page that is this text, and zeros behind it')
      .option('--hex <digits>', 'a page that is these bytes, and zeros behind them')
      .option('--page <gfn>', 'what this page of --vm holds at --at', wholeNumber)
      .option('--vm <name>', 'with --page: the VM')
      .option(
        '--at <moment>',
        'who holds it at this point (default: who ever did); with --page: when the page is looked at',
      )
      .option('--owners', 'who owned each page in a Linux guest when it began to hold it'),
    OWNERS,
  );

interface WhoOptions {
  readonly identifier?: string;
  readonly file?: string;
  readonly text?: string;
  readonly hex?: string;
  readonly page?: number;
  readonly vm?: string;
  readonly at?: string;
  readonly owners?: boolean;
}

/** A content that is asked about; of a file, its number there. */
interface Asked {
  readonly identifier: string;
  readonly filePage: number | null;
}

/** Bytes as whole pages, zeros behind them. */
function asPages(bytes: Uint8Array): Uint8Array {
  const pages = new Uint8Array(Math.ceil(bytes.length / PAGE_BYTES) * PAGE_BYTES);
  pages.set(bytes);
  return pages;
}

async function bytesOfFile(path: string): Promise<Uint8Array> {
  const unread = ({ message }: Error): never => {
    throw new UsageError(`--file ${path} cannot be read: ${message}`);
  };
  const { size } = await stat(path).catch(unread);
  if (size > FILE_PAGES_MAX * PAGE_BYTES)
    throw new UsageError(
      `--file ${path} has ${size} bytes, and at most ${FILE_PAGES_MAX} pages of ${PAGE_BYTES} bytes are asked about at once`,
    );
  return readFile(path).catch(unread);
}

/** What was asked about, as bytes; null: an identifier was given. */
async function pagesAsked(ledger: Ledger, options: WhoOptions): Promise<Uint8Array | null> {
  const { identifier, file, text, hex, page, vm, at = 'latest' } = options;
  const said = [identifier, file, text, hex, page].filter((value) => value !== undefined);
  if (said.length !== 1)
    throw new UsageError(
      'what is asked about? One of --identifier, --file, --text, --hex and --page (with --vm) was expected',
    );
  if (page !== undefined) {
    const named = splitPoint(at);
    if (vm !== undefined && named.vm !== null && vm !== named.vm)
      throw new UsageError(`--at ${at} is of VM ${named.vm}, and --vm ${vm} is meant: name one`);
    const of = vm ?? named.vm;
    if (of === null)
      throw new UsageError('--page is of a VM: --vm, or --at VM@N, was expected with it');
    const entry = ledger.vm(of);
    return readPages(ledger, { entry, row: ledger.resolve(entry, named.point) }, [page]);
  }
  if (vm !== undefined) throw new UsageError('--vm goes with --page');
  if (identifier !== undefined) return null;
  const bytes =
    file === undefined
      ? hex === undefined
        ? Buffer.from(text!)
        : bytesOfHex(hex)
      : await bytesOfFile(file);
  if (bytes.length === 0) throw new UsageError('there are no bytes to ask about');
  if (file === undefined && bytes.length > PAGE_BYTES)
    throw new UsageError(`${bytes.length} bytes are more than a page of ${PAGE_BYTES}`);
  return asPages(bytes);
}

/** The contents that are asked about; says which pages cannot be found by their content. */
async function contentsAsked(
  command: Command,
  ledger: Ledger,
  options: WhoOptions,
): Promise<readonly Asked[]> {
  const pages = await pagesAsked(ledger, options);
  if (pages === null) return [{ identifier: options.identifier!, filePage: null }];
  const { groups, withoutKey } = await identifiersOf(ledger, pages);
  if (withoutKey.length > 0)
    warn(command, `of group ${withoutKey.join(', ')} nothing is told: its key is not here`);
  const patterns = groups[0]?.identifiers.filter((of) => of === null).length ?? 0;
  if (patterns > 0)
    tell(
      command,
      `${patterns === 1 ? '1 page is a pattern' : `${patterns} pages are patterns`} (zeros, a repeated word): such are described, not held, and nobody is named for them; \`pageledger find\` looks for bytes inside pages`,
    );
  const isFile = options.file !== undefined;
  return groups.flatMap(({ identifiers }) =>
    identifiers.flatMap((identifier, n) =>
      identifier === null ? [] : [{ identifier, filePage: isFile ? n : null }],
    ),
  );
}

interface Answer extends Asked {
  readonly holders: readonly Holder[];
}

/** Who holds each; what was made of bytes, nobody need ever have held. */
async function answersTo(
  ledger: Ledger,
  asked: readonly Asked[],
  options: WhoOptions,
): Promise<readonly Answer[]> {
  const { at: text, page } = options;
  const at = text === undefined || page !== undefined ? null : momentOf(ledger, text);
  const answers: Answer[] = [];
  for (const { identifier, filePage } of asked)
    try {
      answers.push({ filePage, ...(await whoHolds(ledger, { identifier, at })) });
    } catch (thrown) {
      const isUnknown = isRefused(thrown) && thrown.refusal._tag === 'IdentifierUnknown';
      if (!isUnknown || options.identifier !== undefined) throw thrown;
      answers.push({ identifier, filePage, holders: [] });
    }
  return answers;
}

/** Those holdings of a content that are asked for, by when they began. */
const excerptOfHolders = ({ holders }: Answer, excerpt: Excerpt): readonly Holder[] =>
  excerptByTime(holders, excerpt, ({ fromTimeMs }) => fromTimeMs);

function nobodyText({ at, page }: WhoOptions, didOnce: boolean): string {
  if (didOnce) return 'nobody began to hold it since then';
  return at === undefined || page !== undefined
    ? 'nobody ever held it'
    : 'nobody holds it at that moment';
}

function print(output: Output, answers: readonly Answer[], cells: readonly Row[][]): void {
  const held = answers.filter(({ holders }) => holders.length > 0);
  for (const [n, { identifier, filePage, holders }] of answers.entries()) {
    if (holders.length === 0) continue;
    output.print(filePage === null ? identifier : `page ${filePage} of the file: ${identifier}`);
    const owned = cells[n]!;
    output.rows(
      holders.map((holder, i) => ({ ...holderTexts(holder), ...owned[i] })),
      [...HOLDER_COLUMNS, ...(owned.length === 0 ? [] : OWNER_COLUMNS)],
    );
  }
  if (held.length > 0) return;
  for (const { identifier } of answers.slice(0, 1)) output.print(identifier);
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<WhoOptions>();
    const isAsked = options.owners === true;
    const choice = kernelChoiceWith(command, { isAsked, goesWith: OWNERS });
    const excerpt = excerptOf(command, ledger);
    const asked = await contentsAsked(command, ledger, options);
    const all = await answersTo(ledger, asked, options);
    const answers = all.map((answer) => ({
      ...answer,
      holders: excerptOfHolders(answer, excerpt),
    }));
    const cells: Row[][] = [];
    for (const { holders } of answers) {
      const owners = isAsked
        ? await ownersTold(command, ledger, {
            places: holders.map(({ vm, gfn, from }) => ({ vm, gfn, capture: from })),
            ...choice,
          })
        : [];
      cells.push(owners.map(ownerCells));
    }
    if (output.isJson) {
      for (const [n, { identifier, filePage, holders }] of answers.entries())
        for (const [i, holder] of holders.entries())
          output.json({
            ...holderRow(holder, identifier),
            ...(filePage === null ? {} : { filePage }),
            ...cells[n]![i],
          });
      return;
    }
    print(output, answers, cells);
    if (answers.every(({ holders }) => holders.length === 0))
      output.print(
        nobodyText(
          options,
          all.some(({ holders }) => holders.length > 0),
        ),
      );
  });
