// What is sent to a QEMU whose memory arrives while its guest runs (docs/qemu.md, "Resuming lazily"):
// the head of a migration stream with the list of blocks, the word that all of each block is still to
// come, the devices in a package of their own, and then pages at any time, a section for each giving.

import type { DeviceState } from '../../../../domain/values/device-state.ts';
import type { MemoryMap } from '../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { Spares, type LentBytes } from '../../../../domain/values/spares.ts';
import { FILL_PAGES_MAX } from '../../../../domain/use-cases/serve/page-queue.ts';
import * as layout from '../stream-layout.ts';
import * as pieces from '../stream-writer.ts';

/** A command's record, its number and its length. */
const COMMAND_BYTES = 5;

function writeCommand(writer: pieces.StreamWriter, command: number, lengthBytes: number): void {
  writer.u8(layout.RECORD_COMMAND);
  writer.u16(command);
  writer.u16(lengthBytes);
}

/** A block of which all is to come: QEMU drops what it has of it, and its state becomes the right one. */
function writeDiscard(writer: pieces.StreamWriter, name: string, pages: number): void {
  writeCommand(writer, layout.COMMAND_RAM_DISCARD, 3 + name.length + 16);
  writer.u8(0);
  writer.name(name);
  writer.u8(0);
  writer.word(0, 0);
  writer.word(pages * PAGE_BYTES, 0);
}

/** All that comes before the first page: the guest runs when QEMU has it. */
export function arrivalOf(memoryMap: MemoryMap, device: DeviceState): Uint8Array {
  const { blocks } = memoryMap;
  const writer = new pieces.StreamWriter(
    device.head.length +
      device.sections.length +
      pieces.blockListBytes(memoryMap) +
      blocks.length * (COMMAND_BYTES + 32 + layout.NAME_BYTES_MAX) +
      8 * COMMAND_BYTES +
      64,
  );
  writer.take(device.head);
  writeCommand(writer, layout.COMMAND_OPEN_RETURN_PATH, 0);
  writeCommand(writer, layout.COMMAND_POSTCOPY_ADVISE, 16);
  writer.word(PAGE_BYTES, 0);
  writer.word(PAGE_BYTES, 0);
  pieces.writeBlockList(writer, memoryMap);
  for (const { name, pages } of blocks) writeDiscard(writer, name, pages);
  writeCommand(writer, layout.COMMAND_PACKAGED, 4);
  writer.u32(device.sections.length + 2 * COMMAND_BYTES);
  writeCommand(writer, layout.COMMAND_POSTCOPY_LISTEN, 0);
  writer.take(device.sections);
  writeCommand(writer, layout.COMMAND_POSTCOPY_RUN, 0);
  return writer.written();
}

/** Asks what a guest that was left has of a block. */
export function receivedQuestion(name: string): Uint8Array {
  const writer = new pieces.StreamWriter(COMMAND_BYTES + 1 + layout.NAME_BYTES_MAX);
  writeCommand(writer, layout.COMMAND_RECEIVED_BITMAP, 1 + name.length);
  writer.name(name);
  return writer.written();
}

/** Lets a guest that was left go on with its requests. */
export function goOn(): Uint8Array {
  const writer = new pieces.StreamWriter(COMMAND_BYTES);
  writeCommand(writer, layout.COMMAND_POSTCOPY_RESUME, 0);
  return writer.written();
}

/** Nothing more comes: what was not sent is zeros. */
export function arrivalEnd(): Uint8Array {
  const writer = new pieces.StreamWriter(pieces.SECTION_BYTES + 1);
  pieces.writeSectionStart(writer, layout.RECORD_END);
  pieces.writeSectionEnd(writer);
  writer.u8(layout.RECORD_EOF);
  return writer.written();
}

/** Bytes of a section of so many pages that hold something, and so many of zeros, at most. */
const sectionBytes = (pages: number, zeros: number): number =>
  pieces.SECTION_BYTES +
  pages * pieces.PAGE_RECORD_BYTES_MAX +
  zeros * pieces.ZERO_RECORD_BYTES_MAX;

/** Memory that sections are written in, and how much of it is kept for others (4 MiB). */
const ROOM_BYTES = sectionBytes(FILL_PAGES_MAX, FILL_PAGES_MAX);
const FREE_MAX = 14;

/** Pages of a giving as a section. The bytes are a copy, in memory that is used again. */
export class ArrivingPages {
  readonly #records: pieces.PageRecords;
  readonly #spares = new Spares<pieces.StreamWriter>(FREE_MAX);

  constructor(memoryMap: MemoryMap) {
    this.#records = new pieces.PageRecords(memoryMap);
  }

  section(given: {
    readonly numbers: ArrayLike<number>;
    readonly pages: Uint8Array;
    readonly zeros: ArrayLike<number>;
  }): LentBytes {
    const { numbers, pages, zeros } = given;
    const bytesMax = sectionBytes(numbers.length, zeros.length);
    const isLarge = bytesMax > ROOM_BYTES;
    const writer = isLarge
      ? new pieces.StreamWriter(bytesMax)
      : this.#spares.take(() => new pieces.StreamWriter(ROOM_BYTES));
    writer.begin();
    pieces.writeSectionStart(writer, layout.RECORD_PART);
    for (let i = 0; i < numbers.length; i += 1)
      this.#records.page(writer, numbers[i]!, pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES));
    for (let i = 0; i < zeros.length; i += 1) this.#records.zero(writer, zeros[i]!);
    pieces.writeSectionEnd(writer);
    const giveBack = (): void => {
      if (!isLarge) this.#spares.giveBack(writer);
    };
    return { bytes: writer.written(), giveBack };
  }
}
