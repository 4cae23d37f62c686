// `diff`: the pages, and the bytes, that differ between two points.

import { Option, type Command } from 'commander';
import { addressOfGfn, pageCountOf } from '../../../../domain/values/memory-map.ts';
import { Refused } from '../../../../domain/values/refused.ts';
import { splitPoint } from '../../../../domain/values/point.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { differenceByOwner } from '../../../wiring/guest/guest-owners.ts';
import { diffOf } from '../../../wiring/questions/pages.ts';
import { type Ledger } from '../../../wiring/ledger/ledger.ts';
import {
  absentFrom,
  type PageDifference,
  type PageRange,
} from '../../../../projections/questions/diff.ts';
import type { VmPoint } from '../../../wiring/ledger/vm-point.ts';
import { changedPagesRow, pointCells } from '../../rows/guest-rows.ts';
import { isoTime } from '../../rows/row.ts';
import { addressText, differenceRow } from '../../rows/page-rows.ts';
import { pageRange } from '../argument-values.ts';
import { declareEnd, endAskedOf, endOf, HeldItems, type Excerpt } from '../excerpt.ts';
import { UsageError } from '../failure.ts';
import { declareKernel, kernelChoiceOf, kernelChoiceWith } from '../guest-point.ts';
import { hexLines } from '../hex-view.ts';
import { counted, type Output } from '../output.ts';
import { drained, tell, withLedger } from '../session.ts';
import { showChangedPages } from '../owner-tables.ts';

const BY_OWNER = '--by owner';

export const declare = (command: Command): Command =>
  declareKernel(
    declareEnd(command)
      .argument('<a>', 'a point; web@3 and web/POINT name their VM')
      .argument('<b>', "another one, perhaps another VM's")
      .option('--vm <name>', "the VM of points that name none (default: the other point's)")
      .option('--page <gfns>', 'only this page, or these: 4175, 4096-4351', pageRange)
      .option('--bytes', 'show the bytes that differ')
      .addOption(
        new Option('--by <whom>', 'count pages by who owns them in a Linux guest').choices([
          'owner',
        ]),
      ),
    BY_OWNER,
  );

interface DiffOptions {
  readonly vm?: string;
  readonly page?: PageRange;
  readonly bytes?: boolean;
  readonly by?: 'owner';
}

/** A point of the VM, or VM/POINT of another, which the other point is of as well where it names none; pages can be read of one that was not forgotten. */
function pointOf(
  ledger: Ledger,
  { vm, by }: Pick<DiffOptions, 'vm' | 'by'>,
  [text, other]: readonly [text: string, other: string],
): VmPoint {
  const { vm: named, point } = splitPoint(text);
  const of = named ?? vm ?? splitPoint(other).vm;
  if (of === null)
    throw new UsageError(`${text} names no VM: --vm, or a point such as web@3 was expected`);
  const entry = ledger.vm(of);
  const row = by === undefined ? ledger.locate(entry, point) : ledger.resolve(entry, point);
  return { entry, row };
}

const shown = (address: number | null): string => (address === null ? '-' : addressText(address));

const memoryMapOf = ({ entry, row }: VmPoint) =>
  entry.mapAt(row.capture) ?? { blocks: [], ranges: [] };

function showBytes(output: Output, of: PageDifference, address: number | null): void {
  const { ranges } = of;
  if (ranges === null) {
    output.print(`page ${of.gfn} at ${shown(address)}: its bytes were forgotten`);
    return;
  }
  const bytes = ranges.reduce((sum, { before }) => sum + before.length, 0);
  const where = `page ${of.gfn} at ${shown(address)}${ABSENT[absentFrom(of) ?? 'neither']}`;
  output.print(`${where}: ${counted(bytes, 'byte')} in ${counted(ranges.length, 'range')}`);
  for (const range of ranges) for (const line of hexLines(range)) output.print(line);
}

const ABSENT = {
  before: ', not there before',
  after: ', not there after',
  neither: '',
} as const;

/** Pages one after the other as one line. */
class Runs {
  readonly #output: Output;
  #first = -1;
  #end = -1;
  #address: number | null = null;
  #absent: 'before' | 'after' | null = null;

  constructor(output: Output) {
    this.#output = output;
  }

