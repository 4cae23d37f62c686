// A VM as a row.

import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { LedgerCosts } from '../../wiring/costs.ts';
import { isoTime, type Row } from './row.ts';

export function vmRow(entry: VmEntry, costs: LedgerCosts): Row {
  const { captures, retired } = entry;
  const { registered, argv } = entry.state;
  const pages = registered === null ? null : pageCountOf(registered.memoryMap);
  const last = captures.at(-1);
  return {
    vm: entry.vm,
    group: registered?.group ?? null,
    share: registered?.share ?? null,
    pages,
    bytes: pages === null ? null : pages * PAGE_BYTES,
    captures: captures.length,
    firstTime: captures[0] === undefined ? null : isoTime(captures[0].timeMs),
    lastTime: last === undefined ? null : isoTime(last.timeMs),
    addedBytes: captures.reduce((sum, { addedBytes }) => sum + addedBytes, 0),
    ...costs.vm(entry.vm),
    retired: retired !== null,
    memoryMap: registered?.memoryMap ?? null,
    commandLine: argv,
  };
}
