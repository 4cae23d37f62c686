// Blocks of RAM: their order in a ledger, and where guest-physical addresses lead.
//
// Main RAM is the first block whose name ends in `.ram` (QEMU's own names: `pc.ram`), else the
// largest, the earlier of two equals; the others follow in the stream's order. Where guest-physical
// addresses lead is QEMU's rule for the machine type; a live guest is asked instead.

import type { MemoryBlock, PhysicalRange } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** Where RAM that does not fit below the devices goes on. */
const HIGH_ADDRESS = 2 ** 32;

/** RAM of `from` bytes or more is split after `low` bytes: the rest lies at HIGH_ADDRESS. */
interface SplitRule {
  readonly machine: RegExp;
  readonly from: number;
  readonly low: number;
}

const SPLIT_RULES: readonly SplitRule[] = [
  { machine: /^pc-i440fx-/u, from: 0xe000_0000, low: 0xc000_0000 },
  { machine: /^pc-q35-/u, from: 0xb000_0000, low: 0x8000_0000 },
  { machine: /^microvm$/u, from: 0xc000_0001, low: 0xc000_0000 },
];

/** The blocks with main RAM first. */
export function inLedgerOrder(blocks: readonly MemoryBlock[]): readonly MemoryBlock[] {
  const largest = Math.max(...blocks.map((block) => block.pages));
  const main =
    blocks.find((block) => block.name.endsWith('.ram')) ??
    blocks.find((block) => block.pages === largest);
  if (main === undefined) return blocks;
  return [main, ...blocks.filter((block) => block !== main)];
}

/** Where main RAM lies in a machine of this type; none where the type is not known. */
export function rangesOfMachine(machine: string, main: MemoryBlock): readonly PhysicalRange[] {
  const rule = SPLIT_RULES.find((candidate) => candidate.machine.test(machine));
  if (rule === undefined) return [];
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

/** A line of RAM in QEMU's flat view: first and last address, kind, block, its offset if not 0. */
const FLAT_LINE =
  /^\s+([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:ram|rom)\): (.+?)(?: @([0-9a-f]{16}))?(?: KVM)?\s*$/u;

/**
 * The ranges that QEMU's monitor lists (`info mtree -f`) for its memory address space, whole pages
 * of known blocks only; null where it lists none. Neighbours that continue each other are one.
 */
export function rangesOfFlatView(
  text: string,
  blocks: readonly MemoryBlock[],
): readonly PhysicalRange[] | null {
  const known = new Map(blocks.map((block) => [block.name, block.pages * PAGE_BYTES]));
  const view = text.split(/^FlatView #\d+\s*$/mu).find((part) => /^ AS "memory"/mu.test(part));
  const ranges: PhysicalRange[] = [];
  for (const line of (view ?? '').split('\n')) {
    const match = FLAT_LINE.exec(line);
    if (match === null) continue;
    const address = Number.parseInt(match[1]!, 16);
    const length = Number.parseInt(match[2]!, 16) - address + 1;
    const offset = Number.parseInt(match[4] ?? '0', 16);
    const block = match[3]!;
    const inside = offset + length <= (known.get(block) ?? 0);
    const whole = [address, length, offset].every((bytes) => bytes % PAGE_BYTES === 0);
    if (!inside || !whole) continue;
    const last = ranges.at(-1);
    if (
      last?.block === block &&
      last.address + last.length === address &&
      last.offset + last.length === offset
    ) {
      ranges[ranges.length - 1] = { ...last, length: last.length + length };
    } else {
      ranges.push({ address, block, offset, length });
    }
  }
  return ranges.length === 0 ? null : ranges;
}
