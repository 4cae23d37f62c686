// Blocks of RAM: their order in a ledger, and where guest-physical addresses lead.
//
// Main RAM is the first block whose name ends in `.ram` (QEMU's own names: `pc.ram`), else the
// largest, the earlier of two equals; the others follow in the stream's order. QEMU lists blocks by
// their size, so one that is plugged in comes somewhere between: those that the VM has come first.
// Where guest-physical addresses lead is QEMU's rule for the machine type; a live guest is asked
// instead.

import {
  inOrderOf,
  type MemoryBlock,
  type PhysicalRange,
} from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** Where RAM that does not fit below the devices goes on. */
export const HIGH_ADDRESS = 2 ** 32;

/** RAM of `from` bytes or more is split after `low` bytes: the rest lies at HIGH_ADDRESS. */
export interface SplitRule {
  /** Names of machine types, as people give them and as streams bear them. */
  readonly machine: RegExp;
  readonly from: number;
  readonly low: number;
}

const SPLIT_RULES: readonly SplitRule[] = [
  { machine: /^pc(?:-i440fx-.*)?$/u, from: 0xe000_0000, low: 0xc000_0000 },
  { machine: /^(?:pc-)?q35(?:-.*)?$/u, from: 0xb000_0000, low: 0x8000_0000 },
  { machine: /^(?:microvm|firecracker|cloud-hypervisor)$/u, from: 0xc000_0001, low: 0xc000_0000 },
];
/** RAM of less than this is in one piece from address 0 in all of them. */
export const SPLIT_BYTES_MIN = Math.min(...SPLIT_RULES.map(({ from }) => from));

/** The rule of a machine type; null: it is not known. */
export const splitRuleOf = (machine: string): SplitRule | null =>
  SPLIT_RULES.find((rule) => rule.machine.test(machine)) ?? null;

/** Whether it is known where machines of a type have their RAM. */
export const isMachineKnown = (machine: string): boolean => splitRuleOf(machine) !== null;

/** The blocks that the VM has in its order, else main RAM first; then the others. */
export const inLedgerOrder = (
  blocks: readonly MemoryBlock[],
  known: readonly MemoryBlock[] = [],
): readonly MemoryBlock[] =>
  known.length === 0 ? mainFirst(blocks) : inOrderOf(known, mainFirst(blocks));

function mainFirst(blocks: readonly MemoryBlock[]): readonly MemoryBlock[] {
  const largest = Math.max(...blocks.map((block) => block.pages));
  const main =
    blocks.find((block) => block.name.endsWith('.ram')) ??
    blocks.find((block) => block.pages === largest);
  if (main === undefined) return blocks;
  return [main, ...blocks.filter((block) => block !== main)];
}

/** Where main RAM lies in a machine of this type; none where the type is not known. */
export function rangesOfMachine(machine: string, main: MemoryBlock): readonly PhysicalRange[] {
  const rule = splitRuleOf(machine);
  if (rule === null) return [];
  const bytes = main.pages * PAGE_BYTES;
  const low = bytes >= rule.from ? rule.low : bytes;
  const ranges = [{ address: 0, block: main.name, offset: 0, length: low }];
  if (bytes > low) {
    ranges.push({
      address: HIGH_ADDRESS,
      block: main.name,
      offset: low,
      length: bytes - low,
    });
  }
  return ranges;
}

/** What a line of RAM in QEMU's flat view begins with: first and last address, and kind. */
const FLAT_LINE = /^ {1,64}([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d{1,10}, (?:ram|rom)\): /u;
/** Longest line that is looked at. */
const FLAT_LINE_CHARS_MAX = 1024;
const ACCELERATOR = ' KVM';
/** What stands before a block's offset, where that is not 0, and the digits of one. */
const OFFSET_MARK = ' @';
const OFFSET = /^[0-9a-f]{16}$/u;

/** Whole pages of a block at guest-physical addresses, from a line of the flat view; else null. */
function rangeOfLine(line: string): PhysicalRange | null {
  if (line.length > FLAT_LINE_CHARS_MAX) return null;
  const match = FLAT_LINE.exec(line);
  if (match === null) return null;
  let block = line.slice(match[0].length).trimEnd();
  if (block.endsWith(ACCELERATOR)) block = block.slice(0, -ACCELERATOR.length);
  const mark = block.lastIndexOf(OFFSET_MARK);
  const digits = mark === -1 ? '' : block.slice(mark + OFFSET_MARK.length);
  const hasOffset = OFFSET.test(digits);
  const offset = hasOffset ? Number.parseInt(digits, 16) : 0;
  const address = Number.parseInt(match[1]!, 16);
  const length = Number.parseInt(match[2]!, 16) - address + 1;
  const isSound =
    length > 0 &&
    Number.isSafeInteger(address + length) &&
    Number.isSafeInteger(offset + length) &&
    [address, length, offset].every((bytes) => bytes % PAGE_BYTES === 0);
  return isSound
    ? { address, block: hasOffset ? block.slice(0, mark) : block, offset, length }
    : null;
}

/** The lines of QEMU's flat view of its memory address space. */
function memoryLines(text: string): readonly string[] {
  const lines = text.split('\n');
  const isView = (line: string): boolean => line.startsWith('FlatView #');
  let first = 0;
  for (const [i, line] of lines.entries()) {
    if (isView(line)) first = i + 1;
    if (!line.startsWith(' AS "memory"')) continue;
    const end = lines.findIndex((later, j) => j > i && isView(later));
    return lines.slice(first, end === -1 ? lines.length : end);
  }
  return [];
}

/**
 * The ranges that QEMU's monitor lists (`info mtree -f`) for its memory address space, whole pages
 * of known blocks only; null where it lists none. Neighbours that continue each other are one.
 */
export function rangesOfFlatView(
  text: string,
  blocks: readonly MemoryBlock[],
): readonly PhysicalRange[] | null {
  const known = new Map(blocks.map((block) => [block.name, block.pages * PAGE_BYTES]));
  const ranges: PhysicalRange[] = [];
  for (const line of memoryLines(text)) {
    const range = rangeOfLine(line);
    if (range === null || range.offset + range.length > (known.get(range.block) ?? 0)) continue;
    const last = ranges.at(-1);
    if (
      last?.block === range.block &&
      last.address + last.length === range.address &&
      last.offset + last.length === range.offset
    )
      ranges[ranges.length - 1] = { ...last, length: last.length + range.length };
    else ranges.push(range);
  }
  return ranges.length === 0 ? null : ranges;
}
