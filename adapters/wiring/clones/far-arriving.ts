// A guest of a memory server that runs before its memory is there, where that can be mapped from no file: its
// QEMU asks this process for what it touches, which asks the server. Each such guest has a copy of its own.

import { writeMemory } from '../../files/memory-file.ts';
import { readNote, type PointNote } from '../../guests/qemu/postcopy/point-note.ts';
import { recoverArriving } from '../../guests/qemu/postcopy/recover-arriving.ts';
import { startArriving } from '../../guests/qemu/postcopy/start-arriving.ts';
import { assert } from '../../../domain/values/assert.ts';
import { contentOf, holdingOfContent, ZERO } from '../../../domain/values/holding.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ArrivingGuest } from '../../../domain/ports/arriving-guest.ts';
import { run } from '../../../domain/ports/run.ts';
import type { PageNeighbours } from '../../../domain/use-cases/serve/page-neighbours.ts';
import { PageQueue } from '../../../domain/use-cases/serve/page-queue.ts';
import { PageServer, type ServedReader } from '../../../domain/use-cases/serve/page-server.ts';
import type { ParentPoint } from '../../../domain/vm.ts';
import { arrivingMemory, type ArrivingMemory, type Serving } from '../restore/resume.ts';
import type { StartedClone } from './clones.ts';
import type { FarGuest } from './far-point.ts';

/** The block of memory that a server gives, however long that takes: until `signal` ends it. */
export interface FarBlockMemory {
  /** Whether a page of it is known to be zeros. */
  isZero(page: number): boolean;
  read(firstPage: number, pages: number, signal: AbortSignal): Promise<Uint8Array>;
}

/** A guest, and its memory. */
export interface FarSource {
  readonly guest: FarGuest;
  readonly memory: FarBlockMemory;
}

/** Pages that are asked for with one: what a round trip costs is worth some. */
const NEAR_PAGES = 64;

/** What each page holds: zeros, or what is known by its number alone. */
function tableOf({ guest, memory }: FarSource): Uint32Array {
  const { gfn } = guest.mapped;
  return Uint32Array.from({ length: guest.pages }, (_, page) => {
    const isZero = guest.isMapped(page) ? memory.isZero(page - gfn) : guest.isZero(page);
    return isZero ? ZERO : holdingOfContent(page);
  });
}

/** Pages come along with those beside them. */
class NearPages implements PageNeighbours {
  readonly #table: Uint32Array;

  constructor(table: Uint32Array) {
    this.#table = table;
  }

  #from(first: number): Uint32Array {
    const near = Uint32Array.from({ length: NEAR_PAGES }, (_, i) => first + i);
    return near.filter((page) => page < this.#table.length && this.#table[page] !== ZERO);
  }

  block(page: number): Uint32Array {
    return this.#table[page] === ZERO
      ? Uint32Array.of(page)
      : this.#from(page - (page % NEAR_PAGES));
  }

  storageBlock(page: number): Uint32Array {
    return this.block(page);
  }

  *inStorageOrder(): Generator<Uint32Array> {
    for (let first = 0; first < this.#table.length; first += NEAR_PAGES) yield this.#from(first);
  }
}

/** Reads pages of a guest by what the table says of them, those that follow each other as one. */
class FarReader implements ServedReader {
  readonly #of: FarSource;
  /** Where [page] is 1 it came from the server. */
  readonly fetched: Uint8Array;
  blocksRead = 0;

  constructor(of: FarSource) {
    this.#of = of;
    this.fetched = new Uint8Array(of.guest.pages);
  }

  async read(
    holdings: ArrayLike<number>,
    into: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { guest, memory } = this.#of;
    for (let at = 0; at < holdings.length;) {
      const page = contentOf(holdings[at]!);
      let count = 1;
      if (guest.isMapped(page)) {
        while (
          holdings[at + count] === holdingOfContent(page + count) &&
          guest.isMapped(page + count)
        )
          count += 1;
        into.set(await memory.read(page - guest.mapped.gfn, count, signal), at * PAGE_BYTES);
        this.fetched.fill(1, page, page + count);
        this.blocksRead += 1;
      } else into.set(guest.page(page), at * PAGE_BYTES);
      at += count;
    }
    return into;
  }

