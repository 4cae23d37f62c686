// Which pages a running guest has of the file that it maps its memory from, and which are its own: the kernel
// says so of its process, for as long as nobody asks what is in them.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { fileAt, MAPPED_PAGE, OWN_PAGE, ProcessMemory } from './process-memory.ts';

/** By page of the file: MAPPED_PAGE, OWN_PAGE or 0. */
type MappedPages = Uint8Array;
export { MAPPED_PAGE, OWN_PAGE };

/**
 * The pages of a file of so many that a process maps privately and whole; null: it has ended, may not be
 * looked into, or does not map it so. One read of 8 bytes a page.
 */
export function mappedPagesOf(process: number, path: string, pages: number): MappedPages | null {
  let memory: ProcessMemory;
  try {
    memory = new ProcessMemory(process);
  } catch {
    return null;
  }
  try {
    const address = fileAt(memory.mappings, path, pages * PAGE_BYTES);
    return address === null ? null : memory.states(address, pages);
  } catch {
    return null;
  } finally {
    memory.close();
  }
}
