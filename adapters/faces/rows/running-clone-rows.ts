// A clone that runs, or is parked, as `clones` says it.

import type { Clone } from '../../wiring/clones/clones.ts';
import type { FetchCounts } from '../../../domain/host-memory.ts';
import type { ReplayedHost } from '../../../projections/questions/clone-replay.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ParkedClone } from '../../wiring/clones/parking.ts';
import { leaseRow } from './lease-rows.ts';
import { isoTime, type Row } from './row.ts';

/** Pages of a base that clones fetched, that left their host, and that they fetched again. */
export const fetchedPages = ({ server, host, evicted, refetched }: FetchCounts): Row => ({
  serverPages: server,
  hostPages: host,
  evictedPages: evicted,
  refetchedPages: refetched,
});

export const cloneRow = (clone: Clone): Row => ({
  ...leaseRow(clone),
  privatePages: clone.privatePages,
  droppedPages: clone.dropped,
  ...fetchedPages(clone.fetched),
  block: clone.block,
  qmp: clone.qmp,
});

/** A policy in a host's memory, and how many times as much it fetched as the best one, of two digits. */
export function replayedRow(of: ReplayedHost, all: readonly ReplayedHost[]): Row {
  const best = all.find(
    ({ host, capacity, policy }) =>
      policy === 'best' && host === of.host && capacity === of.capacity,
  );
  return {
    host: of.host,
    policy: of.policy,
    memoryBytes: of.capacity * PAGE_BYTES,
    pages: of.pages,
    references: of.references,
    fetchedPages: of.fetched,
    evictedPages: of.evicted,
    refetchedPages: of.refetched,
    overBest:
      best === undefined || best.fetched === 0
        ? null
        : Number((of.fetched / best.fetched).toFixed(2)),
  };
}

export const parkedRow = ({ clone, vm, capture, timeMs, ...row }: ParkedClone): Row => ({
  id: clone,
  vm,
  capture,
  kind: 'parked',
  host: null,
  process: null,
  since: isoTime(timeMs),
  privatePages: row.privatePages,
  as: row.as,
  asCapture: row.at,
});
