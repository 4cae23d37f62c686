// A host that a guest may go to, as `migrate --plan` says it.

import type { PlacedHost, Placement } from '../../wiring/hosts/placement.ts';
import type { Row } from './row.ts';

const placedRow = (placed: PlacedHost, chosen: string | null): Row => ({
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

/** A row a host, best first. */
export const placementRows = ({ hosts, chosen }: Placement): readonly Row[] =>
  hosts.map((host) => placedRow(host, chosen));
