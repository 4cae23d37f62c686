// The event layer's share of recording: what the log, the codecs and the fold cost, of the whole. The
// log's port is wrapped and notes what a recording appends; the same events are then encoded,
// batched, hashed, appended durably and folded once more, each timed alone. With threads some of it
// overlaps with work on pages, so the share is an upper bound.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../adapters/files/files.ts';
import { openEventLog } from '../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { openLedgerFolder } from '../../adapters/stores/ledger-folder/ledger-folder.ts';
import { assert } from '../../domain/values/assert.ts';
import { decodeControl, encodeControl, isBatchType } from '../../domain/events/control.ts';
import { decodePackWritten, encodePackWritten } from '../../domain/events/pack-written.ts';
import {
  decodePageColumns,
  encodePageColumns,
  hasReference,
  type PageColumns,
} from '../../domain/events/pages-written.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { AppendRequest, NewEvent } from '../../domain/ports/event-log.ts';
import type { PageReference } from '../../domain/ports/models.ts';
import { BatchBuilder } from '../../domain/use-cases/record/batch-builder.ts';
import { PackPlan } from '../../domain/use-cases/record/pack-plan.ts';
import { Ledger, run as settled, sha256 } from '../../index.ts';
import type { LedgerLog } from '../../adapters/wiring/ledger/ledger-parts.ts';
import { folderParts } from '../../adapters/wiring/opening/folder-ledger.ts';
import { MemoryIdentifierColumn } from '../../projections/models/identifier-index.ts';
import { LedgerState } from '../../projections/models/ledger-state.ts';
import { replayCommits } from '../../projections/observable.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, sampled, secondsOf, type Row } from './measure.ts';

const PERCENT_AT_MOST = 3;

const FORGETFUL: StateFiles = {
  load: () => Promise.resolve(null),
  open: () => Promise.resolve(null),
  save: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  drop: () => Promise.resolve(),
};

/** The same log, which notes what is appended. */
function noting(log: LedgerLog, noted: AppendRequest[]): LedgerLog {
  return {
    append: (request) => {
      noted.push(request);
      return log.append(request);
    },
    read: (range) => log.read(range),
    readStream: (range) => log.readStream(range),
    subscribe: (request) => log.subscribe(request),
    head: () => log.head(),
    streamRevision: (stream) => log.streamRevision(stream),
    last: (stream) => log.last(stream),
    cut: (firstKept) => log.cut(firstKept),
    check: () => log.check(),
    close: () => log.close(),
  };
}

/** Records an image and gives what that appended to the VM's stream. */
async function appendsOf(context: BenchContext, file: string): Promise<readonly AppendRequest[]> {
  const path = freshFolder(context, 'noted');
  await withLedger({ folder: path }, () => Promise.resolve());
  const folder = await settled(openLedgerFolder({ files: nodeFiles, path, ifAbsent: 'fail' }));
  const options = { url: path, mode: 'write' } as const;
  const parts = await folderParts(options, folder);
  const noted: AppendRequest[] = [];
  const ledger = new Ledger({ ...parts, log: noting(parts.log, noted) }, options);
  await ledger.state.load();
  await ledger.state.catchUp({ heavy: false });
  await record(ledger, { vm: 'guest', files: [file] });
  await ledger.close();
  return noted.filter(({ stream }) => stream.startsWith('vm-'));
}

const rightOf = <A>(outcome: { _tag: 'Left' } | { _tag: 'Right'; right: A }): A => {
  assert(outcome._tag === 'Right', 'an event that was written decodes');
  return outcome.right;
};

/** What a row refers to. */
function referenceOf({ packs, packIndexes, slots }: PageColumns, row: number): PageReference {
  const pack = packs[packIndexes[row]!];
  const slot = slots[row]!;
  return pack === undefined ? { _tag: 'public', pattern: slot } : { _tag: 'committed', pack, slot };
}

