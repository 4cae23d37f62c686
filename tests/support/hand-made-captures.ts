// Captures without a guest and without an engine: a page's content is a small number (0: zeros; -1:
// its source did not tell what it holds), and its identifier the digest of that number. A capture is
// planned against a state, as a recorder does,
// and appended later, batch by batch, so that recorders can be interleaved in any way.

import { hash } from 'node:crypto';
import type { ControlEvent } from '../../domain/events/control.ts';
import { flatMap, type MemoryMap } from '../../domain/values/memory-map.ts';
import { CODEC_RAW, PACK_HEADER_BYTES, type BlockTable } from '../../domain/values/pack.ts';
import { encodePackWritten, packWrittenSchema } from '../../domain/events/pack-written.ts';
import {
  encodePageColumns,
  hasReference,
  isUntoldKind,
  KIND_ZERO,
  type PageColumns,
} from '../../domain/events/pages-written.ts';
import {
  CLASS_NONE,
  CLASS_UNTOLD,
  CLASS_ZERO,
  IDENTIFIER_BYTES,
} from '../../domain/ports/page-engine.ts';
import { BLOCK_PAGES, PAGE_BYTES } from '../../domain/values/page.ts';
import { UNTOLD, ZERO } from '../../domain/values/holding.ts';
import { NO_PATCHES } from '../../domain/events/patches.ts';
import { decideWrites, type DecidedWrites } from '../../domain/sharing.ts';
import type { EventLog, NewEvent, Position } from '../../domain/ports/event-log.ts';
import { LEDGER_STREAM, pointsStream, vmStream } from '../../domain/events/streams.ts';
import { batchesHash } from '../../domain/evidence.ts';
import { encodeControls } from '../../domain/events/envelope.ts';
import { decideVm, type CommitCapture } from '../../domain/vm.ts';
import { LayeredCaptureView } from '../../projections/models/capture-view.ts';
import { LedgerState } from '../../projections/models/ledger-state.ts';
import { replayCommits } from '../../projections/observable.ts';
import {
  createMemoryEventLog,
  MemoryLogStore,
} from '../../adapters/stores/event-log-memory/event-log-memory.ts';
import { NONE_LARGE, UNTOLD_CONTENT, type HeldLarge } from './ledgers/naive-ledger.ts';
import { GrowingRuns } from '../../domain/values/slot-runs.ts';
import { MapStateFiles } from './disks/map-state-files.ts';
import { valueOf } from './outcomes.ts';

export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

function classOfContent(content: number): number {
  if (content === UNTOLD_CONTENT) return CLASS_UNTOLD;
  return content === 0 ? CLASS_ZERO : CLASS_NONE;
}

/** The identifier of a content in a group. */
export const identifierOf = (content: number, group = 'default'): Uint8Array =>
  hash('sha256', `${group} ${content}`, 'buffer');

export interface CaptureRequest {
  readonly vm: string;
  /** What each page holds, by gfn. */
  readonly pages: readonly number[];
  /** Pages of the blocks of memory, in order; absent: all are in one. */
  readonly blocks?: readonly number[];
  readonly group?: string;
  readonly timeMs?: number;
  readonly argv?: readonly string[];
  /** Page events in a batch. */
  readonly rowsMax?: number;
  /** Pages in a pack. */
  readonly packPagesMax?: number;
  /** Which pages are held large; absent: none is, and what is stays. */
  readonly large?: HeldLarge;
  /** Whether it has a device state, of one page of zeros. */
  readonly hasDevice?: boolean;
}

/** Blocks of so many pages. */
function mapOf([main = 0, ...more]: readonly number[]): MemoryMap {
  const { blocks, ranges } = flatMap(main);
  const added = more.map((pages, i) => ({ name: `dimm${i}`, pages }));
  return { blocks: [...blocks, ...added], ranges };
}

/** A capture that was decided and is not in the log yet. */
export interface PlannedCapture {
  readonly vm: string;
  readonly batches: readonly NewEvent[];
  /** What is appended last: the commit, and what comes with it. */
  readonly commit: (firstRevision: number) => readonly NewEvent[];
}

let made = 0;

/** Values that are never the same twice, and the same in every run. */
const nextBytes = (): Uint8Array => {
  made += 1;
  return hash('sha256', `made ${made}`, 'buffer');
};

const PORTS = {
  clock: () => 1_790_000_000_000 + made,
  randomBytes: () => nextBytes().subarray(0, 16),
};

export const eventOf = (type: string, data: Uint8Array, timeMs = PORTS.clock()): NewEvent => ({
  id: PORTS.randomBytes(),
  type,
  schema: 1,
  timeMs,
  data,
});

