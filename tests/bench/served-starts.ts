// A guest that is given what it asks for as a bench says: pages in blocks of any size, storage blocks
// behind them or none, and pages first that are to be there before they are asked for.

import { run } from '../../domain/ports/run.ts';
import type { PageStore } from '../../domain/ports/page-store.ts';
import type { PageDemand } from '../../domain/ports/arriving-guest.ts';
import { startArriving } from '../../adapters/guests/qemu/postcopy/start-arriving.ts';
import { tableOf, type VmPoint } from '../../adapters/wiring/ledger/vm-point.ts';
import { deviceStateOf } from '../../adapters/wiring/restore/restore.ts';
import { endsOfPages } from '../../domain/use-cases/layout/storage-block-numbers.ts';
import { PageReader } from '../../domain/use-cases/pages/page-reader.ts';
import {
  StoredNeighbours,
  type PageNeighbours,
} from '../../domain/use-cases/serve/page-neighbours.ts';
import { PageQueue } from '../../domain/use-cases/serve/page-queue.ts';
import { PageServer, type ServeCounts } from '../../domain/use-cases/serve/page-server.ts';
import { assert } from '../../domain/values/assert.ts';
import { BLOCK_PAGES } from '../../domain/values/page.ts';
import { memoryMapOf } from '../../projections/models/page-tables.ts';
import type { Ledger } from '../../index.ts';
import { ended, firstTick, freshConsole, VM, type RecordedGuest } from './resume-guests.ts';

/** How much comes with a page that is asked for. */
export interface Grain {
  /** Pages that are given as the answer: 1, or whole blocks as they are stored. */
  readonly blockPages: number;
  /** Pages that come behind it; 0: none. */
  readonly storagePages: number;
}

/** What a start took, until the first line of the console. */
export interface ServedStart {
  readonly runsMs: number;
  readonly lineMs: number;
  readonly counts: ServeCounts;
  /** Pages that the guest waited for, in their order. */
  readonly demanded: readonly number[];
  /** Pages that were given before any was asked for, by what was to be there first. */
  readonly given: ReadonlySet<number>;
  /** Reads from the page store and their bytes. */
  readonly reads: number;
  readonly readBytes: number;
}

/** Neighbours of a grain: blocks of the packs, so many of them as have the pages. */
export function grained(
  { table, ledger }: { readonly table: Uint32Array; readonly ledger: Ledger },
  { blockPages, storagePages }: Grain,
): PageNeighbours {
  const of = (pages: number): StoredNeighbours =>
    new StoredNeighbours({
      table,
      locator: ledger.state.contents,
      storageEnds: endsOfPages(pages),
    });
  const [near, far] = [
    of(Math.max(blockPages, BLOCK_PAGES)),
    of(Math.max(storagePages, BLOCK_PAGES)),
  ];
  return {
    block: (page) => (blockPages === 1 ? Uint32Array.of(page) : near.storageBlock(page)),
    storageBlock: (page) => (storagePages === 0 ? Uint32Array.of(page) : far.storageBlock(page)),
    inStorageOrder: () => near.inStorageOrder(),
  };
}

/** A page store, and what was read of it. */
function counted(store: PageStore) {
  const counts = { reads: 0, readBytes: 0 };
  const get: PageStore['get'] = (range) => {
    counts.reads += 1;
    counts.readBytes += range.lengthBytes;
    return store.get(range);
  };
  // No files: every read is asked for here.
  const seen: PageStore = {
    put: (pack) => store.put(pack),
    putPart: (part) => store.putPart(part),
    get,
    list: () => store.list(),
    delete: (name) => store.delete(name),
    has: (pack) => store.has(pack),
    now: () => store.now(),
    marks: () => store.marks(),
    putMark: (mark) => store.putMark(mark),
  };
  return { counts, store: seen };
}

export interface ServedRequest extends Grain {
  readonly guest: RecordedGuest;
  readonly ledger: Ledger;
  readonly point: VmPoint;
  /** Pages to give before they are asked for, in the order in which they were. Absent: none. */
  readonly prefetch?: Uint32Array;
  /** Whether these are given alone, without their blocks and storage blocks. */
  readonly isPrefetchWhole?: boolean;
  /** Where packs are read from; absent: where the ledger's are. */
  readonly store?: PageStore;
  /** How long the guest goes on behind its first line. */
  readonly onMs?: number;
}

/** The newest point of a recorded guest. */
export function newest(ledger: Ledger): VmPoint {
  const entry = ledger.vm(VM);
  return { entry, row: ledger.resolve(entry, 'latest') };
}

/** Starts a guest that is given what it asks for, and ends it when it has said something. */
export async function servedStart(request: ServedRequest): Promise<ServedStart> {
  const { guest, ledger, point, prefetch } = request;
  const table = await tableOf(ledger, point, { isWhole: true });
  const neighbours = grained({ table, ledger }, request);
  const { counts, store } = counted(request.store ?? ledger.store);
  const { contents } = ledger.state;
  const reader = new PageReader({ engine: await ledger.engine(), store, locator: () => contents });
  const queue = new PageQueue({ table, neighbours });
  const given = new Set<number>();
  if (prefetch !== undefined && request.isPrefetchWhole === true) {
    queue.prefetchAlone(prefetch.toSorted());
    for (const page of prefetch) given.add(page);
  } else if (prefetch !== undefined) {
    queue.prefetch(prefetch.toSorted(), prefetch);
    for (const page of prefetch) for (const each of neighbours.storageBlock(page)) given.add(each);
  }
  const demanded: number[] = [];
  const onDemanded = ({ firstPage, count }: PageDemand): void => {
    for (let page = firstPage; page < firstPage + count; page += 1) demanded.push(page);
  };
  const serialPath = freshConsole(guest, 'served');
  const begun = performance.now();
  let server: PageServer | null = null;
  let served: Promise<unknown> = Promise.resolve();
  const started = await run(
    startArriving({
      command: guest.command('served'),
      note: () => ({
        vm: VM,
        capture: point.row.capture,
        commit: point.row.id,
        lease: null,
        process: null,
      }),
      restore: () => Promise.reject(new Error('this bench starts guests lazily')),
      guest: async () => ({
        device: await deviceStateOf(ledger, point),
        memoryMap: memoryMapOf(point),
      }),
      serve: (arriving) => {
        server = new PageServer({ guest: arriving, reader, queue, label: VM, onDemanded });
        served = server.run();
        return served;
      },
      headStart: () => server?.prefetched() ?? Promise.resolve(),
    }),
  );
  assert(
    started._tag === 'arriving' && server !== null,
    'a guest starts before its memory is there',
  );
  try {
    await firstTick(serialPath);
    const lineMs = performance.now() - begun;
    await new Promise((resolve) => {
      setTimeout(resolve, request.onMs ?? 0);
    });
    const of: PageServer = server;
    return { runsMs: started.startMs, lineMs, counts: of.counts, demanded, given, ...counts };
  } finally {
    started.qmp.close();
    await ended(started.process);
    await served;
  }
}
