// A long history straight into a ledger's log: batches of page events as recorders write them, without
// images and without packs. What only events and projections are asked about needs no more.

import { hash, randomFillSync } from 'node:crypto';
import { assert } from '../../domain/values/assert.ts';
import { flatMap } from '../../domain/values/memory-map.ts';
import { encodePackWritten } from '../../domain/events/pack-written.ts';
import { PACK_HEADER_BYTES } from '../../domain/values/pack.ts';
import {
  encodePageColumns,
  KIND_MERGED,
  KIND_STORED,
  KIND_ZERO,
  type PageColumns,
} from '../../domain/events/pages-written.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { BATCH_ROWS_MAX, PACK_PAGES_MAX, PAGE_BYTES } from '../../domain/values/page.ts';
import { NO_PATCHES } from '../../domain/events/patches.ts';
import type { NewEvent } from '../../domain/ports/event-log.ts';
import { vmStream } from '../../domain/events/streams.ts';
import { encodeControls, newEvent } from '../../domain/events/envelope.ts';
import { run, type Ledger } from '../../index.ts';
import { seededRandom, type Random } from '../support/images.ts';
import { committedOf, rawBlocks } from './synthetic-events.ts';

const VMS = ['one', 'two', 'three', 'four'];
/** Of 16 writes: so many are of new content, and so many of zeros; the others link to older content. */
const STORED_OF_16 = 4;
const ZERO_OF_16 = 2;
/** Schemas of the events here: columns that are not short. */
const PACK_SCHEMA = 4;
const PAGES_SCHEMA = 2;
/** Packs that links go to: the newest ones. */
const LINKED_PACKS_MAX = 200;

const PORTS = {
  clock: () => 1_790_000_000_000,
  randomBytes: (count: number) => randomFillSync(new Uint8Array(count)),
};

export interface SyntheticHistory {
  readonly vms: readonly string[];
  readonly pages: number;
  readonly events: number;
}

/** So many gfns below `pages`, ascending. */
function gfnsOf(random: Random, { rows, pages }: { rows: number; pages: number }): Uint32Array {
  const stride = pages / rows;
  return Uint32Array.from({ length: rows }, (_, row) =>
    Math.floor(row * stride + random(Math.max(1, Math.floor(stride)))),
  );
}

interface Written {
  /** Names of packs, oldest first; each is full. */
  readonly packs: string[];
}

function columnsOf(
  random: Random,
  of: { capture: number; gfns: Uint32Array; own: string; older: readonly string[] },
): PageColumns {
  const rows = of.gfns.length;
  const columns = {
    kinds: new Uint8Array(rows),
    packIndexes: new Uint16Array(rows),
    slots: new Uint16Array(rows),
  };
  let stored = 0;
  for (let row = 0; row < rows; row += 1) {
    const draw = random(16);
    const isStored = draw < STORED_OF_16 && stored < PACK_PAGES_MAX;
    if (isStored) {
      columns.kinds[row] = KIND_STORED;
      columns.slots[row] = stored;
      stored += 1;
    } else if (draw < STORED_OF_16 + ZERO_OF_16 || of.older.length === 0)
      columns.kinds[row] = KIND_ZERO;
    else {
      columns.kinds[row] = KIND_MERGED;
      columns.packIndexes[row] = 1 + random(of.older.length);
      columns.slots[row] = random(PACK_PAGES_MAX);
    }
  }
  const packs = [of.own, ...of.older];
  const { capture, gfns } = of;
  return { capture, batch: 0, firstRow: 0, parts: [], packs, gfns, ...columns };
}

function eventsOf(
  random: Random,
  of: { vm: string; capture: number; pages: number; revision: number },
  written: Written,
): NewEvent[] {
  const { vm, capture, pages, revision } = of;
  const rows = Math.min(BATCH_ROWS_MAX, pages);
  const own = hash('sha256', `pack ${vm} ${capture}`, 'hex');
  const older = written.packs.slice(-LINKED_PACKS_MAX);
  const columns = columnsOf(random, {
    capture,
    gfns: gfnsOf(random, { rows, pages }),
    own,
    older,
  });
  const slots = PACK_PAGES_MAX;
  const pack = encodePackWritten(
    {
      name: own,
      capture,
      group: 'default',
      sizeBytes: PACK_HEADER_BYTES + slots * PAGE_BYTES,
      blocks: rawBlocks(slots, null),
      identifiers: randomFillSync(new Uint8Array(slots * IDENTIFIER_BYTES)),
      patches: NO_PATCHES,
    },
    PACK_SCHEMA,
  );
  written.packs.push(own);
  const data = [
    { type: 'PackWritten', schema: PACK_SCHEMA, data: pack },
    { type: 'PagesWritten', schema: PAGES_SCHEMA, data: encodePageColumns(columns, PAGES_SCHEMA) },
  ];
  const stored = columns.kinds.filter((kind) => kind === KIND_STORED).length;
  const merged = columns.kinds.filter((kind) => kind === KIND_MERGED).length;
  const committed = encodeControls(PORTS, [
    ...(capture === 1
      ? [
          {
            type: 'VmRegistered' as const,
            data: {
              vm,
              group: 'default',
              share: 'group' as const,
              memoryMap: flatMap(pages),
              parent: null,
            },
          },
        ]
      : []),
    {
      type: 'CaptureCommitted',
      data: committedOf(data, {
        vm,
        capture,
        timeMs: PORTS.clock() + capture * 1000,
        firstRevision: revision + 1,
        written: rows,
        stored,
        merged,
        pattern: rows - stored - merged,
        unchanged: pages - rows,
      }),
    },
  ]);
  assert(committed._tag === 'Right', 'synthetic events are well formed');
  return [...data.map((event) => newEvent(PORTS, event)), ...committed.right];
}

/** Appends captures of several VMs in turn, until there are so many page events. */
export async function writeHistory(
  ledger: Ledger,
  request: { readonly events: number; readonly pages: number; readonly seed: number },
): Promise<SyntheticHistory> {
  const { pages } = request;
  const random = seededRandom(request.seed);
  const written: Written = { packs: [] };
  await ledger.openGroup('default');
  const revisions = new Map(VMS.map((vm) => [vm, -1]));
  let events = 0;
  for (let round = 1; events < request.events; round += 1)
    for (const vm of VMS) {
      const revision = revisions.get(vm)!;
      const batch = eventsOf(random, { vm, capture: round, pages, revision }, written);
      const stream = vmStream(vm);
      const appended = { stream, expectedRevision: revision, events: batch };
      revisions.set(vm, (await run(ledger.log.append(appended))).revision);
      events += Math.min(BATCH_ROWS_MAX, pages);
    }
  return { vms: VMS, pages, events };
}
