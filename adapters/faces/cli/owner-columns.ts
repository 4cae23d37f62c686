// Who owned pages, beside what a table says of them already.

import type { Command } from 'commander';
import type { PageOwner } from '../../../domain/guest/owner-table.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { VersionPlace } from '../../wiring/guest/owners-of-versions.ts';
import type { KernelChoice } from '../../wiring/guest/stand-ins.ts';
import { field, numeric, type Column } from './output.ts';
import { tell } from './session.ts';

export const OWNER_COLUMNS: readonly Column[] = [field('owner'), numeric('pid'), field('command')];

/** Owners of pages at captures; says once why some are not known. */
export async function ownersTold(
  command: Command,
  ledger: Ledger,
  of: KernelChoice & { readonly places: readonly VersionPlace[] },
): Promise<readonly (PageOwner | null)[]> {
  // What finds a kernel in memory is much, and most who ask for a history do not need it.
  const { ownersOfVersions } = await import('../../wiring/guest/owners-of-versions.ts');
  const { owners, reasons } = await ownersOfVersions(ledger, of);
  for (const reason of reasons) tell(command, `not every owner is known: ${reason}`);
  return owners;
}
