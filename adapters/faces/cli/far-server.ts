// Where a master is served, and with what key, as a command line says it.

import { keyInFile, serverKeyOf } from '../../wiring/clones/master-memory.ts';
import { pageCheckBy, type PageCheck } from '../../wiring/clones/far-point.ts';
import type { FarServer } from '../nbd/far-memory.ts';
import { listenAddressOf } from '../sockets/listen-address.ts';
import { UsageError } from './failure.ts';

export interface FarOptions {
  readonly from?: string;
  readonly key?: string;
}

/** A memory server, and the check of what it gives; null: what it gives cannot be checked. */
export interface Far {
  readonly server: FarServer;
  readonly check: PageCheck | null;
}

/** The server that is meant, and the check of what it gives; null: none is. */
export async function farServerOf({ from, key }: FarOptions): Promise<Far | null> {
  if (from === undefined && key !== undefined)
    throw new UsageError('--key is of a memory server: say --from');
  if (from === undefined) return null;
  const at = listenAddressOf(from);
  if (at.kind === 'tcp' && key === undefined)
    throw new UsageError(
      `--from ${from}: over TCP memory comes only to who has the key of its group: give the file that \`group export\` wrote with --key`,
    );
  const group = key === undefined ? null : await keyInFile(key);
  return {
    server: { at, key: group !== null && at.kind === 'tcp' ? serverKeyOf(group) : null },
    check: group === null ? null : await pageCheckBy(group),
  };
}
