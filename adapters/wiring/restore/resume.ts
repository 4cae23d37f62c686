// A point resumed before its memory is there: a QEMU whose guest runs at once, and a server in this
// process that gives it its pages.

import { listenAsGiver } from '../../guests/qemu/postcopy/giver.ts';
import { readNote, writeNote, type PointNote } from '../../guests/qemu/postcopy/point-note.ts';
import { recoverArriving } from '../../guests/qemu/postcopy/recover-arriving.ts';
import {
  forgetArrival,
  startArriving,
  type EagerGuest,
  type StartedGuest,
} from '../../guests/qemu/postcopy/start-arriving.ts';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { LargePagesEvent } from '../../../domain/large-pages.ts';
import type { ArrivingGuest, PageDemand } from '../../../domain/ports/arriving-guest.ts';
import { run } from '../../../domain/ports/run.ts';
import type { PointReader } from '../../../domain/use-cases/layout/laid-out-reader.ts';
import { endsOfPages } from '../../../domain/use-cases/layout/storage-block-numbers.ts';
import {
  StoredNeighbours,
  type PageNeighbours,
} from '../../../domain/use-cases/serve/page-neighbours.ts';
import { PageQueue } from '../../../domain/use-cases/serve/page-queue.ts';
import {
  PageServer,
  type ServeCounts,
  type ServedReader,
} from '../../../domain/use-cases/serve/page-server.ts';
import { TracedNeighbours } from '../../../domain/use-cases/serve/traced-neighbours.ts';
import { inStorageOrder } from '../../../domain/use-cases/serve/storage-order.ts';
import { isWholeTrace } from '../../../domain/use-cases/serve/whole-trace.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { holdPoint, takeOver, type HeldPoint } from '../points/leases.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { firstPages } from './first-pages.ts';
import { PatientReading, type Waiting } from './patient-reading.ts';
import { readPoint, type ReadPoint } from '../points/point-reader.ts';
import { RequestRecorder, tracedSets } from '../points/requests.ts';
import { RegionSampling, type SamplingRequest } from './region-sampling.ts';
import { recordRestored } from './restored.ts';
import {
  deviceStateOf,
  requireDeviceState,
  restoreToGuest,
  type ResumePointRequest,
} from './restore.ts';
import { labelOf, tableOf, type VmPoint } from '../ledger/vm-point.ts';

/** Pages that are worth reading with one that a guest waits for, where no map says which (docs/serving.md). */
const STORAGE_PAGES = 128;

/** What gives a guest its pages, and how that ends. */
export interface Serving {
  readonly server: PageServer;
  readonly queue: PageQueue;
  readonly served: ReturnType<PageServer['run']>;
  /** Regions that are looked at; null: none are. */
  readonly sampled: RegionSampling | null;
}

/** The same of a guest that is started. */
interface StartedServing extends Serving {
  /** Ends when what the guest needs first is among what is given. */
  readonly first: Promise<void>;
}

/** How the giving of a guest's memory ended: all is there, it was left standing, or the guest is no more. */
export type Arrived = 'finished' | 'left' | 'gone';

/** A guest that runs while its memory arrives. */
export interface ArrivingMemory {
  /** Where its QEMU is controlled, also when this process has ended. */
  readonly qmpPath: string;
  /** What the guest did when it began: QEMU's word. */
  readonly runState: string;
  /** Ends when all was given, when the guest was left, or when it is gone. */
  readonly arrived: Promise<Arrived>;
  /** What was decided of the regions that were looked at; empty where that was cut short. */
  readonly judged: Promise<readonly LargePagesEvent[]>;
  /** Gives all that is left. */
  push(): void;
  /** Leaves the guest: it stands at the next page that it lacks. */
  leave(): void;
  counts(): ServeCounts;
  /** Of the pages that hold something. */
  progress(): { readonly pages: number; readonly pageCount: number };
}

/** A guest that was started, and whose memory arrives. */
export interface LazyGuest extends ArrivingMemory, Pick<StartedGuest, 'process' | 'startMs'> {
  readonly _tag: 'arriving';
}

