// `find`: where bytes stood in the memory of guests, and from when to when.

import { closeSync, openSync, readSync } from 'node:fs';
import type { Command } from 'commander';
import { NEEDLE_BYTES_MAX } from '../../../../domain/use-cases/travel/needle.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { findBytes, type Found, type TimedPlace } from '../../../wiring/time-travel/find.ts';
import type { Row } from '../../rows/row.ts';
import { placeRow } from '../../rows/travel-rows.ts';
import { bytesOfHex } from '../argument-values.ts';
import { declareExcerpt, excerptByTime, excerptOf } from '../excerpt.ts';
import { UsageError } from '../failure.ts';
import { field, mayBeCut, numeric, type Column } from '../output.ts';
import { progressOf, tell, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareExcerpt(command)
    .option('--text <text>', 'this text, in UTF-8')
    .option('--hex <digits>', 'these bytes')
    .option('--file <file>', 'what this file holds: at most a page of it')
    .option('--vm <name>', 'in the memory of this VM (default: of all)')
    .option(
      '--from <point>',
      'where it stood at this point or later (without --vm: pos:, time:, ago:)',
    )
    .option('--to <point>', 'where it stood at this point or before');

interface Options {
  readonly text?: string;
  readonly hex?: string;
  readonly file?: string;
  readonly vm?: string;
  readonly from?: string;
  readonly to?: string;
}

/** The bytes of a file, and one more than may be looked for. */
function fileBytes(path: string): Uint8Array {
  const room = new Uint8Array(NEEDLE_BYTES_MAX + 1);
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    let length = 0;
    for (let read = -1; read !== 0 && length < room.length; length += read)
      read = readSync(file, room, length, room.length - length, null);
    return room.subarray(0, length);
  } catch (thrown) {
    throw new UsageError(
      `${path} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    );
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** What is looked for: one of the three ways was to be said. */
function bytesOf({ text, hex, file }: Options): Uint8Array {
  const ways = [text, hex, file].filter((way) => way !== undefined);
  if (ways.length !== 1) throw new UsageError('one of --text, --hex and --file was expected');
  if (text !== undefined) return new TextEncoder().encode(text);
  if (file !== undefined) return fileBytes(file);
  return bytesOfHex(hex!);
}

/** What could not be looked through, for people. */
function* unsearched({ gone, lost }: Found): Generator<string> {
  if (gone > 0)
    yield `${gone} distinct pages of forgotten captures are no longer there: what they held is not found`;
  if (lost > 0) yield `${lost} distinct pages are damaged: what they held is not found`;
}

const COLUMNS: readonly Column[] = [
  mayBeCut(field('vm', 'VM')),
  numeric('gfn'),
  numeric('offset'),
  field('fromText', 'from'),
  field('fromTime', 'time'),
  field('toText', 'until'),
  field('toTime', 'time'),
];

/** A place as people read it. */
function textsOf(place: TimedPlace): Row {
  const { from, to, toMs } = place;
  const held = toMs === null ? 'held' : 'retired';
  return {
    ...placeRow(place),
    fromText: `@${from}`,
    toText: to === Infinity ? held : `@${to}`,
  };
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const { vm, from = null, to = null, ...what } = command.opts<Options>();
    const asked = excerptOf(command, ledger);
    const bytes = bytesOf(what);
    const progress = progressOf(command, 'looking');
    const found = await findBytes(ledger, {
      bytes,
      vm: vm === undefined ? null : ledger.vm(vm),
      from,
      to,
      onProgress: (pages, of) => progress.bytes(pages * PAGE_BYTES, of * PAGE_BYTES),
    });
    progress.clear();
    for (const sentence of unsearched(found)) warn(command, sentence);
    const places = excerptByTime(found.places, asked, ({ fromMs }) => fromMs);
    if (found.places.length === 0) tell(command, 'these bytes are nowhere');
    else if (places.length === 0) tell(command, 'these bytes came nowhere since then');
    else output.rows(places.map(output.isJson ? placeRow : textsOf), COLUMNS);
  });
