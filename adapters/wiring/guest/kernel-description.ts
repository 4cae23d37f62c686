// A kernel's symbols, and what is needed of its types, kept as derived state, so that the next capture of
// the same boot costs little: `guests/VM/BUILDID-KERNELOFFSET`. A VM's own, as it is the guest that says
// which build it is. It holds a version, the layouts as JSON, and the columns of the symbols: addresses,
// names, where these end.

import * as t from 'io-ts';
import { isLedgerError, type LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Btf } from '../../../domain/guest/btf.ts';
import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { KernelSymbols, readKallsyms } from '../../../domain/guest/kallsyms.ts';
import { readBtf, type Kernel } from '../../../domain/guest/kernel.ts';
import { pageLayoutOf } from '../../../domain/guest/page-owners.ts';
import { taskLayoutOf } from '../../../domain/guest/tasks.ts';
import {
  decodeState,
  StateReader,
  StateUnfit,
  StateWriter,
} from '../../../projections/models/state-bytes.ts';
import { guestStateName } from './guest-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { standInSymbols, standInTypes, type StandIns } from './stand-ins.ts';

const VERSION = 2;

const offset = t.number;
const mayLie = t.union([t.number, t.null]);

const Tasks = t.strict({
  tasks: offset,
  pid: offset,
  comm: offset,
  mm: offset,
  state: offset,
  exitState: offset,
  flags: offset,
  pgd: offset,
  resident: t.readonlyArray(offset),
  thread: t.union([
    t.null,
    t.strict({
      kthread: offset,
      fullName: mayLie,
      data: offset,
      workerPool: offset,
      workerDescription: offset,
      workerCurrent: offset,
    }),
  ]),
});

const Pages = t.strict({
  bytes: offset,
  flags: offset,
  mapping: offset,
  type: offset,
  compoundHead: offset,
  order: offset,
  types: t.readonlyArray(t.strict({ owner: t.number, mask: t.number, value: t.number })),
  reservedBit: t.number,
  lruBit: t.number,
  slabBit: t.number,
});

/** Where the fields lie that are read; of pages null: they are not described as is known here. */
const Layouts = t.strict({ tasks: Tasks, pages: t.union([Pages, t.null]) });
export type Layouts = t.TypeOf<typeof Layouts>;

export interface Description {
  readonly symbols: KernelSymbols;
  readonly layouts: () => Layouts;
  /** All of its types, read anew. GUEST_UNDESCRIBED where it keeps none; GUEST_INVALID. */
  readonly types: () => Promise<Btf>;
}

const nameOf = (vm: string, { info }: Kernel): string | null =>
  info.buildId === null
    ? null
    : guestStateName(vm, `${info.buildId}-${info.kernelOffset.toString(16)}`);

async function load(ledger: Ledger, name: string): Promise<Omit<Description, 'types'> | null> {
  const bytes = await ledger.stateFiles.load(name);
  if (bytes === null) return null;
  try {
    const reader = new StateReader(bytes);
    if (reader.u32() !== VERSION) return null;
    const layouts = decodeState(reader.text(), Layouts);
    const [placed, text, ends] = [reader.column(), reader.column(), reader.words()];
    if (placed.length !== 8 * ends.length) return null;
    const addresses = new BigUint64Array(placed.buffer, placed.byteOffset, ends.length);
    return { symbols: new KernelSymbols({ addresses, text, ends }), layouts: () => layouts };
  } catch (thrown) {
    if (thrown instanceof StateUnfit) return null;
    throw thrown;
  }
}

async function keep(
  ledger: Ledger,
  name: string,
  of: { readonly symbols: KernelSymbols; readonly layouts: Layouts },
): Promise<void> {
  const { addresses, text, ends } = of.symbols.columns;
  const writer = new StateWriter().u32(VERSION).text(JSON.stringify(of.layouts));
  await ledger.stateFiles.save(name, writer.column(addresses).column(text).column(ends).bytes());
}

/** From the types of a kernel, or why they are of no use. */
async function readLayouts(types: () => Promise<Btf>): Promise<Layouts | LedgerError> {
  try {
    const btf = await types();
    return { tasks: taskLayoutOf(btf), pages: pageLayoutOf(btf) };
  } catch (thrown) {
    if (isGuestFailure(thrown)) return thrown;
    throw thrown;
  }
}

/** The symbols of a kernel: those of a file where one stands in for them, else those in its memory. */
function readSymbols(
  { files }: Ledger,
  { memory, info }: Kernel,
  path: string | null,
): Promise<KernelSymbols> {
  return path === null ? readKallsyms(memory, info) : standInSymbols(files, path, info);
}

/** Of which VM a kernel is, and what stands in for what it hides. */
interface DescriptionSource {
  readonly vm: string;
  readonly standIns?: StandIns | undefined;
}

/**
 * The symbols of a kernel, and its types where it keeps them; from what is kept where it is there, and
 * neither from there nor to it where a file stands in for any.
 */
export async function readDescription(
  ledger: Ledger,
  of: DescriptionSource,
  kernel: Kernel,
): Promise<Description> {
  const { kallsyms = null, btf = null, vmcoreinfo = null } = of.standIns ?? {};
  const isOwn = kallsyms === null && btf === null && vmcoreinfo === null;
  const name = isOwn ? nameOf(of.vm, kernel) : null;
  const kept = name === null ? null : await load(ledger, name);
  const symbols = kept?.symbols ?? (await readSymbols(ledger, kernel, kallsyms));
  const types = (): Promise<Btf> =>
    btf === null ? readBtf(kernel, symbols) : standInTypes(ledger.files, btf);
  if (kept !== null) return { ...kept, types };
  const layouts = await readLayouts(types);
  if (name !== null && !isLedgerError(layouts)) await keep(ledger, name, { symbols, layouts });
  return {
    symbols,
    types,
    layouts: () => {
      if (isLedgerError(layouts)) throw layouts;
      return layouts;
    },
  };
}

/** Descriptions of a VM's kernels that are read once for many of its captures. */
export class DescriptionCache {
  readonly #ledger: Ledger;
  readonly #source: DescriptionSource;
  /** By all that they say in VMCOREINFO: it is of one boot. */
  readonly #known = new Map<string, Description>();

  constructor(ledger: Ledger, source: DescriptionSource) {
    this.#ledger = ledger;
    this.#source = source;
  }

  async of(kernel: Kernel): Promise<Description> {
    const boot = Buffer.from(kernel.info.text).toString('latin1');
    const known = this.#known.get(boot);
    if (known !== undefined) return known;
    const description = await readDescription(this.#ledger, this.#source, kernel);
    this.#known.set(boot, description);
    return description;
  }
}