/** For how long a guest is given single pages. */
export type TracingRequest = Pick<SamplingRequest, 'interval'>;

export interface ArrivingOptions {
  /** Only what the guest asks for is given, until `push`. */
  readonly isOnDemandOnly: boolean;
  /** Who is told that the guest waits for packs that are away; absent: nobody. */
  readonly waiting?: Waiting;
  /** Regions that are looked at while it runs; absent: none are. */
  readonly sampling?: SamplingRequest;
  /** Gives each page alone for a while, so that all that the guest uses is known; absent: blocks are given. */
  readonly tracing?: TracingRequest;
}

type Serve = (guest: ArrivingGuest, given?: Uint8Array) => StartedServing;

const UNTOLD: Waiting = { onAway: () => undefined, onBack: () => undefined };

/** Reads a guest's pages; it stands, and fails at nothing, while the packs are away. */
const patient = (reader: PointReader, reading: PatientReading): ServedReader => ({
  get blocksRead() {
    return reader.blocksRead;
  },
  read: (holdings, into, signal) => reading.whenThere(() => reader.read(holdings, into), signal),
  fill: (request, target, signal) => reading.whenThere(() => reader.fill(request, target), signal),
});

/** Which pages come with one: by the checkpoint's map, where there is one. */
function neighboursOf(
  { state }: Ledger,
  { table, read }: { readonly table: Uint32Array; readonly read: ReadPoint },
): PageNeighbours {
  const { locator, storageEnds, isTraced } = read;
  const others = endsOfPages(STORAGE_PAGES);
  const copies = new StoredNeighbours({ table, locator, storageEnds: storageEnds(others) });
  if (!isTraced) return copies;
  return new TracedNeighbours({
    copies,
    plain: new StoredNeighbours({ table, locator: state.contents, storageEnds: others }),
  });
}

interface ServeOptions extends Omit<ArrivingOptions, 'isOnDemandOnly'> {
  /** The devices of a guest that is started: they tell what it needs first. */
  readonly device?: Promise<DeviceState>;
}

/** Makes ready what gives pages of a point. */
export async function serveOf(
  ledger: Ledger,
  point: VmPoint,
  { waiting = UNTOLD, sampling, tracing, device }: ServeOptions = {},
): Promise<Serve> {
  const table = await tableOf(ledger, point, { isWhole: true });
  const read = await readPoint(ledger, { point, table });
  const { locator } = read;
  const reader = patient(read.reader, new PatientReading(ledger, waiting));
  const neighbours = neighboursOf(ledger, { table, read });
  const asked = tracedSets(ledger, point, table.length).flatMap((set) => [...set]);
  const traced = inStorageOrder(asked, { table, locator });
  const sampled =
    sampling === undefined ? null : await RegionSampling.begin(ledger, point, sampling);
  const isWhole = isWholeTrace(new Set(asked), neighbours);
  const withheld = tracing === undefined ? sampled?.withheld : new Uint8Array(table.length).fill(1);
  const waits = withheld === undefined ? {} : { withheld };
  const queue = new PageQueue({ table, neighbours, ...waits });
  if (isWhole) queue.prefetchAlone(traced);
  else queue.prefetch(traced, Uint32Array.from(asked));
  const needed = device?.then((of) =>
    firstPages(point, { table, reader: read.reader, device: of }),
  );
  // Its failure is met by whoever starts the guest.
  needed?.catch(() => undefined);
  return (guest, given) => {
    if (given !== undefined) queue.had(given);
    // What is asked for of a few regions alone is no trace of what a guest needs.
    const requests = sampled === null ? new RequestRecorder(ledger, point) : null;
    const onDemanded = (demand: PageDemand): void => (sampled ?? requests!).note(demand);
    const label = labelOf(point);
    const server = new PageServer({ guest, reader, queue, label, onDemanded });
    const first = async (): Promise<void> => {
      if (needed !== undefined) server.prefetchFirst(await needed);
    };
    const served = server.run().finally(() => requests?.end());
    const begun = first();
    begun.catch(() => undefined);
    return { server, queue, served, sampled, first: begun };
  };
}