/** Encodes a decoded event again, batching its rows as recording does. */
function encoder(event: NewEvent): () => Uint8Array {
  if (event.type === 'PackWritten') {
    const pack = rightOf(decodePackWritten(event));
    return () => encodePackWritten(pack, event.schema);
  }
  if (!isBatchType(event.type)) {
    const control = rightOf(decodeControl({ ...event, position: 0n }));
    return () => rightOf(encodeControl(control));
  }
  const columns = rightOf(decodePageColumns(event));
  return () => {
    const builder = new BatchBuilder(
      { capture: columns.capture, plan: new PackPlan() },
      () => undefined,
    );
    const { kinds, gfns } = columns;
    for (let row = 0; row < gfns.length; row += 1) {
      const kind = kinds[row]!;
      builder.add({
        kind,
        gfn: gfns[row]!,
        reference: hasReference(kind) ? referenceOf(columns, row) : null,
      });
    }
    builder.finish();
    return encodePageColumns(columns, event.schema);
  };
}

interface Parts {
  readonly codecs: number;
  readonly appends: number;
  readonly fold: number;
}

/** Seconds of the event layer's parts for these events. */
async function partsOf(
  context: BenchContext,
  requests: readonly AppendRequest[],
  sample: number,
): Promise<Parts> {
  const encoders = requests.flatMap(({ events }) => events.map(encoder));
  const codecs = await secondsOf(() => {
    for (const encode of encoders) sha256(encode());
  });
  const folder = join(freshFolder(context, `log-${sample}`), 'log');
  mkdirSync(folder, { recursive: true });
  const log = await settled(openEventLog({ folder, files: nodeFiles }));
  const appends = await secondsOf(async () => {
    for (const request of requests) await settled(log.append(request));
  });
  const column = new MemoryIdentifierColumn();
  const state = new LedgerState({
    log,
    files: FORGETFUL,
    identifiers: () => column,
    replay: (from, consume) => replayCommits(log, from, consume),
  });
  const fold = await secondsOf(() => state.catchUp({ heavy: true }));
  await log.close();
  return { codecs, appends, fold };
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 16 : 512;
  const samples = context.isQuick ? 2 : 7;
  const file = guestImage(context, mebibytes);
  context.tell('what a recording appends');
  const requests = await appendsOf(context, file);
  const bytes = requests.flatMap(({ events }) => events).reduce((sum, e) => sum + e.data.length, 0);
  await partsOf(context, requests, 0);
  const parts: Parts[] = [];
  const totals = { 0: [] as number[], 2: [] as number[] };
  for (const threads of [0, 2] as const)
    await sampled(samples + 1, async (sample) => {
      const folder = freshFolder(context, 'total');
      const seconds = await withLedger({ folder, threads }, (ledger) =>
        secondsOf(() => record(ledger, { vm: 'guest', files: [file] })),
      );
      if (sample > 0) totals[threads].push(seconds);
      parts.push(await partsOf(context, requests, sample));
      return seconds;
    });
  const layer = figureOf(
    parts.map(({ codecs, appends, fold }) => codecs + appends + fold),
    's',
  );
  const part = (name: keyof Parts): string =>
    `${name} ${(
      figureOf(
        parts.map((sample) => sample[name]),
        's',
      ).median * 1000
    ).toFixed(1)} ms`;
  const share = (threads: 0 | 2, label: string): Row => {
    const total = figureOf(totals[threads], 's');
    return rowOf({
      what: `event layer's share of recording new content, ${label}`,
      measured: figureOf(
        parts.map(({ codecs, appends, fold }) => (100 * (codecs + appends + fold)) / total.median),
        '%',
      ),
      target: { sense: 'at most', bound: PERCENT_AT_MOST },
      note: `${(layer.median * 1000).toFixed(1)} ms of ${(total.median * 1000).toFixed(0)} ms: ${part('codecs')}, ${part('appends')} (${requests.length} appends, ${(bytes / MIB).toFixed(2)} MiB, durable), ${part('fold')}`,
    });
  };
  return [share(0, 'one thread'), share(2, 'two threads')];
}

export const eventLayer: Bench = {
  name: 'event-layer',
  title: "The event layer's share of recording",
  run,
};
