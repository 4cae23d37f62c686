// Reading back what a capture left in its image.

import { readMemory, type MemoryPart } from '../../../adapters/files/memory-file.ts';
import { looseOf, stretchOf, type Image } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** All pages of an image, back to back, zeros where its map says so. */
export function bytesOfImage(image: Image): Buffer {
  const bytes = Buffer.alloc(image.pageCount * PAGE_BYTES);
  readPages(image, { firstPage: 0, pages: image.pageCount, at: bytes });
  for (let page = 0; page < image.pageCount; page++) {
    if (image.zeros?.[page] !== 1) continue;
    bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  }
  return bytes;
}

/** Reads pages of an image, whatever its map of zeros says. */
export function readPages(
  image: Image,
  of: { readonly firstPage: number; readonly pages: number; readonly at: Uint8Array },
): void {
  for (let done = 0; done < of.pages;) {
    const { pages, offsetBytes } = stretchOf(image, of.firstPage + done, of.pages - done);
    const [at, lengthBytes] = [done * PAGE_BYTES, pages * PAGE_BYTES];
    const loose = looseOf(image, offsetBytes, lengthBytes);
    if (loose !== null) of.at.set(loose, at);
    else readWhole(image, { bytes: of.at, at, lengthBytes, offsetBytes });
    done += pages;
  }
}

/** Reads what there is: a spool has no file behind pages that are zero. */
function readWhole({ file }: Image, part: MemoryPart): void {
  for (let done = 0; done < part.lengthBytes;) {
    const { bytes, at, lengthBytes, offsetBytes } = part;
    const rest = { bytes, at: at + done, lengthBytes: lengthBytes - done };
    const count = readMemory(file, { ...rest, offsetBytes: offsetBytes + done });
    if (count === 0) break;
    done += count;
  }
}

/** Numbers of the pages that differ. */
export function pagesThatDiffer(a: Uint8Array, b: Uint8Array): readonly number[] {
  const differing: number[] = [];
  const pages = Math.max(a.length, b.length) / PAGE_BYTES;
  for (let page = 0; page < pages; page++) {
    const from = page * PAGE_BYTES;
    const left = Buffer.from(a.buffer, a.byteOffset + from, PAGE_BYTES);
    if (!left.equals(b.subarray(from, from + PAGE_BYTES))) differing.push(page);
  }
  return differing;
}
