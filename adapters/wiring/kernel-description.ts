// A kernel's symbols, and what is needed of its types, kept as derived state, so that the next capture of
// the same boot costs little: `guests/VM/BUILDID-KERNELOFFSET`. A VM's own, as it is the guest that says
// which build it is. It holds a version, the layouts as JSON, and the columns of the symbols: addresses,
// names, where these end.

import * as t from 'io-ts';
import { isLedgerError, type LedgerError } from '../../domain/values/ledger-error.ts';
import { isGuestFailure } from '../../domain/guest/guest-failures.ts';
import { KernelSymbols, readKallsyms } from '../../domain/guest/kallsyms.ts';
import { readBtf, type Kernel } from '../../domain/guest/kernel.ts';
import { pageLayoutOf } from '../../domain/guest/page-owners.ts';
import { taskLayoutOf } from '../../domain/guest/tasks.ts';
import {
  decodeState,
  StateReader,
  StateUnfit,
  StateWriter,
} from '../../projections/models/state-bytes.ts';
import { guestStateName } from './guest-state.ts';
import type { Ledger } from './ledger.ts';

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
}

const nameOf = (vm: string, { info }: Kernel): string | null =>
  info.buildId === null
    ? null
    : guestStateName(vm, `${info.buildId}-${info.kernelOffset.toString(16)}`);

async function load(ledger: Ledger, name: string): Promise<Description | null> {
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
async function readLayouts(kernel: Kernel, symbols: KernelSymbols): Promise<Layouts | LedgerError> {
  try {
    const btf = await readBtf(kernel, symbols);
    return { tasks: taskLayoutOf(btf), pages: pageLayoutOf(btf) };
  } catch (thrown) {
    if (isGuestFailure(thrown)) return thrown;
    throw thrown;
  }
}

/** The symbols of a kernel, and its types where it keeps them; from what is kept where it is there. */
export async function readDescription(
  ledger: Ledger,
  vm: string,
  kernel: Kernel,
): Promise<Description> {
  const name = nameOf(vm, kernel);
  const kept = name === null ? null : await load(ledger, name);
  if (kept !== null) return kept;
  const symbols = await readKallsyms(kernel.memory, kernel.info);
  const layouts = await readLayouts(kernel, symbols);
  if (isLedgerError(layouts))
    return {
      symbols,
      layouts: () => {
        throw layouts;
      },
    };
  if (name !== null) await keep(ledger, name, { symbols, layouts });
  return { symbols, layouts: () => layouts };
}

/** Descriptions of a VM's kernels that are read once for many of its captures. */
export class DescriptionCache {
  readonly #ledger: Ledger;
  readonly #vm: string;
  readonly #known = new Map<string, Description>();

  constructor(ledger: Ledger, vm: string) {
    this.#ledger = ledger;
    this.#vm = vm;
  }

  async of(kernel: Kernel): Promise<Description> {
    const name = nameOf(this.#vm, kernel);
    const known = name === null ? undefined : this.#known.get(name);
    if (known !== undefined) return known;
    const description = await readDescription(this.#ledger, this.#vm, kernel);
    if (name !== null) this.#known.set(name, description);
    return description;
  }
}
