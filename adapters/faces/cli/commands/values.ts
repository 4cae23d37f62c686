// `values`: every value that some bytes of a guest had, over its history.

import { Option, type Command } from 'commander';
import { NUMBER_TYPES, type NumberType } from '../../../../domain/use-cases/travel/numbers.ts';
import { valuesOver, type ValuePlace, type ValueType } from '../../../wiring/time-travel/values.ts';
import { valueRow } from '../../rows/travel-rows.ts';
import { address, positiveNumber, virtualAddress, wholeNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { declareKernel, kernelChoiceOf } from '../guest-point.ts';
import { declareExcerpt, excerptOf, excerptRows } from '../excerpt.ts';
import { field, numeric } from '../output.ts';
import { withLedger } from '../session.ts';

/** Bytes of a text or of hex digits where no length is said, and at most. */
const LENGTH = 16;
const LENGTH_MAX = 4096;

export const declare = (command: Command): Command =>
  declareKernel(
    declareExcerpt(command.requiredOption('--vm <name>', 'the VM'))
      .option('--symbol <name>', 'of a symbol of the kernel, or SYMBOL+OFFSET')
      .option('--virtual <address>', "at an address of the guest's kernel", virtualAddress)
      .option('--pid <pid>', "with --virtual: of this process's", wholeNumber)
      .option('--address <address>', 'at a guest-physical address', address)
      .addOption(
        new Option('--type <type>', 'how the bytes are read')
          .choices([...NUMBER_TYPES, 'str', 'hex'])
          .default('u64'),
      )
      .option('--length <bytes>', 'of str and hex: so many bytes', positiveNumber)
      .option('--from <point>', 'from this capture on (default: the oldest that is kept)')
      .option('--to <point>', 'up to this capture', 'latest'),
  );

interface Options {
  readonly vm: string;
  readonly symbol?: string;
  readonly virtual?: bigint;
  readonly pid?: number;
  readonly address?: number;
  readonly type: NumberType | 'str' | 'hex';
  readonly length?: number;
  readonly from?: string;
  readonly to: string;
}

/** Where the bytes lie: one of the three ways was to be said. */
function placeOf({ symbol, virtual, pid, address: physical }: Options): ValuePlace {
  const places: ValuePlace[] = [];
  if (symbol !== undefined) places.push({ symbol });
  if (virtual !== undefined) places.push({ virtual, pid: pid ?? null });
  if (physical !== undefined) places.push({ physical });
  const [place] = places;
  if (place === undefined || places.length > 1)
    throw new UsageError('one of --symbol, --virtual and --address was expected');
  if (pid !== undefined && virtual === undefined)
    throw new UsageError('--pid goes with --virtual: an address of that process');
  return place;
}

function typeOf({ type, length }: Options): ValueType {
  if (type !== 'str' && type !== 'hex') {
    if (length === undefined) return { type };
    throw new UsageError(`--length goes with --type str and hex: ${type} has its own`);
  }
  const bytes = length ?? LENGTH;
  if (bytes > LENGTH_MAX) throw new UsageError(`--length is at most ${LENGTH_MAX} bytes`);
  return { type, length: bytes };
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<Options>();
    const { from, to } = options;
    const entry = ledger.vm(options.vm);
    const request = {
      entry,
      ...kernelChoiceOf(command),
      place: placeOf(options),
      type: typeOf(options),
      from: from === undefined ? null : ledger.resolve(entry, from),
      to: ledger.resolve(entry, to),
    };
    const rows = [];
    if (request.from !== null && request.from.capture > request.to.capture)
      throw new UsageError(
        `--from ${from} is behind --to ${to}: @${request.from.capture} and @${request.to.capture}`,
      );
    for await (const value of valuesOver(ledger, request)) rows.push(valueRow(entry.vm, value));
    output.rows(excerptRows(rows, excerptOf(command, ledger)), [
      numeric('capture'),
      field('time'),
      field('value'),
    ]);
  });