export function controlEvents(...events: readonly ControlEvent[]): NewEvent[] {
  const encoded = encodeControls(PORTS, events);
  if (encoded._tag === 'Left') throw encoded.left;
  return encoded.right;
}

/** A table of raw blocks for so many pages. */
export function rawBlocks(pages: number): BlockTable {
  const count = Math.ceil(pages / BLOCK_PAGES);
  const sizes = Array.from({ length: count }, (_, i) =>
    Math.min(BLOCK_PAGES, pages - i * BLOCK_PAGES),
  );
  return {
    codecs: new Uint8Array(count).fill(CODEC_RAW),
    pages: Uint8Array.from(sizes),
    lengths: Uint32Array.from(sizes, (size) => size * PAGE_BYTES),
    checksums: new Uint32Array(count),
  };
}

interface Own {
  readonly capture: number;
  readonly group: string;
  readonly packs: readonly { readonly name: string; readonly event: NewEvent }[];
}

function packsOf(
  contents: readonly { readonly content: number; readonly isLarge: boolean }[],
  at: { readonly capture: number; readonly group: string; readonly packPagesMax: number },
): Own {
  const packs = [];
  for (let first = 0; first < contents.length; first += at.packPagesMax) {
    const inPack = contents.slice(first, first + at.packPagesMax);
    const identifiers = new Uint8Array(inPack.length * IDENTIFIER_BYTES);
    const large = new GrowingRuns();
    for (const [i, { content, isLarge }] of inPack.entries()) {
      identifiers.set(identifierOf(content, at.group), i * IDENTIFIER_BYTES);
      if (isLarge) large.add(i);
    }
    const name = Buffer.from(nextBytes()).toString('hex');
    const written = {
      name,
      capture: at.capture,
      group: at.group,
      sizeBytes: PACK_HEADER_BYTES + inPack.length * PAGE_BYTES,
      blocks: rawBlocks(inPack.length),
      identifiers,
      patches: NO_PATCHES,
      large: large.runs,
    };
    const schema = Math.max(4, packWrittenSchema(written, false));
    const data = encodePackWritten(written, schema);
    packs.push({ name, event: { ...eventOf('PackWritten', data), schema } });
  }
  return { ...at, packs };
}

function batchesOf(
  decided: DecidedWrites,
  view: LayeredCaptureView,
  { own, rowsMax, packPagesMax }: { own: Own; rowsMax: number; packPagesMax: number },
): NewEvent[] {
  const events: NewEvent[] = [];
  for (let first = 0; first < decided.count; first += rowsMax) {
    const rows = Math.min(rowsMax, decided.count - first);
    const names: string[] = [];
    const columns: PageColumns = {
      capture: own.capture,
      batch: events.length,
      firstRow: first,
      parts: [],
      packs: names,
      kinds: decided.kinds.slice(first, first + rows),
      gfns: decided.rows.slice(first, first + rows),
      packIndexes: new Uint16Array(rows),
      slots: new Uint16Array(rows),
    };
    for (let row = 0; row < rows; row += 1) {
      if (!hasReference(columns.kinds[row]!)) continue;
      const place = view.reference(decided.holdings[first + row]!);
      if (place._tag === 'public') {
        columns.slots[row] = place.pattern;
        continue;
      }
      const isPending = place._tag === 'pending';
      const name = isPending
        ? own.packs[Math.floor(place.number / packPagesMax)]!.name
        : place.pack;
      if (!names.includes(name)) names.push(name);
      columns.packIndexes[row] = names.indexOf(name);
      columns.slots[row] = isPending ? place.number % packPagesMax : place.slot;
    }
    for (let row = 0; row < rows; row += 1)
      if (isUntoldKind(columns.kinds[row]!)) columns.packIndexes[row] = names.length;
    events.push(eventOf('PagesWritten', encodePageColumns(columns, 2)));
  }
  return events;
}

/** A device state of a page of zeros. */
const deviceEvent = (capture: number): NewEvent =>
  eventOf(
    'DeviceStateWritten',
    encodePageColumns(
      {
        capture,
        batch: 0,
        firstRow: 0,
        parts: [1],
        packs: [],
        kinds: Uint8Array.of(KIND_ZERO),
        gfns: Uint32Array.of(0),
        packIndexes: Uint16Array.of(0),
        slots: Uint16Array.of(0),
      },
      2,
    ),
  );

