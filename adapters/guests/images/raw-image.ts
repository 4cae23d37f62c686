// A raw image of memory: read where it lies.

import { memoryOfDescriptor } from '../../files/memory-file.ts';
import { keptSource, type GuestSource } from '../../../domain/ports/guests.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES, VM_PAGES_MAX } from '../../../domain/values/page.ts';
import { holesOf, isSparse } from './file-holes.ts';
import type { FormatFile } from './image-format.ts';
import { fileLayoutOf, piecesAround, withoutGap } from './told-layout.ts';
import { WatchedFile } from './watched-file.ts';

/**
 * The file as one block of memory. SOURCE_SIZE where that is no whole pages, or not what was said of
 * how they lie.
 */
export async function openRawImage(of: FormatFile): Promise<GuestSource> {
  const { file, timeMs, path } = of;
  const { label } = file;
  const pages = file.sizeBytes / PAGE_BYTES;
  if (!Number.isInteger(pages) || pages > VM_PAGES_MAX || pages === 0) {
    throw new LedgerError(
      'SOURCE_SIZE',
      `${label} has ${file.sizeBytes} bytes: expected a multiple of ${PAGE_BYTES}, at most ` +
        `${VM_PAGES_MAX} pages; it is cut short or no raw image of memory`,
      { label, sizeBytes: file.sizeBytes },
    );
  }
  const watched = file.isShared ? new WatchedFile(file) : null;
  const { memoryMap, areRangesTold, gap, warnings } = fileLayoutOf(
    { label, pages },
    of.told ?? null,
  );
  const holes = of.isDifference === true ? withoutGap(holesOf(file, pages), gap) : null;
  return keptSource(
    {
      image: {
        file: memoryOfDescriptor(file.fd),
        offsetBytes: 0,
        pageCount: pageCountOf(memoryMap),
        ...(gap === null ? {} : { pieces: piecesAround(gap) }),
        zeros: holes,
        label,
      },
      memoryMap,
      areRangesTold,
      device: null,
      argv: null,
      timeMs,
      pauseMs: null,
      mode: 'image',
      source: path,
      mayLackPages: holes === null && isSparse(file),
      ...(holes === null ? {} : { asBefore: holes }),
      ...(watched === null ? {} : { mayHaveChanged: () => watched.mayHaveChanged() }),
    },
    () => file.close(),
    warnings,
  );
}