  add(difference: PageDifference, address: number | null): void {
    const { gfn } = difference;
    const absent = absentFrom(difference);
    if (gfn === this.#end && absent === this.#absent) this.#end += 1;
    else {
      this.flush();
      this.#first = gfn;
      this.#end = gfn + 1;
      this.#address = address;
      this.#absent = absent;
    }
  }

  flush(): void {
    if (this.#first < 0) return;
    const last = this.#end - 1;
    const pages = last === this.#first ? `page ${last}` : `pages ${this.#first} to ${last}`;
    this.#output.print(
      `${pages.padEnd(28)} from ${shown(this.#address)}${ABSENT[this.#absent ?? 'neither']}`,
    );
    this.#first = -1;
  }
}

interface Sides {
  readonly a: VmPoint;
  readonly b: VmPoint;
}

/** The pages that a side has, or the other one where that has more. */
const pagesOf = ({ a, b }: Sides): number =>
  Math.max(pageCountOf(memoryMapOf(a)), pageCountOf(memoryMapOf(b)));

/** The captures that two points turned out to be. */
const sidesCells = ({ a, b }: Sides) => ({
  before: { ...pointCells(a), time: isoTime(a.row.timeMs) },
  after: { ...pointCells(b), time: isoTime(b.row.timeMs) },
});

const sideText = ({ entry, row }: VmPoint): string =>
  `${entry.vm}@${row.capture} (${isoTime(row.timeMs)})`;

const betweenText = ({ a, b }: Sides): string => `between ${sideText(a)} and ${sideText(b)}`;

/** The pages that differ, by who owns them. */
async function showOwners(command: Command, ledger: Ledger, output: Output, sides: Sides) {
  const choice = kernelChoiceOf(command);
  const { vm } = sides.b.entry;
  const asked = endAskedOf(command);
  const {
    rows: all,
    pages,
    unknownBefore,
  } = await differenceByOwner(ledger, {
    a: { ...sides.a, ...choice },
    b: { ...sides.b, ...choice },
  });
  if (unknownBefore !== null)
    tell(command, `whose the pages were before is not known: ${unknownBefore}`);
  const rows = endOf(all, asked);
  if (output.isJson) for (const row of rows) output.json(changedPagesRow(vm, row));
  else if (pages > 0) showChangedPages(output, rows);
  const memory = pagesOf(sides);
  const done = { vm, pages: memory, differing: pages, bytes: pages * PAGE_BYTES };
  output.summary('diff', { ...done, ...sidesCells(sides) });
  output.print(
    `${pages} of ${counted(memory, 'page')} ${pages === 1 ? 'differs' : 'differ'} ${betweenText(sides)}`,
  );
}

const unknownText = (pages: number): string =>
  pages === 0 ? '' : `; of ${pages} more that is unknown, as a dump leaves them out`;

/** Pages that are held with their bytes, at most: some kilobytes each. */
const HELD_WITH_BYTES_MAX = 20_000;

/** The pages that differ, and their bytes where these are asked for. */
async function showPages(
  ledger: Ledger,
  output: Output,
  of: Sides & {
    readonly withBytes: boolean;
    readonly gfns: PageRange | null;
    readonly excerpt: Excerpt;
  },
): Promise<void> {
  const { a, b, withBytes, gfns, excerpt } = of;
  const { vm } = b.entry;
  const mapBefore = memoryMapOf(a);
  const map = memoryMapOf(b);
  const runs = new Runs(output);
  let unknown = 0;
  const onUnknown = (): void => {
    unknown += 1;
  };
  const asked = { a, b, withBytes, onUnknown, ...(gfns === null ? {} : { gfns }) };
  let count = 0;
  let absent = 0;
  const show = async (difference: PageDifference): Promise<void> => {
    const isGone = absentFrom(difference) === 'after';
    const address = addressOfGfn(isGone ? mapBefore : map, difference.gfn);
    if (output.isJson) output.json(differenceRow(b.entry.vm, difference, address));
    else if (withBytes) showBytes(output, difference, address);
    else runs.add(difference, address);
    await drained();
  };
  const held = withBytes
    ? HeldItems.of<PageDifference>(excerpt, HELD_WITH_BYTES_MAX)
    : HeldItems.of<PageDifference>(excerpt);
  for await (const differing of diffOf(ledger, asked))
    for (const difference of differing) {
      count += 1;
      if (absentFrom(difference) !== null) absent += 1;
      if (held === null) await show(difference);
      else held.add(difference);
    }
  for (const difference of held?.items() ?? []) await show(difference);
  runs.flush();
  const all = pagesOf(of);
  const pages = gfns === null ? all : Math.max(0, Math.min(all, gfns.last + 1) - gfns.first);
  const bytes = count * PAGE_BYTES;
  output.summary('diff', {
    vm,
    pages,
    differing: count,
    absent,
    unknown,
    bytes,
    ...sidesCells(of),
  });
  const apart = absent === 0 ? '' : `, ${absent} of them there at one of the points only`;
  output.print(
    `${count} of ${counted(pages, 'page')} ${count === 1 ? 'differs' : 'differ'} ${betweenText(of)}${apart}${unknownText(unknown)}`,
  );
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<DiffOptions>();
    const { by, bytes: withBytes = false } = options;
    if (by !== undefined && options.page !== undefined)
      throw new UsageError('--by owner counts pages of all owners: leave --page out');
    kernelChoiceWith(command, { isAsked: by !== undefined, goesWith: BY_OWNER });
    if (by !== undefined && withBytes)
      throw new UsageError('--by owner counts pages: leave --bytes out');
    const [first = '', second = ''] = command.args;
    const a = pointOf(ledger, options, [first, second]);
    const b = pointOf(ledger, options, [second, first]);
    if (by === undefined) {
      const gfns = options.page ?? null;
      const pages = pagesOf({ a, b });
      if (gfns !== null && gfns.first >= pages)
        throw new Refused({ _tag: 'GfnOutOfRange', vm: b.entry.vm, gfn: gfns.first, pages });
      const excerpt = endAskedOf(command);
      await showPages(ledger, output, { a, b, withBytes, gfns, excerpt });
    } else await showOwners(command, ledger, output, { a, b });
  });
