// Files that stand in for what a guest's kernel hides, or keeps where it cannot be found.

import { Btf, BTF_BYTES_MAX } from '../../../domain/guest/btf.ts';
import { isGuestFailure, sentenceOf } from '../../../domain/guest/guest-failures.ts';
import {
  KALLSYMS_TEXT_BYTES_MAX,
  misplacedSymbol,
  parseKallsymsText,
} from '../../../domain/guest/kallsyms-text.ts';
import type { KernelSymbols } from '../../../domain/guest/kallsyms.ts';
import {
  parseVmcoreinfo,
  requiredSymbol,
  type Vmcoreinfo,
} from '../../../domain/guest/vmcoreinfo.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { FilePort } from '../../files/file-port.ts';

/** Paths of files; null: the guest's memory is asked. */
export interface StandIns {
  /** A copy of the kernel's /proc/kallsyms, or its System.map. */
  readonly kallsyms: string | null;
  /** A copy of its /sys/kernel/btf/vmlinux. */
  readonly btf: string | null;
  /** The text of its VMCOREINFO. */
  readonly vmcoreinfo: string | null;
}

/** Which kernel of a guest is meant, and what is known of it from elsewhere. */
export interface KernelChoice {
  /** Of several in its memory, from 1; null: the only one. */
  readonly kernel: number | null;
  /** Files that stand in for what the kernel hides; absent: none. */
  readonly standIns?: StandIns | undefined;
}

const unfit = (path: string, what: string, why: string, cause?: unknown): LedgerError =>
  new LedgerError(
    'STAND_IN_UNFIT',
    `${JSON.stringify(path)} cannot stand in for ${what}: ${why}`,
    { path },
    cause,
  );

async function read<A>(
  files: FilePort,
  of: { readonly path: string; readonly what: string; readonly bytesMax: number },
  parse: (bytes: Uint8Array) => A,
): Promise<A> {
  const { path, what, bytesMax } = of;
  const file = await files.open(path, 'read');
  try {
    const size = await file.sizeBytes();
    if (size > bytesMax)
      throw unfit(path, what, `it has ${size} bytes, and such a file has at most ${bytesMax}`);
    const bytes = new Uint8Array(size);
    return parse(bytes.subarray(0, await file.read(bytes, 0)));
  } catch (thrown) {
    if (isGuestFailure(thrown)) throw unfit(path, what, sentenceOf(thrown), thrown);
    throw thrown;
  } finally {
    await file.close();
  }
}

/** Symbols of the kernel that VMCOREINFO tells of. STAND_IN_UNFIT; STAND_IN_FOREIGN. */
export async function standInSymbols(
  files: FilePort,
  path: string,
  info: Vmcoreinfo,
): Promise<KernelSymbols> {
  const request = { path, what: 'kallsyms', bytesMax: KALLSYMS_TEXT_BYTES_MAX };
  const stext = requiredSymbol(info, '_stext');
  const symbols = await read(files, request, (bytes) => parseKallsymsText(bytes, stext));
  const symbol = misplacedSymbol(symbols, info);
  if (symbol === null) return symbols;
  const { release } = info;
  throw new LedgerError(
    'STAND_IN_FOREIGN',
    `${JSON.stringify(path)} lists the symbols of another kernel than Linux ${release}, whose ${symbol} lies elsewhere`,
    { path, release, symbol },
  );
}

/** Types. STAND_IN_UNFIT. */
export const standInTypes = (files: FilePort, path: string): Promise<Btf> =>
  read(files, { path, what: 'BTF', bytesMax: BTF_BYTES_MAX }, (bytes) => new Btf(bytes));

/** VMCOREINFO. STAND_IN_UNFIT. */
export const standInInfo = (files: FilePort, path: string): Promise<Vmcoreinfo> =>
  read(files, { path, what: 'VMCOREINFO', bytesMax: PAGE_BYTES }, parseVmcoreinfo);
