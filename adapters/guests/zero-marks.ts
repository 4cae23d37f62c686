// Marks of the pages that are zero: a byte a page, shared with the threads that read them.

import { totalmem } from 'node:os';
import { assert } from '../../domain/values/assert.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { VM_PAGES_MAX } from '../../domain/values/page.ts';

/** Largest share of the machine's memory that the marks may take. */
const MEMORY_SHARE = 4;
export const IS_ZERO = 1;
export const IS_CONTENT = 0;

/** Marks by which all pages are zero. SOURCE_SIZE where this machine has no memory for them. */
export function zeroMarks(pageCount: number): Uint8Array {
  assert(pageCount >= 0 && pageCount <= VM_PAGES_MAX, 'a VM has at most VM_PAGES_MAX pages');
  const bytesMax = Math.floor(totalmem() / MEMORY_SHARE);
  if (pageCount > bytesMax)
    throw new LedgerError(
      'SOURCE_SIZE',
      `a guest of ${pageCount} pages needs ${pageCount} bytes of memory to be read, more than ` +
        `the ${bytesMax} that this machine can spare: record it on a larger machine`,
      { pageCount, bytesMax },
    );
  return new Uint8Array(new SharedArrayBuffer(pageCount)).fill(IS_ZERO);
}
