// What clones have of their hosts' memory, as the fold says it: by clone, by file and by host. Its state is
// loaded by every command, so it is written as columns.

import {
  evolveHostMemory,
  type CloneMemory,
  type FetchCounts,
  type FileMemory,
  type HostCounts,
  type HostMemory,
  type HostMemoryEvent,
} from '../../domain/host-memory.ts';
import { areRanges } from '../../domain/values/capture-ranges.ts';
import type { PageRanges } from '../../domain/values/page-ranges.ts';
import type { Change } from '../commits.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

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

/** Takes a change of a ledger in. */
export function foldHostMemory(
  memory: HostMemory,
  change: Change,
  ledger: string | null,
): HostMemory {
  const event = hostMemoryEventIn(change, ledger);
  return event === null ? memory : evolveHostMemory(memory, event);
}

const writeRanges = (writer: StateWriter, ranges: PageRanges): StateWriter =>
  writer.column(Uint32Array.from(ranges.flat()));

function readRanges(reader: StateReader): PageRanges {
  const words = reader.words();
  if (words.length % 2 !== 0) throw new StateUnfit('a range of pages has no end');
  const ranges = Array.from(
    { length: words.length / 2 },
    (_, i) => [words[2 * i]!, words[2 * i + 1]!] as const,
  );
  if (!areRanges(ranges)) throw new StateUnfit('ranges of pages do not ascend');
  return ranges;
}

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
export function saveHostMemory(writer: StateWriter, { clones, files, hosts }: HostMemory): void {
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
}

function mapIn<A>(reader: StateReader, read: () => A): ReadonlyMap<string, A> {
  const count = reader.u32();
  const map = new Map<string, A>();
  for (let i = 0; i < count; i += 1) map.set(reader.text(), read());
  return map;
}

/** The state of bytes. StateUnfit where it is none. */
export function loadHostMemory(reader: StateReader): HostMemory {
  const clones = mapIn(reader, (): CloneMemory => {
    const [host, file] = [reader.text(), reader.text()];
    const [held, own] = [readRanges(reader), readRanges(reader)];
    return { host, file: file === '' ? null : file, held, own, counts: fetchCountsIn(reader) };
  });
  const files = mapIn(reader, (): FileMemory => {
    const held = readRanges(reader);
    return { held, gone: readRanges(reader) };
  });
  return { clones, files, hosts: mapIn(reader, () => hostCountsIn(reader)) };
}
