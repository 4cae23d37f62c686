// A host that a guest may go to, as `migrate --plan` says it.

import type { PlacedHost, Placement } from '../../wiring/hosts/placement.ts';
import type { Row } from './row.ts';

const placedRow = (vm: string, placed: PlacedHost, chosen: string | null): Row => ({
  vm,
  host: placed.host,
  eligible: placed.eligible,
  regions: placed.regions,
  pages: placed.pages,
  used: placed.used,
  moveBytes: placed.moveBytes,
  fromTarget: placed.from.target,
  fromBucket: placed.from.bucket,
  fromSource: placed.from.source,
  distance: placed.distance,
  chosen: placed.host === chosen,
});

/** A row a host that a VM's guest may go to, best first. */
export const placementRows = (vm: string, { hosts, chosen }: Placement): readonly Row[] =>
  hosts.map((host) => placedRow(vm, host, chosen));
