// What a clone has from its base as its master's point has it, so that a capture of it need not read that.

import { memoryFileOf } from '../../guests/qemu/private-pages.ts';
import type { MappedPoint } from '../../guests/qemu/own-pages.ts';
import { accepted } from '../../../domain/ports/run.ts';
import type { RecorderOptions } from '../../../domain/use-cases/record/recorder.ts';
import { isContent, ZERO } from '../../../domain/values/holding.ts';
import { blockLayoutOf } from '../../../domain/values/raw-layout.ts';
import { DEFAULT_GROUP, isAlone } from '../../../domain/vm.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { isLinkedVm, type VmEntry } from '../../../projections/models/vm-entry.ts';
import { deviceStateOf } from '../restore/restore.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf } from '../ledger/vm-point.ts';
import type { Clone } from './clones.ts';

/** Whether a VM that is recorded as asked may link to what another one holds. */
function mayLink(ledger: Ledger, master: VmEntry, asked: RecorderOptions): boolean {
  const own = ledger.state.catalogue.vms.get(asked.vm);
  const registered = own?.state.registered ?? null;
  const isLinked = registered === null ? !isAlone(asked.share ?? null) : isLinkedVm(own!);
  const group = registered?.group ?? asked.group ?? DEFAULT_GROUP;
  return isLinked && isLinkedVm(master) && master.state.registered?.group === group;
}

/**
 * The point that a clone maps a block of, and which of its pages are there to be linked to: contents that
 * are not lost, and zeros. Patterns are each VM's own. Null where the clone is to be read whole.
 */
export async function mappedPointOf(
  ledger: Ledger,
  clone: Clone,
  asked: RecorderOptions,
): Promise<MappedPoint | null> {
  const { vm, capture, block } = clone;
  const { process } = clone.holder;
  const path = block === null ? null : memoryFileOf(process, block);
  const entry = ledger.vm(vm);
  if (block === null || path === null || !mayLink(ledger, entry, asked)) return null;
  const point = { entry, row: ledger.resolve(entry, `@${capture}`) };
  const memoryMap = memoryMapOf(point);
  const device = await deviceStateOf(ledger, point);
  const table = await tableOf(ledger, point, { isWhole: false });
  const { contents, losses } = ledger.state;
  const lost = losses.of(contents);
  const pages = new Uint8Array(table.length);
  for (const { gfn, pages: count } of accepted(blockLayoutOf(memoryMap, { vm, block })).pieces)
    for (let page = gfn; page < gfn + count; page += 1) {
      const held = table[page]!;
      pages[page] = (isContent(held) && !lost.has(held)) || held === ZERO ? 1 : 0;
    }
  return { process, block, path, memoryMap, device, asAt: { vm, capture, pages } };
}
