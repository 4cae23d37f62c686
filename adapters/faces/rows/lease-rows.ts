// A lease, as `leases` says it.

import type { Lease } from '../../wiring/points/leases.ts';
import { isoTime, type Row } from './row.ts';

export const leaseRow = ({ lease, vm, capture, kind, holder, user, timeMs, fate }: Lease): Row => ({
  id: lease,
  vm,
  capture,
  kind,
  host: holder.host,
  process: holder.process,
  user,
  since: isoTime(timeMs),
  holder: fate,
});
