// A clone that runs, or is parked, as `clones` says it.

import type { Clone } from '../../wiring/clones/clones.ts';
import type { ParkedClone } from '../../wiring/clones/parking.ts';
import { leaseRow } from './lease-rows.ts';
import { isoTime, type Row } from './row.ts';

export const cloneRow = (clone: Clone): Row => ({
  ...leaseRow(clone),
  privatePages: clone.privatePages,
  droppedPages: clone.dropped,
  block: clone.block,
  qmp: clone.qmp,
});

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
