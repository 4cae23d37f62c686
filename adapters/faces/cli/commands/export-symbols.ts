// `export symbols`: symbols and types of a Linux kernel at a point, as a file for debuggers.

import { Option, type Command } from 'commander';
import { exportSymbols, type SymbolAddresses } from '../../../wiring/guest/kernel-symbols.ts';
import { virtualText } from '../../rows/guest-rows.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { bytesText } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareGuestPoint(command)
    .requiredOption('--to <file>', 'the file')
    .addOption(
      new Option(
        '--addresses <which>',
        'those of the running kernel (run, for gdb) or those it was linked to (link, for drgn)',
      )
        .choices(['run', 'link'])
        .default('run'),
    )
    .option('--force', 'replace an existing file');

interface Options {
  readonly to: string;
  readonly addresses: SymbolAddresses;
  readonly force?: boolean;
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const { to, addresses, force = false } = command.opts<Options>();
    const point = guestPointOf(command, ledger);
    const done = await exportSymbols(ledger, point, { path: to, isForced: force, addresses });
    const { kernelOffset, release, symbols, types, variables, functions, callers, bytes } = done;
    output.summary('export symbols', {
      vm: point.entry.vm,
      capture: point.row.capture,
      to,
      addresses,
      ...done,
      kernelOffset: virtualText(kernelOffset),
    });
    const what =
      types === 0
        ? 'no types, as it keeps none'
        : `${types} types, of ${variables} variables and ${functions} functions too`;
    const frames = callers === 0 ? '' : `, callers of ${callers} functions`;
    output.say(
      `Linux ${release} of ${point.entry.vm}@${point.row.capture}: ${symbols} symbols, ${what}${frames}, in ${to} (${bytesText(bytes)})`,
    );
  });
