// What a guest's kernel says of its symbols and types, as a file for debuggers.

import type { Btf } from '../../../domain/guest/btf.ts';
import { callFramesOf } from '../../../domain/guest/debug/call-frames.ts';
import { dwarfOf } from '../../../domain/guest/debug/dwarf.ts';
import { symbolFile } from '../../../domain/guest/debug/symbol-file.ts';
import { SymbolPlaces } from '../../../domain/guest/debug/symbol-places.ts';
import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { Orc } from '../../../domain/guest/orc.ts';
import { requiredSymbol } from '../../../domain/guest/vmcoreinfo.ts';
import { openReplacement } from '../../files/replacement.ts';
import { describeGuest, type DescribedGuest, type GuestPoint } from './guest.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Whose addresses stand in the file: those of the running kernel, or those it was linked to. */
export type SymbolAddresses = 'run' | 'link';

export interface SymbolTarget {
  readonly path: string;
  readonly isForced: boolean;
  readonly addresses: SymbolAddresses;
}

/** What was written of a kernel's symbols and types. */
export interface ExportedSymbols {
  readonly release: string;
  readonly buildId: string | null;
  /** How far the kernel was moved from where it was linked. */
  readonly kernelOffset: bigint;
  readonly symbols: number;
  /** Types, and variables and functions that have one; 0 where the kernel keeps none. */
  readonly types: number;
  readonly variables: number;
  readonly functions: number;
  /** Functions from which debuggers find who called them; 0 where the kernel does not tell. */
  readonly callers: number;
  readonly bytes: number;
}

/** A kernel's types; null: it keeps none. GUEST_INVALID. */
async function typesIn({ types: typesOf }: DescribedGuest): Promise<Btf | null> {
  try {
    return await typesOf();
  } catch (thrown) {
    if (isGuestFailure(thrown) && thrown.code === 'GUEST_UNDESCRIBED') return null;
    throw thrown;
  }
}

/**
 * A kernel's symbols and types into a file, whole or not at all. GUEST_UNDESCRIBED where it hides its
 * symbols, GUEST_INVALID; TARGET_EXISTS unless `isForced`.
 */
export async function exportSymbols(
  ledger: Ledger,
  point: GuestPoint,
  to: SymbolTarget,
): Promise<ExportedSymbols> {
  return writeSymbols(ledger, await describeGuest(ledger, point), to);
}

/** The same of a guest that was described. GUEST_INVALID, GUEST_UNDESCRIBED. */
export async function writeSymbols(
  ledger: Ledger,
  guest: DescribedGuest,
  to: SymbolTarget,
): Promise<ExportedSymbols> {
  const { kernel, symbols } = guest;
  const { release, buildId, kernelOffset } = kernel.info;
  const offset = to.addresses === 'link' ? kernelOffset : 0n;
  const textStart = requiredSymbol(kernel.info, '_stext');
  const places = new SymbolPlaces(symbols, { textStart, offset });
  const btf = await typesIn(guest);
  const dwarf = btf === null ? null : dwarfOf(btf.types, { name: `Linux ${release}`, places });
  const orc = btf === null ? null : await Orc.read(kernel.memory, symbols, btf);
  const frames = orc === null ? null : callFramesOf(orc, places);
  const bytes = symbolFile({ places, dwarf, frames, buildId });
  const replacement = await openReplacement({ files: ledger.files, ...to });
  try {
    await replacement.file.write(bytes, 0);
    await replacement.place();
  } catch (thrown) {
    await replacement.discard();
    throw thrown;
  }
  return {
    release,
    buildId,
    kernelOffset,
    symbols: symbols.count,
    types: dwarf?.types ?? 0,
    variables: dwarf?.variables ?? 0,
    functions: dwarf?.functions ?? 0,
    callers: frames?.functions ?? 0,
    bytes: bytes.length,
  };
}
