// A guest over a base, and where its memory is accounted for.

import { MemoryGroup } from '../../guests/memory-group.ts';
import {
  startMapped,
  type MappedGuest,
  type MappedRequest,
} from '../../guests/qemu/mapped-guest.ts';
import { run } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';

/** A guest that was started over a base. */
export interface GuestOver extends MappedGuest {
  /** Where its memory is accounted for; null: that was not asked for. */
  readonly group: MemoryGroup | null;
}

/** Where a clone's memory is accounted for by itself. MEMORY_UNACCOUNTED. */
function accountFor(lease: string): MemoryGroup {
  const group = MemoryGroup.make(`pageledger-${lease}`);
  if (group !== null) return group;
  throw new LedgerError(
    'MEMORY_UNACCOUNTED',
    "no control group can be made in which the kernel accounts for a clone's memory: a limit on it needs root, or a group that was handed to this user with the memory controller",
    {},
  );
}

/** Starts a guest over a base; `name` tells it from others. MEMORY_UNACCOUNTED. */
export async function startOver(
  request: MappedRequest & {
    readonly name: string;
    /** Whether its memory is accounted for by itself. */
    readonly isAccounted: boolean;
  },
): Promise<GuestOver> {
  const { name, isAccounted, ...mapped } = request;
  const group = isAccounted ? accountFor(name) : null;
  const onSpawned = group === null ? {} : { onSpawned: (pid: number) => group.take(pid) };
  const guest = await run(startMapped({ ...mapped, ...onSpawned })).catch((thrown: unknown) => {
    group?.remove();
    throw thrown;
  });
  if (group !== null) guest.process.once('close', () => group.remove());
  return { ...guest, group };
}
