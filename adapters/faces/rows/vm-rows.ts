// A VM as a row.

import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { LedgerCosts } from '../../wiring/questions/costs.ts';
import { isoTime, type Row } from './row.ts';

export function vmRow(entry: VmEntry, costs: LedgerCosts): Row {
  const { rows, retired } = entry;
  const { registered, argv } = entry.state;
  const pages = registered === null ? null : pageCountOf(registered.memoryMap);
  const first = rows.at(0);
  return {
    vm: entry.vm,
    group: registered?.group ?? null,
    share: registered?.share ?? null,
    pages,
    bytes: pages === null ? null : pages * PAGE_BYTES,
    captures: rows.length,
    firstTime: first === undefined ? null : isoTime(first.timeMs),
    lastTime: rows.last === undefined ? null : isoTime(rows.last.timeMs),
    addedBytes: rows.addedBytes,
    ...costs.vm(entry.vm),
    retired: retired !== null,
    memoryMap: registered?.memoryMap ?? null,
    commandLine: argv,
  };
}
