// Large pages of a QEMU that runs here, really split by its host: Linux takes orders for it in a file of
// debugfs, a range of a process's addresses each. What was split the kernel may make large again later.

import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { rangesOf } from '../../../domain/values/capture-ranges.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../../domain/values/page.ts';
import { blockAt, mappingsIn, type Mapping } from './process-memory.ts';

/** Where Linux takes orders to split large pages, for root, where debugfs is mounted. */
export const SPLIT_FILE = '/sys/kernel/debug/split_huge_pages';

const REGION_BYTES = REGION_PAGES * PAGE_BYTES;

/** What is to be split: regions of a QEMU's main block of memory, which has so many bytes. */
export interface SplitRequest {
  readonly process: number;
  readonly blockBytes: number;
  /** By their numbers, each once; those behind the block are left out. */
  readonly regions: readonly number[];
  /** Where orders are taken. */
  readonly file: string;
}

/** Regions that were told to be split; or, in words, why none were. */
export type SplitOutcome =
  | { readonly _tag: 'told'; readonly regions: number }
  | { readonly _tag: 'not'; readonly why: string };

/** The orders for regions of a block, as the kernel reads them; null: it is not clear where the block lies. */
export function splitOrders(
  mappings: readonly Mapping[],
  { process, blockBytes, regions }: Omit<SplitRequest, 'file'>,
): { readonly orders: readonly string[]; readonly regions: number } | null {
  const start = blockAt(mappings, blockBytes);
  if (start === null) return null;
  const inBlock = regions.filter((region) => (region + 1) * REGION_BYTES <= blockBytes);
  const hex = (region: number): string => `0x${(start + region * REGION_BYTES).toString(16)}`;
  return {
    orders: rangesOf(inBlock.toSorted((a, b) => a - b)).map(
      ([first, last]) => `${process},${hex(first)},${hex(last + 1)}`,
    ),
    regions: inBlock.length,
  };
}

const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);

/** Tells the kernel to split regions of a QEMU. */
export function splitPages(request: SplitRequest): SplitOutcome {
  const { process, file } = request;
  const not = (why: string): SplitOutcome => ({ _tag: 'not', why });
  let maps: string;
  try {
    maps = readFileSync(`/proc/${process}/maps`, 'utf8');
  } catch (thrown) {
    return not(`process ${process} may not be looked into, or has ended (${reasonOf(thrown)})`);
  }
  const told = splitOrders(mappingsIn(maps), request);
  if (told === null)
    return not(
      `it is not clear where process ${process} has the VM's memory: no one mapping of its own is as long as the main block, or several are`,
    );
  let fd: number;
  try {
    // A pipe that nobody reads is none, rather than a wait.
    fd = openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch (thrown) {
    return not(
      `${file} cannot be written (${reasonOf(thrown)}): it is root's, there where debugfs is mounted and the kernel has large pages`,
    );
  }
  try {
    for (const order of told.orders) writeSync(fd, `${order}\n`);
  } catch (thrown) {
    return not(`the kernel took no order to split process ${process} (${reasonOf(thrown)})`);
  } finally {
    closeSync(fd);
  }
  return { _tag: 'told', regions: told.regions };
}
