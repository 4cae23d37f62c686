// A clone that runs, as `clones` says it.

import type { Clone } from '../../wiring/clones/clones.ts';
import { leaseRow } from './lease-rows.ts';
import type { Row } from './row.ts';

export const cloneRow = (clone: Clone): Row => ({
  ...leaseRow(clone),
  privatePages: clone.privatePages,
  droppedPages: clone.dropped,
  block: clone.block,
  qmp: clone.qmp,
});
