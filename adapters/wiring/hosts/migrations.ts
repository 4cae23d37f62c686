// Who runs a VM's guest, joined: decisions of its migrations in the stream that arbitrates them.

import { randomBytes } from 'node:crypto';
import { migrationsStream } from '../../../domain/events/streams.ts';
import {
  decideMigrations,
  initialMigrations,
  type MigrationsCommand,
  type MigrationsEvent,
  type MigrationsState,
} from '../../../domain/migrations.ts';
import { startStanding, type StandingGuest } from '../../guests/qemu/held-guest.ts';
export { controlGuest, type GuestControl } from '../../guests/qemu/held-guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { labelOf, tableOf, type VmPoint } from '../ledger/vm-point.ts';
import { readPoint } from '../points/point-reader.ts';
import { deviceStateOf, requireDeviceState, restoreToGuest } from '../restore/restore.ts';

/** Bytes of a migration's name. */
const MIGRATION_BYTES = 8;

/** A name for a migration, which nobody else draws. */
export const drawMigration = (): string => randomBytes(MIGRATION_BYTES).toString('hex');

/** The last migration of a VM, as this ledger knows it. */
export const migrationOf = (ledger: Ledger, vm: string): MigrationsState =>
  ledger.state.catalogue.migrations.get(vm) ?? initialMigrations;

/** The same, as the log has it now. */
export async function migrationNow(ledger: Ledger, vm: string): Promise<MigrationsState> {
  await ledger.state.catchUp({ heavy: false });
  return migrationOf(ledger, vm);
}

/** Decides on a VM's migrations. Refused where another came first and it cannot be any more. */
export const decideOnMigration = (
  ledger: Ledger,
  vm: string,
  command: MigrationsCommand,
): Promise<readonly MigrationsEvent[]> =>
  ledger.decide(migrationsStream(vm), () => decideMigrations(migrationOf(ledger, vm))(command));

/** A point of a VM, as the log has it now. Refused where there is none. */
export async function pointNow(ledger: Ledger, vm: string, at: string): Promise<VmPoint> {
  await ledger.state.catchUp({ heavy: false });
  const entry = ledger.vm(vm);
  return { entry, row: ledger.resolve(entry, at) };
}

/** Reads all of a point, as starting a guest from it would. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED. */
export async function requireReadable(ledger: Ledger, point: VmPoint): Promise<void> {
  const table = await tableOf(ledger, point, { isWhole: true });
  const { reader } = await readPoint(ledger, { point, table });
  const runs = reader.inOrder({ table, label: labelOf(point) });
  while ((await runs.next()).done !== true);
  if (point.row.hasDevice) await deviceStateOf(ledger, point);
}

/** Starts a guest from a point that stands until it is let go. */
export function startFromPoint(
  ledger: Ledger,
  point: VmPoint,
  of: { readonly command: readonly string[]; readonly isDiskOk: boolean },
): Promise<StandingGuest> {
  requireDeviceState(point);
  return startStanding({
    command: of.command,
    diskOk: of.isDiskOk,
    restore: (target) => restoreToGuest(ledger, point, target),
  });
}
