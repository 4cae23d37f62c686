// A file that QEMU migrates to with the capability mapped-ram, by that capability's document: behind each
// block's length a header, a bitmap, and its pages at a multiple of `alignBytes`.

import { RAM_BLOCKS } from '../../../adapters/guests/qemu/stream-layout.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import * as stream from './stream-bytes.ts';

export interface MadeBlock {
  readonly name: string;
  /** A page for each; null: zeros, whose place in the file holds something else. */
  readonly pages: readonly (Uint8Array | null)[];
}

export interface MappedRequest {
  readonly blocks: readonly MadeBlock[];
  /** What lies before the stream. */
  readonly before?: Uint8Array;
  /** QEMU takes 1 MiB. */
  readonly alignBytes?: number;
  /** Numbers of the header of the first block that are others. */
  readonly header?: {
    readonly version?: number;
    readonly pageBytes?: number;
    readonly bitmapAt?: number;
    readonly pagesAt?: number;
  };
  /** RAM's section that ends it. */
  readonly end?: Uint8Array;
}

/** What lies where a page is zero. */
const STALE = stream.pageOf(0xee);

const MAPPED_RAM = stream.subsection(
  'configuration/capabilities',
  stream.bytesOf(stream.u32(1), stream.name('mapped-ram')),
);

/** The machine and the capability. */
export const mappedHead = (): Buffer => stream.head('pc-i440fx-10.0', MAPPED_RAM);

/** Gathers what lies in a file, each part at its own place. */
class Laid {
  readonly parts: Uint8Array[] = [];
  bytes = 0;

  add(...parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.parts.push(part);
      this.bytes += part.length;
    }
  }

  addUpTo(offset: number): void {
    this.add(Buffer.alloc(offset - this.bytes));
  }
}

function addBlock(file: Laid, { name, pages }: MadeBlock, request: MappedRequest): void {
  const { alignBytes = 2 ** 20, header = {} } = request;
  file.add(stream.name(name), stream.u64(pages.length * PAGE_BYTES));
  const bitmapAt = file.bytes + 28;
  const bitmap = Buffer.alloc(Math.ceil(pages.length / 64) * 8);
  for (const [i, page] of pages.entries()) if (page !== null) bitmap[i >> 3]! |= 1 << (i & 7);
  const pagesAt = Math.ceil((bitmapAt + bitmap.length) / alignBytes) * alignBytes;
  file.add(
    stream.u32(header.version ?? 1),
    stream.u64(header.pageBytes ?? PAGE_BYTES),
    stream.u64(header.bitmapAt ?? bitmapAt),
    stream.u64(header.pagesAt ?? pagesAt),
    bitmap,
  );
  file.addUpTo(pagesAt);
  file.add(...pages.map((page) => page ?? STALE));
}

/** The file. */
export function mappedFile(request: MappedRequest): Buffer {
  const { blocks, before = new Uint8Array(0), end = stream.end() } = request;
  const pages = blocks.reduce((sum, block) => sum + block.pages.length, 0);
  const file = new Laid();
  file.add(before, mappedHead(), stream.ramHeader(), stream.u64(pages * PAGE_BYTES + RAM_BLOCKS));
  for (const [i, block] of blocks.entries())
    addBlock(file, block, i === 0 ? request : { ...request, header: {} });
  file.add(stream.eos(), stream.footer(), end, stream.tail());
  return Buffer.concat(file.parts);
}
