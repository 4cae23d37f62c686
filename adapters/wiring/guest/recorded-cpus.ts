// The CPUs of a guest as a capture has them.

import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';
import { cpusOf } from '../../guests/qemu/cpu-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { labelOf, type VmPoint } from '../ledger/vm-point.ts';
import { deviceStateOf } from '../restore/restore.ts';

/** The CPUs at a point; none where no device state was recorded, or where that is lost or cannot be read. */
export async function cpusAt(ledger: Ledger, point: VmPoint): Promise<readonly X86Cpu[]> {
  if (!point.row.hasDevice) return [];
  try {
    return cpusOf(await deviceStateOf(ledger, point), labelOf(point));
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    return [];
  }
}
