// Memory that lies plain in a stream's own file: QEMU's capability mapped-ram (from 9.0 on), and the
// sparse saves of libvirt (from 11.2 on). Behind each block's length in the list of blocks come
//
//   u32 version: 1, u64 bytes of a page, u64 offset of the bitmap, u64 offset of the pages
//
// and the list goes on behind those pages. Offsets count from the start of the file, also where something
// lies there before the stream. The bitmap has a bit a page, the lowest first, in words of 64: a page
// without its bit is zero, whatever the file holds there. RAM sections have no pages then.

import type { Image } from '../../../domain/ports/guests.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { memoryOfDescriptor } from '../../files/memory-file.ts';
import { DumpFile } from '../dumps/dump-file.ts';
import { piecesOf, type Piece } from '../dumps/pieces.ts';
import type { ImageFile } from '../images/image-file.ts';
import { IS_CONTENT, zeroMarks } from '../zero-marks.ts';
import { sourceOfFile, type ByteWindow } from './byte-window.ts';
import { invalid, unsupported } from './stream-failures.ts';

const VERSION = 1;
const WORD_BYTES = 8;
const WORD_PAGES = 64;

/** Where a block's memory lies. */
interface MappedBlock {
  readonly bitmapAt: number;
  readonly pagesAt: number;
}

const bitmapBytes = (pages: number): number => Math.ceil(pages / WORD_PAGES) * WORD_BYTES;

export class MappedRam {
  readonly #fd: number;
  readonly #file: DumpFile;
  readonly #blocks = new Map<string, MappedBlock>();

  constructor(file: Pick<ImageFile, 'fd' | 'label' | 'sizeBytes'>) {
    this.#fd = file.fd;
    this.#file = new DumpFile(file);
  }

  /**
   * Takes what follows a block in the list; the window goes on behind the block's pages, always further
   * on in the file. STREAM_INVALID, STREAM_UNSUPPORTED, SOURCE_SIZE.
   */
  async takeBlock(window: ByteWindow, { name, pages }: MemoryBlock): Promise<void> {
    const what = `where the block "${name}" lies`;
    const version = await window.u32(what);
    if (version !== VERSION)
      throw unsupported(
        window,
        `mapped RAM of version ${version}`,
        'switch the migration capability mapped-ram off and capture again',
      );
    const pageBytes = await window.u64(what);
    if (pageBytes !== PAGE_BYTES)
      throw unsupported(window, `pages of ${pageBytes} bytes`, 'only 4 KiB pages are recorded');
    const bitmapAt = await window.u64(what);
    const pagesAt = await window.u64(what);
    const isSound =
      bitmapAt >= window.offsetBytes &&
      pagesAt >= bitmapAt + bitmapBytes(pages) &&
      pagesAt % PAGE_BYTES === 0;
    if (!isSound)
      throw invalid(window, `a bitmap at ${bitmapAt} and pages at ${pagesAt} of "${name}"`);
    const length = pages * PAGE_BYTES;
    this.#file.check(pagesAt, length, `the block "${name}"`);
    this.#blocks.set(name, { bitmapAt, pagesAt });
    const offsetBytes = pagesAt + length;
    window.continueAt(offsetBytes, sourceOfFile({ fd: this.#fd, offsetBytes }));
  }

  /** The memory of all blocks, in a ledger's order, where it lies; valid while the file is open. */
  image(blocks: readonly MemoryBlock[]): Image {
    const zeros = zeroMarks(blocks.reduce((sum, { pages }) => sum + pages, 0));
    const pieces: Piece[] = [];
    let first = 0;
    for (const { name, pages } of blocks) {
      const { bitmapAt, pagesAt } = this.#blocks.get(name)!;
      pieces.push({ page: first, offset: pagesAt });
      const bitmap = this.#file.bytes(bitmapAt, bitmapBytes(pages), `the bitmap of "${name}"`);
      for (let page = 0; page < pages; page += 1)
        if (((bitmap[page >> 3]! >> (page & 7)) & 1) === 1) zeros[first + page] = IS_CONTENT;
      first += pages;
    }
    return {
      file: memoryOfDescriptor(this.#fd),
      offsetBytes: 0,
      pageCount: zeros.length,
      pieces: piecesOf(pieces),
      zeros,
      label: this.#file.label,
    };
  }
}
