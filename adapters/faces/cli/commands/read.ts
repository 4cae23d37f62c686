// `read`: bytes of a point, as a hex view, as they are, or as rows.

import type { Command } from 'commander';
import { readStretches, type ReadPlace } from '../../../wiring/guest/read.ts';
import { pointCells, stretchRow } from '../../rows/guest-rows.ts';
import { address, positiveNumber, virtualAddress, wholeNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { dumpLines } from '../hex-view.ts';
import { drained, withLedger } from '../session.ts';

const LENGTH = 256;

export const declare = (command: Command): Command =>
  declareGuestPoint(command)
    .option('--page <gfn>', "from a page's beginning on", wholeNumber)
    .option('--address <address>', 'from a guest-physical address on', address)
    .option('--virtual <address>', "from an address of the guest's kernel on", virtualAddress)
    .option('--pid <pid>', "with --virtual: of this process's", wholeNumber)
    .option('--symbol <name>', 'from a symbol of the kernel on')
    .option('--length <bytes>', 'so many bytes', positiveNumber, LENGTH)
    .option('--raw', 'the bytes themselves');

interface Options {
  readonly page?: number;
  readonly address?: number;
  readonly virtual?: bigint;
  readonly pid?: number;
  readonly symbol?: string;
  readonly length: number;
  readonly raw?: boolean;
}

/** Where to begin: one of the four ways was to be said. */
function placeOf({ page, address: physical, virtual, pid, symbol }: Options): ReadPlace {
  const places: ReadPlace[] = [];
  if (page !== undefined) places.push({ page });
  if (physical !== undefined) places.push({ physical });
  if (virtual !== undefined) places.push({ virtual: { address: virtual, pid: pid ?? null } });
  if (symbol !== undefined) places.push({ virtual: { symbol } });
  const [place] = places;
  if (place === undefined || places.length > 1)
    throw new UsageError('one of --page, --address, --virtual and --symbol was expected');
  if (pid !== undefined && virtual === undefined)
    throw new UsageError('--pid goes with --virtual: an address of that process');
  return place;
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<Options>();
    const { length, raw = false } = options;
    if (raw && output.isJson) throw new UsageError('either --raw or --json was expected');
    const request = { place: placeOf(options), length };
    const point = guestPointOf(command, ledger);
    for await (const stretch of readStretches(ledger, point, request)) {
      const { virtual, address: physical, bytes } = stretch;
      if (output.isJson) output.json({ ...pointCells(point), ...stretchRow(stretch) });
      // What is written is kept until it is taken: the next pages come into other memory.
      else if (raw) process.stdout.write(bytes);
      else
        for (const line of dumpLines({ address: virtual ?? BigInt(physical ?? 0), bytes }))
          output.print(line);
      await drained();
    }
  });