/**
 * Judges what is looked at when all else was given and the interval is over, and has what was withheld given
 * then, however that went. Nothing is judged where it was given, or the guest ended, before.
 */
async function judgeAfter(
  { sampled, server }: Serving,
  interval: TracingRequest['interval'],
): Promise<readonly LargePagesEvent[]> {
  const over = new AbortController();
  try {
    await server.ahead();
    await Promise.race([interval(over.signal), server.released()]);
    return sampled !== null && server.isWithholding ? await sampled.judge() : [];
  } finally {
    over.abort();
    server.release();
  }
}

/** What callers see of a guest that is served. */
export function arrivingMemory(
  guest: Pick<StartedGuest, 'qmp' | 'qmpPath' | 'runState' | 'keeper'>,
  serving: Serving,
  {
    isOnDemandOnly,
    held,
    noted,
    sampling,
    tracing,
  }: ArrivingOptions & { readonly held: HeldPoint; readonly noted?: Promise<void> },
): ArrivingMemory {
  const { server, queue, served } = serving;
  if (!isOnDemandOnly) server.push();
  const { qmp, qmpPath, runState } = guest;
  const push = (): void => {
    server.release();
    server.push();
  };
  const listening = listenAsGiver(qmpPath, push);
  const withheldFor = tracing?.interval ?? sampling?.interval;
  const judged = withheldFor === undefined ? Promise.resolve([]) : judgeAfter(serving, withheldFor);
  // Who waits for it is told of a failure; nobody may.
  judged.catch(() => undefined);
  const arrived = async (): Promise<Arrived> => {
    let how: Arrived = 'left';
    try {
      how = await served;
      await judged.catch(() => undefined);
      if (how !== 'left') await forgetArrival(guest);
      return how;
    } finally {
      qmp.close();
      (await listening).end();
      await noted;
      // Who goes on with a guest that was left needs the point still.
      if (how !== 'left') await held.release();
    }
  };
  return {
    qmpPath,
    runState,
    arrived: arrived(),
    judged,
    push,
    leave: () => server.leave(),
    counts: () => server.counts,
    progress: () => queue.progress,
  };
}

/** Starts a guest from a point before its memory is there; with all of it where QEMU cannot do that. */
export async function resumeLazily(
  ledger: Ledger,
  point: VmPoint,
  request: ResumePointRequest & ArrivingOptions,
): Promise<LazyGuest | EagerGuest> {
  requireDeviceState(point);
  const made: Made = { held: null, isReady: null, process: null, serve: null, serving: null };
  try {
    return await startLazily(ledger, point, { ...request, made });
  } catch (thrown) {
    // QEMU may have ended while its point was being held: the ledger is the caller's to close after this.
    await made.isReady;
    await made.held?.release();
    throw thrown;
  }
}

/** What there is of a guest while it is started. */
interface Made {
  /** Its point, held for its QEMU, which may need pages longer than this process lives. */
  held: HeldPoint | null;
  /** Ends when nothing is made ready any more, however that went; null: nothing was. */
  isReady: Promise<unknown> | null;
  process: number | null;
  serve: Serve | null;
  serving: StartedServing | null;
}

