// `diff`: the pages, and the bytes, that differ between two points.

import type { Command } from 'commander';
import { addressOfGfn, pageCountOf } from '../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { diffOf } from '../../../wiring/pages.ts';
import { type Ledger } from '../../../wiring/ledger.ts';
import { absentFrom, type PageDifference } from '../../../../projections/questions/diff.ts';
import { type VmPoint } from '../../../wiring/restore.ts';
import { addressText, differenceRow } from '../../rows/page-rows.ts';
import { hexLines } from '../hex-view.ts';
import type { Output } from '../output.ts';
import { drained, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .argument('<a>', 'a point')
    .argument('<b>', "another one; VM/POINT for another VM's")
    .requiredOption('--vm <name>', 'the VM')
    .option('--bytes', 'show the bytes that differ');

/** A point of the VM, or VM/POINT of another. */
function pointOf(ledger: Ledger, vm: string, text: string): VmPoint {
  const slash = text.indexOf('/');
  const entry = ledger.vm(slash < 0 ? vm : text.slice(0, slash));
  return { entry, row: ledger.locate(entry, text.slice(slash + 1)) };
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
  output.print(`${where}: ${bytes} bytes in ${ranges.length} range(s)`);
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

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<{ vm: string; bytes?: boolean }>();
    const a = pointOf(ledger, options.vm, command.args[0]!);
    const b = pointOf(ledger, options.vm, command.args[1]!);
    const withBytes = options.bytes ?? false;
    const mapBefore = memoryMapOf(a);
    const map = memoryMapOf(b);
    const runs = new Runs(output);
    let count = 0;
    let absent = 0;
    for await (const differing of diffOf(ledger, { a, b, withBytes }))
      for (const difference of differing) {
        count += 1;
        const isGone = absentFrom(difference) === 'after';
        const address = addressOfGfn(isGone ? mapBefore : map, difference.gfn);
        if (absentFrom(difference) !== null) absent += 1;
        if (output.isJson) output.json(differenceRow(b.entry.vm, difference, address));
        else if (withBytes) showBytes(output, difference, address);
        else runs.add(difference, address);
        await drained();
      }
    runs.flush();
    const pages = Math.max(pageCountOf(map), pageCountOf(mapBefore));
    const bytes = count * PAGE_BYTES;
    output.summary('diff', { vm: options.vm, pages, differing: count, absent, bytes });
    const apart = absent === 0 ? '' : `, ${absent} of them there at one of the points only`;
    output.print(`${count} of ${pages} pages differ${apart}`);
  });
