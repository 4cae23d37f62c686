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
import { standingGuest, startStanding, type StandingGuest } from '../../guests/qemu/held-guest.ts';
export { controlGuest, type GuestControl } from '../../guests/qemu/held-guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { baseFor, type CloneBase } from '../clones/clone-base.ts';
import { startClone } from '../clones/clones.ts';
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

/** What a guest that is started here maps: what is there, where that is a gain; null: nothing, as is told. */
async function baseOf(
  ledger: Ledger,
  point: VmPoint,
  { base, onTold }: Pick<StartWays, 'base' | 'onTold'>,
): Promise<CloneBase | null> {
  if (base === null) return null;
  const { vm } = point.entry;
  try {
    const bases = [base()];
    const found = await baseFor(ledger, point, { bases, clones: 1 });
    if (found === null)
      onTold(`VM ${vm} has little in common with ${bases[0]!.path}: it maps nothing`);
    return found;
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    onTold(`VM ${vm} maps nothing: ${thrown.message}`);
    return null;
  }
}

/** How a guest is started. */
export interface StartWays {
  readonly command: readonly string[];
  readonly isDiskOk: boolean;
  /** What guests map here, as it is now; null: all of a guest's memory is its own. NOT_FOUND. */
  readonly base: (() => CloneBase) | null;
  /** Hears what happens, for people. */
  readonly onTold: (sentence: string) => void;
}

/** Starts a guest from a point that stands until it is let go: over a base where there is one that fits. */
export async function startFromPoint(
  ledger: Ledger,
  point: VmPoint,
  of: StartWays,
): Promise<StandingGuest> {
  requireDeviceState(point);
  const base = await baseOf(ledger, point, of);
  if (base !== null) {
    const { isDiskOk } = of;
    const command = [...of.command, '-S'];
    const started = await startClone(ledger, point, {
      base,
      command,
      isDiskOk,
      isAccounted: false,
    });
    of.onTold(
      `VM ${point.entry.vm} maps ${base.path}, and was sent ${started.sentPages} pages that are otherwise`,
    );
    return standingGuest(started.process, started.qmpPath);
  }
  return startStanding({
    command: of.command,
    diskOk: of.isDiskOk,
    restore: (target) => restoreToGuest(ledger, point, target),
  });
}
