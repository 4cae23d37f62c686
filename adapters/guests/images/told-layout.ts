// How a raw file holds a guest's memory, where whoever gives it says so: `packed`, all RAM in one piece,
// as a VMM keeps it in a file; or `physical`, each page at its guest-physical address, so that a
// machine's hole below 4 GiB is in the file too.

import type { ImagePieces } from '../../../domain/ports/guests.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { piecesOf } from '../dumps/pieces.ts';
import { flatMap, type MemoryMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ToldLayout } from '../../../domain/values/raw-layout.ts';
import { HIGH_ADDRESS, rangesOfMachine, SPLIT_BYTES_MIN, splitRuleOf } from '../qemu/ram-blocks.ts';

/** Bytes of a file that are none of the memory in it. */
export interface ImageGap {
  /** The page before which they lie. */
  readonly page: number;
  /** As many as so many pages have. */
  readonly pages: number;
}

/** Where the memory lies in a file and in the guest. */
export interface FileLayout {
  readonly memoryMap: MemoryMap;
  readonly areRangesTold: boolean;
  readonly gap: ImageGap | null;
  /** What a person should know. */
  readonly warnings: readonly string[];
}

interface RawFile {
  readonly label: string;
  readonly pages: number;
}

const hex = (address: number): string => `0x${address.toString(16)}`;

function packed({ label, pages }: RawFile, machine: string | null): FileLayout {
  const { blocks, ranges } = flatMap(pages);
  const isSplit = pages * PAGE_BYTES >= SPLIT_BYTES_MIN;
  const known = isSplit ? rangesOfMachine(machine ?? '', blocks[0]!) : ranges;
  const warning = `it is not known at which addresses ${label} lies in the guest: say --machine`;
  return {
    memoryMap: { blocks, ranges: known },
    areRangesTold: known.length > 0,
    gap: null,
    warnings: known.length > 0 ? [] : [warning],
  };
}

function physical(of: RawFile, machine: string | null): FileLayout {
  const { label, pages } = of;
  const bytes = pages * PAGE_BYTES;
  const rule = splitRuleOf(machine ?? '');
  const whole = { memoryMap: flatMap(pages), areRangesTold: true, gap: null, warnings: [] };
  if (rule === null || bytes < rule.from) return whole;
  const hole = HIGH_ADDRESS - rule.low;
  const ram = bytes - hole;
  if (bytes <= HIGH_ADDRESS || ram < rule.from) {
    const least = Math.max(HIGH_ADDRESS + PAGE_BYTES, rule.from + hole);
    throw new LedgerError(
      'SOURCE_SIZE',
      `${label} has ${bytes} bytes, and no physical image of a ${machine} has as many: it has less than ${rule.from}, or ${Math.ceil(least / PAGE_BYTES) * PAGE_BYTES} at least, with a hole from ${hex(rule.low)} to ${hex(HIGH_ADDRESS)}; if it has no hole, say --layout packed`,
      { label, found: bytes },
    );
  }
  const [block] = flatMap(ram / PAGE_BYTES).blocks;
  return {
    memoryMap: { blocks: [block!], ranges: rangesOfMachine(machine ?? '', block!) },
    areRangesTold: true,
    gap: { page: rule.low / PAGE_BYTES, pages: hole / PAGE_BYTES },
    warnings: [
      `what ${label} has from ${hex(rule.low)} to ${hex(HIGH_ADDRESS)} is left out: a ${machine} has no RAM there`,
    ],
  };
}

/** What lies where. Nothing said: each page at its own offset, and nobody vouches for it. */
export function fileLayoutOf(of: RawFile, told: ToldLayout | null): FileLayout {
  if (told === null)
    return { memoryMap: flatMap(of.pages), areRangesTold: false, gap: null, warnings: [] };
  return told.layout === 'packed' ? packed(of, told.machine) : physical(of, told.machine);
}

/** Memory that lies before and behind a gap. */
export const piecesAround = ({ page, pages }: ImageGap): ImagePieces =>
  piecesOf([
    { page: 0, offset: 0 },
    { page, offset: (page + pages) * PAGE_BYTES },
  ]);

/** A byte a page of the file, without those in the gap; shared. */
export function withoutGap(bytes: Uint8Array, gap: ImageGap | null): Uint8Array {
  if (gap === null) return bytes;
  const left = new Uint8Array(new SharedArrayBuffer(bytes.length - gap.pages));
  left.set(bytes.subarray(0, gap.page));
  left.set(bytes.subarray(gap.page + gap.pages), gap.page);
  return left;
}