  async fill(...[{ table }, target, signal]: Parameters<ServedReader['fill']>): Promise<void> {
    const bytes = await this.read(table, new Uint8Array(table.length * PAGE_BYTES), signal);
    const { file, offsetBytes } = target;
    writeMemory(file, { bytes, at: 0, lengthBytes: bytes.length, offsetBytes });
  }
}

/** Gives a guest its pages; where [page] of `given` is 1 it has it. */
function serve(
  of: FarSource,
  guest: ArrivingGuest,
  given?: Uint8Array,
): Serving & { readonly fetched: Uint8Array } {
  const table = tableOf(of);
  const neighbours = new NearPages(table);
  const queue = new PageQueue({ table, neighbours });
  if (given !== undefined) queue.had(given);
  const label = 'what the memory server gives';
  const reader = new FarReader(of);
  const server = new PageServer({ guest, reader, queue, label });
  const served = server.run();
  // Its failure is met where its end is waited for.
  served.catch(() => undefined);
  return { server, queue, served, sampled: null, fetched: reader.fetched };
}

/** Its server's ledger holds the point for it, as it does for every clone. */
const NOT_HELD_HERE = { id: null, release: () => Promise.resolve() };

/** A clone whose memory arrives. */
export interface ArrivingClone extends StartedClone {
  readonly memory: ArrivingMemory;
  /** Where [page] is 1 it came from the server. */
  readonly fetched: Uint8Array;
}

const noPostcopy = (): LedgerError =>
  new LedgerError(
    'QEMU_FAILED',
    'QEMU cannot catch its accesses to memory here, so it cannot run before that is there: root, CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1 lets it; without --postcopy a clone maps its memory',
    {},
  );

/** Starts a clone by a name that nobody else has; nobody is told of it. */
export async function startArrivingClone(
  of: FarSource,
  request: {
    readonly name: string;
    readonly master: ParentPoint;
    readonly command: readonly string[];
    readonly isDiskOk: boolean;
    readonly onStderr?: (text: string) => void;
  },
): Promise<ArrivingClone> {
  const { name: lease, master, command, isDiskOk: diskOk, onStderr } = request;
  let serving: ReturnType<typeof serve> | null = null;
  let note: PointNote = { ...master, commit: FAR_COMMIT, lease, process: null };
  const started = await run(
    startArriving({
      command,
      diskOk,
      note: () => note,
      restore: () => Promise.reject(noPostcopy()),
      guest: (process) => {
        note = { ...note, process };
        return Promise.resolve(of.guest.described);
      },
      serve(guest) {
        serving = serve(of, guest);
        return serving.served;
      },
      headStart: () => Promise.resolve(),
      ...(onStderr === undefined ? {} : { onStderr }),
    }),
  );
  assert(started._tag === 'arriving' && serving !== null, 'it was not sent all of its memory');
  const { fetched } = serving as ReturnType<typeof serve>;
  // What it does not touch it does not take of its host either.
  const memory = arrivingMemory(started, serving, { isOnDemandOnly: true, held: NOT_HELD_HERE });
  const { process, runState, startMs, qmpPath } = started;
  const guest = { process, runState, startMs, qmpPath, group: null };
  return { ...guest, id: null, sentPages: 0, memory, fetched };
}

/** Stands for the commit of a point of which only a memory server has the ledger. */
const FAR_COMMIT = 'far';

/** The point of such a clone, by the socket of its QEMU, and by which lease its server knows it. NOT_FOUND. */
export function farNoteOf(qmpPath: string): PointNote {
  const note = readNote(qmpPath);
  if (note.commit === FAR_COMMIT) return note;
  throw new LedgerError(
    'NOT_FOUND',
    `the guest of ${qmpPath} was resumed from a ledger: leave --from out`,
    { path: qmpPath },
  );
}

/** Goes on giving a clone its memory for a process that has ended. */
export async function recoverArrivingClone(
  of: FarSource,
  { qmpPath, isOnDemandOnly }: { readonly qmpPath: string; readonly isOnDemandOnly: boolean },
): Promise<ArrivingMemory> {
  let serving: Serving | null = null;
  const recovered = await run(
    recoverArriving({
      qmpPath,
      memoryMap: of.guest.described.memoryMap,
      serve: (guest, given) => {
        serving = serve(of, guest, given);
      },
    }),
  );
  assert(serving !== null, 'a guest that goes on is served');
  return arrivingMemory(recovered, serving, { isOnDemandOnly, held: NOT_HELD_HERE });
}
