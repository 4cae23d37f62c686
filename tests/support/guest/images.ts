// Reading back what a capture left in its image.

import { readMemory } from '../../../adapters/files/memory-file.ts';
import type { Image } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** All pages of an image, back to back, zeros where its map says so. */
export function bytesOfImage(image: Image): Buffer {
  const bytes = Buffer.alloc(image.pageCount * PAGE_BYTES);
  let done = 0;
  while (done < bytes.length) {
    const count = readMemory(image.file, {
      bytes,
      at: done,
      lengthBytes: bytes.length - done,
      offsetBytes: image.offsetBytes + done,
    });
    if (count === 0) break;
    done += count;
  }
  for (let page = 0; page < image.pageCount; page++) {
    if (image.zeros?.[page] !== 1) continue;
    bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  }
  return bytes;
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
