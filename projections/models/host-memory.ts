// What clones have of their hosts' memory, as the fold says it: by clone, by file and by host. Its state is
// loaded by every command, and few ask what it says: it is written as columns, and they are read then.

import {
  evolveHostMemory,
  initialHostMemory,
  type CloneMemory,
  type FetchCounts,
  type FileMemory,
  type HostCounts,
  type HostMemory,
  type HostMemoryEvent,
} from '../../domain/host-memory.ts';
import { NO_PAGES, type PageRanges } from '../../domain/values/page-ranges.ts';
import type { Change } from '../commits.ts';
import { StateReader, StateUnfit, StateWriter } from './state-bytes.ts';

/** The event of a change that tells of clones' memory in this ledger; null: it does not. */
export function hostMemoryEventIn(change: Change, ledger: string | null): HostMemoryEvent | null {
  if (change._tag !== 'control') return null;
  const { event } = change;
  // In a copy of a ledger no clone runs.
  if (event.type === 'PointLeased')
    return ledger === null || event.data.ledger === ledger ? event : null;
  const isOne =
    event.type === 'PageFetched' ||
    event.type === 'PageEvicted' ||
    event.type === 'CloneParked' ||
    event.type === 'CloneWoken' ||
    event.type === 'CloneEnded' ||
    event.type === 'LeaseEnded';
  return isOne ? event : null;
}

const writeRanges = (writer: StateWriter, ranges: PageRanges): StateWriter =>
  writer.column(Uint32Array.from(ranges.flat()));

/** Reads ranges of pages. StateUnfit where they are none. */
type ReadRanges = (reader: StateReader) => PageRanges;

/** The first and last pages of ranges that ascend and never touch. */
function rangeWords(reader: StateReader): Uint32Array {
  const words = reader.words();
  if (words.length % 2 !== 0) throw new StateUnfit('a range of pages has no end');
  for (let i = 0; i < words.length; i += 2) {
    const isBehind = i === 0 || words[i]! > words[i - 1]! + 1;
    if (!isBehind || words[i]! > words[i + 1]!)
      throw new StateUnfit('ranges of pages do not ascend');
  }
  return words;
}

const readRanges: ReadRanges = (reader) => {
  const words = rangeWords(reader);
  const ranges: (readonly [number, number])[] = [];
  for (let i = 0; i < words.length; i += 2) ranges.push([words[i]!, words[i + 1]!]);
  return ranges;
};

/** Looks at ranges, and makes none of them. */
const passRanges: ReadRanges = (reader) => {
  rangeWords(reader);
  return NO_PAGES;
};

/** So many counts; StateUnfit where they are none. */
function readCounts(reader: StateReader, length: number): Float64Array {
  const counts = reader.doubles();
  const areCounts = counts.every((count) => Number.isSafeInteger(count) && count >= 0);
  if (counts.length !== length || !areCounts) throw new StateUnfit('counts are none');
  return counts;
}

const FETCH_COUNTS = ['server', 'host', 'evicted', 'refetched'] as const;
const HOST_COUNTS = [...FETCH_COUNTS, 'started', 'parked', 'woken', 'ended', 'writtenOut'] as const;

const countsOf = <Name extends string>(
  names: readonly Name[],
  counts: Readonly<Record<Name, number>>,
): Float64Array => Float64Array.from(names, (name) => counts[name]);

function fetchCountsIn(reader: StateReader): FetchCounts {
  const [server, host, evicted, refetched] = readCounts(reader, FETCH_COUNTS.length);
  return { server: server!, host: host!, evicted: evicted!, refetched: refetched! };
}

function hostCountsIn(reader: StateReader): HostCounts {
  const counts = readCounts(reader, HOST_COUNTS.length);
  const [server, host, evicted, refetched, started, parked, woken, ended, writtenOut] = counts;
  return {
    server: server!,
    host: host!,
    evicted: evicted!,
    refetched: refetched!,
    started: started!,
    parked: parked!,
    woken: woken!,
    ended: ended!,
    writtenOut: writtenOut!,
  };
}

/** Writes the state: its clones, its files, its hosts, each list behind its length. */
function saved({ clones, files, hosts }: HostMemory): Uint8Array {
  const writer = new StateWriter();
  writer.u32(clones.size);
  for (const [clone, { host, file, held, own, counts }] of clones) {
    writer
      .text(clone)
      .text(host)
      .text(file ?? '');
    writeRanges(writeRanges(writer, held), own).column(countsOf(FETCH_COUNTS, counts));
  }
  writer.u32(files.size);
  for (const [key, { held, gone }] of files) writeRanges(writeRanges(writer.text(key), held), gone);
  writer.u32(hosts.size);
  for (const [host, counts] of hosts) writer.text(host).column(countsOf(HOST_COUNTS, counts));
  return writer.bytes();
}

function mapIn<A>(reader: StateReader, read: () => A): ReadonlyMap<string, A> {
  const count = reader.u32();
  const map = new Map<string, A>();
  for (let i = 0; i < count; i += 1) map.set(reader.text(), read());
  return map;
}

/** The state of bytes. StateUnfit where it is none. */
function loaded(bytes: Uint8Array, rangesIn: ReadRanges): HostMemory {
  const reader = new StateReader(bytes);
  const clones = mapIn(reader, (): CloneMemory => {
    const [host, file] = [reader.text(), reader.text()];
    const [held, own] = [rangesIn(reader), rangesIn(reader)];
    return { host, file: file === '' ? null : file, held, own, counts: fetchCountsIn(reader) };
  });
  const files = mapIn(reader, (): FileMemory => {
    const held = rangesIn(reader);
    return { held, gone: rangesIn(reader) };
  });
  return { clones, files, hosts: mapIn(reader, () => hostCountsIn(reader)) };
}

/** The state as it is kept: checked when it is loaded, and made of its bytes once somebody asks for it. */
export class KeptHostMemory {
  #memory: HostMemory | null = initialHostMemory;
  /** What it was loaded from; null: it is another by now. */
  #bytes: Uint8Array | null = null;

  /** The state of bytes, which stay as they are. StateUnfit where it is none. */
  static load(bytes: Uint8Array): KeptHostMemory {
    loaded(bytes, passRanges);
    const kept = new KeptHostMemory();
    kept.#memory = null;
    kept.#bytes = bytes;
    return kept;
  }

  get memory(): HostMemory {
    this.#memory ??= loaded(this.#bytes!, readRanges);
    return this.#memory;
  }

  /** Takes a change of a ledger in. */
  fold(change: Change, ledger: string | null): void {
    const event = hostMemoryEventIn(change, ledger);
    if (event === null) return;
    const { memory } = this;
    this.#memory = evolveHostMemory(memory, event);
    if (this.#memory !== memory) this.#bytes = null;
  }

  save(): Uint8Array {
    return this.#bytes ?? saved(this.memory);
  }
}
