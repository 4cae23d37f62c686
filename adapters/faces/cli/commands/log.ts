// `log`: the events, with their page events where asked, and what comes.

import type { Command } from 'commander';
import { followEvents, listEvents, type LogBound } from '../../../wiring/questions/events.ts';
import { rawEvents, type RawFilter } from '../../../wiring/questions/raw-events.ts';
import { momentOf } from '../../../wiring/questions/moments.ts';
import { actorIn } from '../../../../domain/events/actor.ts';
import { isEventType } from '../../../../domain/events/control.ts';
import { type EventRow } from '../../../../projections/questions/event-rows.ts';
import { type Ledger } from '../../../wiring/ledger/ledger.ts';
import { eventJson } from '../../rows/event-rows.ts';
import { declareExcerpt, excerptOf, HeldItems } from '../excerpt.ts';
import { UsageError } from '../failure.ts';
import { type Output } from '../output.ts';
import { isoTime, jsonLine } from '../../rows/row.ts';
import { drained, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareExcerpt(command.option('--vm <name>', 'of one VM'))
    .option('--type <type>', 'of one type; a page event type matches the batches that hold one')
    .option(
      '--from <place>',
      'from here on: a position, pos:, time:, ago:, or a point of --vm or that names its VM',
    )
    .option('--to <place>', 'up to here, included')
    .option('--pages', 'expand batches to page events')
    .option('--follow', 'go on with what comes')
    .option('--raw', 'the events and their bytes as they are kept: JSON, data in base64');

interface LogOptions {
  readonly vm?: string;
  readonly type?: string;
  readonly from?: string;
  readonly to?: string;
  readonly pages?: boolean;
  readonly follow?: boolean;
  readonly raw?: boolean;
  readonly last?: number;
  readonly reverse?: boolean;
}

function boundOf(
  ledger: Ledger,
  text: string | undefined,
  vm: string | undefined,
): LogBound | null {
  if (text === undefined || text === 'latest') return null;
  const moment = momentOf(ledger, /^\d+$/u.test(text) ? `pos:${text}` : text, vm);
  return 'position' in moment
    ? { _tag: 'position', position: moment.position }
    : { _tag: 'time', timeMs: moment.timeMs };
}

/** Events with their bytes, whatever they are of: a consumer needs them all to fold what they mean. */
async function showRaw(ledger: Ledger, options: LogOptions, filter: RawFilter): Promise<void> {
  const { vm, type, pages, follow, last, reverse } = options;
  if ([vm, type, pages, follow, last, reverse].some((given) => given !== undefined))
    throw new UsageError(
      '--raw gives whole events: --from, --to and --since go with it, no others',
    );
  for await (const event of rawEvents(ledger, filter)) {
    process.stdout.write(jsonLine({ ...event }));
    await drained();
  }
}

function show(output: Output, row: EventRow): void {
  if (output.isJson) {
    output.json(eventJson(row));
    return;
  }
  const { place, type, vm, timeMs, capture, facts } = row;
  const of = vm === null ? '' : capture === null ? vm : `${vm}@${capture}`;
  const told = Object.entries(facts)
    .filter(([, value]) => value !== null && typeof value !== 'object')
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(' ');
  const by = actorIn(facts);
  const whose = by === null ? '' : ` by=${by.user}@${by.host}`;
  output.entry(
    `${place.padEnd(14)} ${isoTime(timeMs)} ${type.padEnd(18)} ${of.padEnd(12)} ${told}${whose}`.trimEnd(),
  );
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<LogOptions>();
    if (options.vm !== undefined) ledger.vm(options.vm);
    if (options.type !== undefined && !isEventType(options.type))
      throw new UsageError(`there is no event type ${JSON.stringify(options.type)}`);
    const asked = excerptOf(command, ledger);
    if (asked.sinceMs !== null && options.from !== undefined)
      throw new UsageError('--since and --from both say where to begin: give one of them');
    if (asked.isReverse && options.follow === true)
      throw new UsageError('--reverse shows the newest first, and --follow waits for newer ones');
    const filter = {
      vm: options.vm ?? null,
      type: options.type ?? null,
      isExpanded: options.pages ?? false,
      from:
        asked.sinceMs === null
          ? boundOf(ledger, options.from, options.vm)
          : ({ _tag: 'time', timeMs: asked.sinceMs } as const),
      to: boundOf(ledger, options.to, options.vm),
    };
    if (options.raw === true) return showRaw(ledger, options, filter);
    const abort = new AbortController();
    if (options.follow === true)
      for (const signal of ['SIGINT', 'SIGTERM'] as const)
        process.once(signal, () => abort.abort());
    const print = async (row: EventRow): Promise<void> => {
      if (abort.signal.aborted) return;
      show(output, row);
      await drained();
    };
    const held = HeldItems.of<EventRow>(asked);
    const reached = await listEvents(
      ledger,
      filter,
      held === null ? print : (row) => Promise.resolve(held.add(row)),
    );
    for (const row of held?.items() ?? []) await print(row);
    if (options.follow !== true) return;
    await followEvents(ledger, filter, { from: reached, signal: abort.signal }, print);
  });