async function startLazily(
  ledger: Ledger,
  point: VmPoint,
  request: ResumePointRequest & ArrivingOptions & { readonly made: Made },
): Promise<LazyGuest | EagerGuest> {
  const { entry, row } = point;
  const { made } = request;
  const { vm } = entry;
  const started = await run(
    startArriving({
      command: request.command,
      diskOk: request.isDiskOk,
      note: () => {
        const { held, process } = made;
        return { vm, capture: row.capture, commit: row.id, lease: held?.id ?? null, process };
      },
      restore: async (target) => {
        await restoreToGuest(ledger, point, target);
        await made.held?.release();
      },
      guest: async (process) => {
        made.process = process;
        // What lies where is found out while the lease is written; no pack is read before it is.
        const held = holdFor(ledger, point, process).then((of) => (made.held = of));
        const device = held.then(() => deviceStateOf(ledger, point));
        const serve = serveOf(ledger, point, { ...request, device });
        made.isReady = Promise.allSettled([held, device, serve]);
        await held;
        made.serve = await serve;
        return { device: await device, memoryMap: memoryMapOf(point) };
      },
      serve: (guest) => {
        assert(made.serve !== null, 'what gives pages was made ready before');
        made.serving = made.serve(guest);
        return made.serving.served;
      },
      headStart: async () => {
        await made.serving?.first;
        await made.serving?.server.prefetched();
      },
      ...(request.stdio === undefined ? {} : { stdin: request.stdio, stdout: request.stdio }),
      ...(request.onStderr === undefined ? {} : { onStderr: request.onStderr }),
    }),
  ).catch(async (thrown: unknown) => {
    // A guest that did not start is no longer served: what it asked for is written down by then.
    await made.serving?.served.catch(() => undefined);
    throw thrown;
  });
  if (started._tag === 'eager') return started;
  const { held, serving } = made;
  assert(
    serving !== null && held !== null,
    'a guest that runs is served from a point that is held',
  );
  const { process, startMs } = started;
  // Beside the giving, which does not wait for it.
  const noted = recordRestored(ledger, point, { how: 'resume' });
  const arriving = arrivingMemory(started, serving, { ...request, held, noted });
  return { _tag: 'arriving', process, startMs, ...arriving };
}

/** The point that a guest was resumed from which was left, by the socket of its QEMU. NOT_FOUND. */
export function pointOfGuest(ledger: Ledger, qmpPath: string): VmPoint {
  const { vm, capture, commit } = readNote(qmpPath);
  const entry = ledger.vm(vm);
  const row = ledger.resolve(entry, `@${capture}`);
  if (row.id === commit) return { entry, row };
  throw new LedgerError(
    'NOT_FOUND',
    `the guest of ${qmpPath} is of another ledger: its memory is capture ${capture} of a VM ${vm} that was committed as ${commit}, which here is ${row.id}; give the ledger that it was resumed from`,
    { vm, capture },
  );
}

/** Holds a point for a guest's QEMU. */
const holdFor = (ledger: Ledger, point: VmPoint, process: number | null): Promise<HeldPoint> =>
  holdPoint(ledger, point, { kind: 'resume', ...(process === null ? {} : { process }) });

/** Takes over how the point of a guest is held that was left. */
async function holdAgain(
  ledger: Ledger,
  point: VmPoint,
  { note, qmpPath }: { readonly note: PointNote; readonly qmpPath: string },
): Promise<HeldPoint> {
  const { vm, lease, process } = note;
  const held = lease === null ? null : takeOver(ledger, { vm, lease });
  if (held !== null) return held;
  // Somebody has ended it, or the ledger could not be written then.
  const again = await holdFor(ledger, point, process);
  writeNote(qmpPath, { ...note, lease: again.id });
  return again;
}

/** Goes on giving a guest its memory for a process that has ended. */
export async function recoverGuest(
  ledger: Ledger,
  point: VmPoint,
  request: { readonly qmpPath: string } & ArrivingOptions,
): Promise<ArrivingMemory> {
  const { qmpPath } = request;
  const note = readNote(qmpPath);
  const held = await holdAgain(ledger, point, { note, qmpPath });
  const made: { serving: Serving | null } = { serving: null };
  try {
    const serve = await serveOf(ledger, point, request);
    const recovered = await run(
      recoverArriving({
        qmpPath,
        memoryMap: memoryMapOf(point),
        serve: (guest, given) => {
          made.serving = serve(guest, given);
          // Its failure is met when its end is waited for.
          made.serving.served.catch(() => undefined);
        },
      }),
    );
    assert(made.serving !== null, 'a guest that goes on is served');
    return arrivingMemory(recovered, made.serving, { ...request, held });
  } catch (thrown) {
    await made.serving?.served.catch(() => undefined);
    // The guest stands as it stood, or another process gives it its memory: what was held stays held.
    if (held.id !== note.lease) await held.release();
    throw thrown;
  }
}
