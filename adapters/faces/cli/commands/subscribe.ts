// `subscribe`: rows after a place, or the states of a projection, for programs: always newline-delimited
// JSON, replayed and then live until SIGINT or SIGTERM.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { isEventType } from '../../../../domain/events/control.ts';
import { isName } from '../../../../domain/events/streams.ts';
import { BASELINE_ROW } from '../../../../projections/questions/event-rows.ts';
import { rowArrays, statesOf } from '../../../../projections/subscriptions/follow.ts';
import {
  projectionNamed,
  type AnyProjection,
} from '../../../../projections/subscriptions/registered.ts';
import type {
  Control,
  Damaged,
  RowMessage,
  StateMessage,
} from '../../../../projections/subscriptions/messages.ts';
import { eventJson } from '../../rows/event-rows.ts';
import { UsageError } from '../failure.ts';
import { KeptPlace } from '../kept-place.ts';
import { untilSignal } from '../interruption.ts';
import { isoTime, jsonLine, type Row } from '../../rows/row.ts';
import { tell, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .option('--from <place>', 'after this: the place of a row, a position, or latest')
    .option('--pages', 'expand batches to page events')
    .option('--type <type>', 'of one type; a page event type matches the batches that hold one')
    .option('--vm <name>', 'of one VM')
    .option('--until-caught-up', 'end when all that is there has come')
    .option('--cursor <file>', 'go on after the place in this file, and keep it there')
    .option('--projection <name>', 'states of sharing, vms or writes, or of a module (./mine.js)');

interface SubscribeOptions {
  readonly from?: string;
  readonly pages?: boolean;
  readonly type?: string;
  readonly vm?: string;
  readonly projection?: string;
  readonly untilCaughtUp?: boolean;
  readonly cursor?: string;
}

/** Waits until standard output takes more, or until nobody wants more. */
const drained = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    const end = (): void => {
      process.stdout.off('drain', end);
      signal.removeEventListener('abort', end);
      done();
    };
    process.stdout.once('drain', end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });

async function print(rows: readonly Row[], signal: AbortSignal): Promise<void> {
  if (rows.length === 0 || signal.aborted) return;
  if (!process.stdout.write(rows.map(jsonLine).join(''))) await drained(signal);
}

/** What is no row: told to people on standard error. */
function tellOf(command: Command, message: Control | Damaged): void {
  const { _tag, position } = message;
  if (_tag === 'damaged')
    warn(
      command,
      `events at position ${position} are missing: ${message.reason}; run \`pageledger verify\``,
    );
  else if (_tag === 'reconnected')
    warn(
      command,
      `the event log was lost and is there again, at position ${position}; nothing was missed`,
    );
  else if (process.stderr.isTTY) tell(command, `caught up at position ${position}`);
}

function rowsOf(command: Command, messages: readonly RowMessage[]): Row[] {
  const printed: Row[] = [];
  for (const message of messages)
    if (message._tag === 'row') printed.push(eventJson(message.row));
    else tellOf(command, message);
  return printed;
}

function stateRows(
  command: Command,
  projection: AnyProjection,
  message: StateMessage<unknown>,
): Row[] {
  if (message._tag !== 'state') {
    tellOf(command, message);
    return [];
  }
  const { position, timeMs } = message;
  const { name, version } = projection;
  const time = isoTime(timeMs);
  return [{ position: String(position), time, projection: name, version, state: message.view() }];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const isProjection = (value: unknown): value is AnyProjection =>
  isObject(value) &&
  typeof value['name'] === 'string' &&
  isName(value['name']) &&
  Number.isSafeInteger(value['version']) &&
  Number(value['version']) >= 0 &&
  typeof value['initial'] === 'function' &&
  typeof value['apply'] === 'function';

/** The projection of a name, or the default export of a module: a name with a slash in it. */
async function projectionOf(name: string): Promise<AnyProjection> {
  if (!name.includes('/')) return projectionNamed(name);
  const path = resolve(name);
  let found: unknown;
  try {
    found = await import(pathToFileURL(path).href);
  } catch (thrown) {
    throw new UsageError(
      `the projection ${path} cannot be loaded: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    );
  }
  const projection = isObject(found) ? found['default'] : undefined;
  if (isProjection(projection)) return projection;
  throw new UsageError(
    `${path} exports no projection by default: an object with name (letters, digits, . _ -), version (a whole number from 0), initial and apply was expected`,
  );
}

function checkOptions(options: SubscribeOptions): void {
  const { type, projection } = options;
  if (type !== undefined && type !== BASELINE_ROW && !isEventType(type))
    throw new UsageError(`there is no event type ${JSON.stringify(type)}`);
  if (options.cursor !== undefined && options.from !== undefined)
    throw new UsageError('--cursor and --from both say where to begin: give one of them');
  const isOfRows = [options.from, options.pages, type, options.vm, options.cursor].some(
    (given) => given !== undefined,
  );
  if (projection !== undefined && isOfRows)
    throw new UsageError(
      'a projection folds the whole ledger: give --projection alone, or --from, --cursor, --pages, --type and --vm for rows',
    );
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger) => {
    const options = command.opts<SubscribeOptions>();
    checkOptions(options);
    const { projection: name, untilCaughtUp = false, cursor, ...request } = options;
    const kept = cursor === undefined ? null : new KeptPlace(cursor);
    const place = kept?.place ?? null;
    const from = place === null ? {} : { from: place };
    const isOver = ({ _tag }: { readonly _tag: string }): boolean =>
      untilCaughtUp && _tag === 'caughtUp';
    await untilSignal(async (signal) => {
      if (name === undefined) {
        for await (const messages of rowArrays(ledger, { ...request, ...from, signal })) {
          await print(rowsOf(command, messages), signal);
          const last = messages.findLast((message) => message._tag === 'row');
          if (last !== undefined && !signal.aborted) kept?.came(last.row.place);
          if (messages.some(isOver)) break;
        }
        kept?.keep();
        return;
      }
      const projection = await projectionOf(name);
      for await (const message of statesOf(ledger, { projection, signal })) {
        await print(stateRows(command, projection, message), signal);
        if (isOver(message)) break;
      }
    });
  });
