// Page events into the log and out of it, the log alone: what a recording appended is appended again as
// recorders do, and replayed into a page table, in the embedded log and on EventStoreDB. The limits are
// the same bytes written and read without a log: to a file, and by the client package as it comes.

import {
  closeSync,
  fdatasyncSync,
  openSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../adapters/files/files.ts';
import { openEventLog } from '../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { openEventStoreLog } from '../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { parseLedgerUrl } from '../../adapters/stores/event-log-eventstoredb/ledger-url.ts';
import { readPageWrites } from '../../adapters/kernels/page-writes.ts';
import { assert } from '../../domain/values/assert.ts';
import { isBatchType } from '../../domain/events/control.ts';
import { APPEND_BYTES_MAX, PAGE_BYTES } from '../../domain/values/page.ts';
import { type StateFiles } from '../../domain/ports/derived-files.ts';
import { NO_STREAM, type EventLog, type NewEvent } from '../../domain/ports/event-log.ts';
import { vmStream } from '../../domain/events/streams.ts';
import { run as settled, type CaptureRow, type Ledger, type VmEntry } from '../../index.ts';
import type { Contents } from '../../projections/models/contents.ts';
import { PageTables } from '../../projections/models/page-tables.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { rawEvent, startLogServer, type LogServer } from './log-server.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';

const VM = 'guest';
const UNIT = 'M page events/s';
/** VMs recorded at once: as many as the adapter has appends in flight. */
const VMS_AT_ONCE = 4;

/** State files that keep nothing: every table is replayed from its first event. */
const FORGETFUL: StateFiles = {
  load: () => Promise.resolve(null),
  open: () => Promise.resolve(null),
  save: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  drop: () => Promise.resolve(),
};

/** What a recording appended to its VM's stream, and what comes of it. */
interface Recorded {
  readonly appends: readonly (readonly NewEvent[])[];
  readonly pageEvents: number;
  readonly events: number;
  readonly dataBytes: number;
  readonly entry: VmEntry;
  readonly contents: Contents;
  readonly last: CaptureRow;
  readonly table: Uint32Array;
}

/** Events in the appends that a recorder makes of them: batches gathered, each control event alone. */
function appendsOf(events: readonly NewEvent[]): NewEvent[][] {
  const appends: NewEvent[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    const isGathered = isBatchType(event.type) && bytes + event.data.length <= APPEND_BYTES_MAX;
    if (isGathered) appends.at(-1)!.push(event);
    else appends.push([event]);
    if (!isBatchType(event.type)) bytes = Infinity;
    else bytes = event.data.length + (isGathered ? bytes : 0);
  }
  return appends;
}

async function recordedOf(ledger: Ledger): Promise<Recorded> {
  const entry = ledger.vm(VM);
  const last = entry.captures.at(-1)!;
  const { contents, tables } = ledger.state;
  const table = await tables.at(entry, contents, last);
  entry.images.length = 0;
  const count = 1 + (await settled(ledger.log.streamRevision(vmStream(VM))));
  const events: NewEvent[] = [];
  const range = { stream: vmStream(VM), fromRevision: 0, count, fromPosition: 0n };
  for await (const found of ledger.log.readStream(range)) events.push(...found);
  return {
    appends: appendsOf(events),
    pageEvents: entry.captures.reduce((sum, row) => sum + row.written, 0),
    events: events.length,
    dataBytes: events.reduce((sum, { data }) => sum + data.length, 0),
    entry,
    contents,
    last,
    table,
  };
}

/** Appends it all to one stream, as the VM's recorder does. */
async function appendAll(log: EventLog, stream: string, recorded: Recorded): Promise<void> {
  let expectedRevision = NO_STREAM;
  for (const events of recorded.appends)
    expectedRevision = (await settled(log.append({ stream, expectedRevision, events }))).revision;
}

/** Page events a second of replaying the stream into a page table. */
async function replayRate(log: EventLog, recorded: Recorded): Promise<number> {
  const { entry, contents, last, table, pageEvents } = recorded;
  const reader = () => Promise.resolve(readPageWrites);
  const tables = new PageTables({ log, files: FORGETFUL, reader });
  let replayed: Uint32Array = new Uint32Array(0);
  const seconds = await secondsOf(async () => {
    replayed = await tables.at(entry, contents, last);
  });
  const isSame = replayed.every((holding, gfn) => holding === table[gfn]);
  assert(isSame && replayed.length === table.length, 'a replay is right');
  return pageEvents / seconds / 1e6;
}

/** Page events a second of reading the log from where the VM's first event stands, undecoded. */
async function readRate(log: EventLog, recorded: Recorded): Promise<number> {
  const range = { stream: vmStream(VM), fromRevision: 0, count: 1, fromPosition: 0n };
  let from = 0n;
  for await (const [first] of log.readStream(range)) from = first!.position;
  let events = 0;
  const seconds = await secondsOf(async () => {
    for await (const { items } of log.read({ from })) events += items.length;
  });
  assert(events === recorded.events, 'a reading gives every event once');
  return recorded.pageEvents / seconds / 1e6;
}

/** Samples by what they are of. */
class Samples {
  readonly #of = new Map<string, number[]>();

  add(what: string, sample: number): void {
    const samples = this.#of.get(what) ?? [];
    samples.push(sample);
    this.#of.set(what, samples);
  }

  figure(what: string, unit = UNIT): ReturnType<typeof figureOf> {
    return figureOf(this.#of.get(what) ?? [], unit);
  }
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Seconds of the appends' bytes written to a file, durable after each. */
function secondsToWrite(path: string, { appends }: Recorded): Promise<number> {
  const fd = openSync(path, 'w');
  const seconds = secondsOf(() => {
    for (const events of appends) {
      for (const { data } of events) writeSync(fd, data);
      fdatasyncSync(fd);
    }
  });
  closeSync(fd);
  rmSync(path);
  return seconds;
}

async function sampleEmbedded(
  context: BenchContext,
  recorded: Recorded,
  samples: Samples,
): Promise<void> {
  const millions = recorded.pageEvents / 1e6;
  const folder = join(freshFolder(context, 'event-logs-embedded'), 'log');
  mkdirSync(folder, { recursive: true });
  const log = await settled(openEventLog({ folder, files: nodeFiles }));
  const seconds = await secondsOf(() => appendAll(log, vmStream(VM), recorded));
  samples.add('append', millions / seconds);
  const path = join(context.folder, 'event-logs-limit');
  samples.add('append limit', millions / (await secondsToWrite(path, recorded)));
  let bytes = 0;
  const readSeconds = await secondsOf(() => {
    for (const file of filesIn(folder)) bytes += readFileSync(file).length;
  });
  samples.add('bytes', bytes / recorded.pageEvents);
  samples.add('read limit', millions / readSeconds);
  samples.add('replay', await replayRate(log, recorded));
  samples.add('read', await readRate(log, recorded));
  await log.close();
}

/** Appends to so many streams at once, by the adapter and by the client; gives the adapter's log. */
async function sampleAppends(
  { server, recorded, samples }: OnServer,
  streams: number,
): Promise<{ readonly log: EventLog; readonly ledger: string }> {
  const url = parseLedgerUrl(server.freshUrl());
  const { connectionString, ledger } = url;
  const log = await settled(openEventStoreLog({ url: connectionString, ledger }));
  const millions = (streams * recorded.pageEvents) / 1e6;
  const ofEach = (work: (stream: string) => Promise<void>): Promise<number> =>
    secondsOf(() =>
      Promise.all(
        Array.from({ length: streams }, (_, i) => work(vmStream(i === 0 ? VM : `${VM}-${i}`))),
      ),
    );
  const before = await settled(log.head());
  const seconds = await ofEach((stream) => appendAll(log, stream, recorded));
  samples.add(`append ${streams}`, millions / seconds);
  const bytes = Number((await settled(log.head())) - before);
  if (streams === 1) samples.add('bytes', bytes / recorded.pageEvents);
  const events = recorded.appends.map((append) => append.map(rawEvent));
  const rawSeconds = await ofEach((stream) => server.raw.append(`${ledger}-raw.${stream}`, events));
  samples.add(`append limit ${streams}`, millions / rawSeconds);
  return { log, ledger };
}

interface OnServer {
  readonly server: LogServer;
  readonly recorded: Recorded;
  readonly samples: Samples;
}

async function sampleServer(on: OnServer): Promise<void> {
  const { server, recorded, samples } = on;
  const several = await sampleAppends(on, VMS_AT_ONCE);
  await several.log.close();
  const { log, ledger } = await sampleAppends(on, 1);
  const millions = recorded.pageEvents / 1e6;
  samples.add('replay', await replayRate(log, recorded));
  const stream = `${ledger}-raw.${vmStream(VM)}`;
  const streamSeconds = await secondsOf(() => server.raw.readStream(stream, recorded.events));
  samples.add('replay limit', millions / streamSeconds);
  samples.add('read', await readRate(log, recorded));
  const range = { stream: vmStream(VM), fromRevision: 0, count: 1, fromPosition: 0n };
  for await (const [first] of log.readStream(range)) {
    const { position } = first!;
    const seconds = await secondsOf(() => server.raw.readAll(position, recorded.events));
    samples.add('read limit', millions / seconds);
  }
  await log.close();
}

/** A row whose samples and limits have names. */
function rowOfSamples(
  samples: Samples,
  row: { readonly what: string; readonly of: string; readonly by: string; readonly than: string },
  note?: string,
): Row {
  return rowOf({
    what: row.what,
    measured: samples.figure(row.of),
    limit: { what: row.than, figure: samples.figure(row.by) },
    ...(note === undefined ? {} : { note }),
  });
}

function bytesRow(
  samples: Samples,
  { what, recorded, note }: { what: string; recorded: Recorded; note: string },
): Row {
  const data = figureOf([recorded.dataBytes / recorded.pageEvents], 'B/page event');
  const limit = { what: "the events' data alone", figure: data };
  return rowOf({ what, measured: samples.figure('bytes', 'B/page event'), limit, note });
}

function embeddedRows(samples: Samples, recorded: Recorded): Row[] {
  const { appends, events, pageEvents, dataBytes, entry } = recorded;
  const size = (dataBytes / MIB).toFixed(1);
  return [
    rowOfSamples(
      samples,
      {
        what: 'append, embedded, durable',
        of: 'append',
        by: 'append limit',
        than: 'write and fdatasync of the same bytes',
      },
      `${pageEvents} page events of ${entry.captures.length} captures in ${events} events of ${size} MiB, ${appends.length} appends, each when the one before was answered`,
    ),
    rowOfSamples(samples, {
      what: 'replay into a page table, embedded',
      of: 'replay',
      by: 'read limit',
      than: "read of the log's files",
    }),
    rowOfSamples(samples, {
      what: 'read the whole log, embedded',
      of: 'read',
      by: 'read limit',
      than: "read of the log's files",
    }),
    bytesRow(samples, {
      what: 'in the log, embedded',
      recorded,
      note: "the log's files, by the page events in them; the packs' own events are among the data",
    }),
  ];
}

/** Not of the double, whose positions are no places in a file. */
const serverBytesRow = ({ server, recorded, samples }: OnServer): Row =>
  bytesRow(samples, {
    what: `in the log, ${server.label}`,
    recorded,
    note: "by the log's positions before and after: what another writer appends meanwhile counts, and the server's index does not",
  });

function serverRows(on: OnServer): Row[] {
  const { server, samples } = on;
  const { label, isReal } = server;
  const appendRows = [1, VMS_AT_ONCE].map((streams) =>
    rowOfSamples(samples, {
      what: `append, ${streams === 1 ? 'one VM' : `${streams} VMs at once`}, ${label}`,
      of: `append ${streams}`,
      by: `append limit ${streams}`,
      than: `client's appends of the same bytes, ${streams} in flight`,
    }),
  );
  return [
    ...appendRows,
    rowOfSamples(samples, {
      what: `replay into a page table, ${label}`,
      of: 'replay',
      by: 'replay limit',
      than: "client's readStream of the same bytes",
    }),
    rowOfSamples(samples, {
      what: `read the whole log, ${label}`,
      of: 'read',
      by: 'read limit',
      than: "client's readAll of the same events",
    }),
    ...(isReal ? [serverBytesRow(on)] : []),
  ];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 4 : 128;
  const captures = context.isQuick ? 6 : 64;
  const count = context.isQuick ? 2 : 7;
  const images = [guestImage(context, mebibytes, 11), guestImage(context, mebibytes, 12)];
  const files = Array.from({ length: captures }, (_, i) => images[i % 2]!);
  const folder = freshFolder(context, 'event-logs');
  context.tell(`${captures} captures of ${(mebibytes * MIB) / PAGE_BYTES} pages`);
  await withLedger({ folder }, (ledger) => record(ledger, { vm: VM, files }));
  const server = await startLogServer();
  try {
    return await withLedger({ folder, threads: 0 }, async (ledger) => {
      const recorded = await recordedOf(ledger);
      let embedded = new Samples();
      let on: OnServer = { server, recorded, samples: new Samples() };
      for (let sample = -1; sample < count; sample += 1) {
        context.tell(sample < 0 ? 'warming up' : `sample ${sample + 1} of ${count}`);
        await sampleEmbedded(context, recorded, embedded);
        await sampleServer(on);
        if (sample >= 0) continue;
        embedded = new Samples();
        on = { ...on, samples: new Samples() };
      }
      return [...embeddedRows(embedded, recorded), ...serverRows(on)];
    });
  } finally {
    await server.stop();
  }
}

export const eventLogs: Bench = {
  name: 'event-logs',
  title: 'Page events in the log, embedded and on EventStoreDB',
  isPeer: true,
  run,
};