/** Decides a capture against what the state knows now. */
export async function planCapture(
  state: LedgerState,
  request: CaptureRequest,
): Promise<PlannedCapture> {
  const { vm, pages, rowsMax = 50, packPagesMax = 7 } = request;
  await state.catchUp({ heavy: true });
  const entry = state.catalogue.vms.get(vm);
  const group = entry?.state.registered?.group ?? request.group ?? 'default';
  const current = entry === undefined ? null : await state.currentTable(entry);
  const known = current ?? new Uint32Array(0);
  const { contents, sharing, losses } = state;
  const models = { contents, sharing, losses, isLinked: true };
  const { large = NONE_LARGE } = request;
  const of = { ...models, known, regions: large };
  const view = new LayeredCaptureView({ ...of, pages: pages.length });
  const identifiers = new Uint8Array(pages.length * IDENTIFIER_BYTES);
  for (const [gfn, content] of pages.entries())
    if (content > 0) identifiers.set(identifierOf(content, group), gfn * IDENTIFIER_BYTES);
  const decided = decideWrites(view, {
    gfns: Uint32Array.from(pages.keys()),
    classes: Uint8Array.from(pages, classOfContent),
    identifiers,
    patterns: Uint32Array.from(pages, (content) => (content === UNTOLD_CONTENT ? UNTOLD : ZERO)),
  });
  const capture = (entry?.state.captures ?? 0) + 1;
  const stored = [...decided.storeRows].map((gfn) => ({
    content: pages[gfn]!,
    isLarge: large.isLarge(gfn),
  }));
  const own = packsOf(stored, { capture, group, packPagesMax });
  const batches = [
    ...own.packs.map(({ event }) => event),
    ...batchesOf(decided, view, { own, rowsMax, packPagesMax }),
    ...(request.hasDevice === true ? [deviceEvent(capture)] : []),
  ];
  const command = decideVm(entry?.state ?? INITIAL);
  return {
    vm,
    batches,
    commit: (firstRevision) => {
      const measured: CommitCapture['measured'] = {
        batches: batches.length,
        firstRevision,
        hash: batchesHash(
          sha256,
          batches.map(({ data }) => sha256(data)),
        ),
        written: decided.count,
        stored: decided.storeRows.length,
        merged: decided.merged,
        pattern: decided.pattern,
        unknown: decided.unknown,
        unchanged: decided.unchanged,
        pauseMs: null,
        mode: 'image',
        source: 'made by hand',
      };
      const outcome = command({
        _tag: 'CommitCapture',
        share: null,
        vm,
        group,
        memoryMap: mapOf(request.blocks ?? [pages.length]),
        areRangesTold: false,
        argv: request.argv ?? null,
        timeMs: request.timeMs ?? PORTS.clock(),
        measured,
      });
      if (outcome._tag === 'Left') throw new TypeError(`refused: ${outcome.left._tag}`);
      return controlEvents(...outcome.right);
    },
  };
}

/** A log in memory with the projections over it. */
export class HandMadeLedger {
  readonly store = new MemoryLogStore();
  readonly log: EventLog = createMemoryEventLog(this.store);
  readonly files = new MapStateFiles();
  /** The state that recorders plan against. */
  readonly state = this.open();

  /** A state of its own over the same log, as another process has one. */
  open(files = this.files, forgetPast = (): Promise<void> => Promise.resolve()): LedgerState {
    return new LedgerState({
      log: this.log,
      files,
      identifiers: () => files.identifiers,
      replay: (from, consume) => replayCommits(this.log, from, consume),
      forgetPast,
    });
  }

  async append(stream: string, events: readonly NewEvent[]): Promise<Position> {
    const expectedRevision = await valueOf(this.log.streamRevision(stream));
    const request = { stream, expectedRevision, events };
    return (await valueOf(this.log.append(request))).position;
  }

  async appendLedger(...events: readonly ControlEvent[]): Promise<Position> {
    return this.append(LEDGER_STREAM, controlEvents(...events));
  }

  async commit(plan: PlannedCapture): Promise<Position> {
    const stream = vmStream(plan.vm);
    const next = (await valueOf(this.log.streamRevision(stream))) + 1;
    return this.append(stream, plan.commit(next - plan.batches.length));
  }

  /** Records a capture whole; gives its commit's position. */
  async record(request: CaptureRequest): Promise<Position> {
    const plan = await planCapture(this.state, request);
    if (plan.batches.length > 0) await this.append(vmStream(plan.vm), plan.batches);
    return this.commit(plan);
  }

  async checkpoint(vm: string, name: string, capture: number): Promise<Position> {
    const events = controlEvents({
      type: 'CheckpointTaken',
      data: { vm, name, capture, note: null, layout: null },
    });
    return this.append(pointsStream(vm), events);
  }

  async retire(vm: string): Promise<Position> {
    return this.append(vmStream(vm), controlEvents({ type: 'VmRetired', data: { vm } }));
  }
}

const INITIAL = { registered: null, captures: 0, lastTimeMs: 0, argv: null, isRetired: false };
