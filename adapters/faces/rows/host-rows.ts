// A host of the workgroup, as `host list` says it.

import type { Host } from '../../wiring/hosts/hosts.ts';
import { isoTime, type Row } from './row.ts';

export const hostRow = ({ facts, joinedAtMs, advertised, advertisedAt }: Host): Row => ({
  host: facts.host,
  address: facts.address,
  cores: facts.cores,
  memoryBytes: facts.memoryBytes,
  cpu: facts.cpu,
  features: facts.features,
  qemu: facts.qemu,
  distances: facts.distances,
  joined: isoTime(joinedAtMs),
  regions: advertised?.regions ?? null,
  pages: advertised?.pages ?? null,
  advertised: advertisedAt === null ? null : isoTime(advertisedAt.timeMs),
});
