// A dump whose memory lies plain in its file, as a source: read where it lies.

import { keptSource, type GuestSource } from '../../../domain/ports/guests.ts';
import type { CaptureMode } from '../../../domain/values/capture-mode.ts';
import { memoryOfDescriptor } from '../../files/memory-file.ts';
import { isSparse } from '../images/file-holes.ts';
import type { FormatFile } from '../images/image-format.ts';
import { WatchedFile } from '../images/watched-file.ts';
import { DumpFile } from './dump-file.ts';
import { leftOutText, type LeftOut } from './left-out.ts';
import { placeSegments, type Segment, type SegmentRules } from './segments.ts';

/** What a dump says of itself. */
export interface Dump extends SegmentRules {
  readonly segments: readonly Segment[];
  readonly mode: CaptureMode;
  /** Memory that it tells of and has not. Absent: it has all. */
  readonly leftOut?: LeftOut;
}

/** What a person should know of a dump. */
function warningsOf(untold: Uint8Array | null, why: string): readonly string[] {
  const pages = untold?.reduce((sum, is) => sum + is, 0) ?? 0;
  return pages === 0 ? [] : [leftOutText(pages, why)];
}

/** The memory of a dump, read where it lies in the file of `of`; that is closed with the source. */
export function dumpSource(of: FormatFile, dump: Dump): GuestSource {
  const { file, timeMs, path } = of;
  const watched = file.isShared ? new WatchedFile(file) : null;
  const { segments, mode, leftOut, ...rules } = dump;
  const { memoryMap, pageCount, pieces, zeros, untold } = placeSegments(
    new DumpFile(file),
    { segments, untold: leftOut?.runs ?? [] },
    rules,
  );
  const memory = memoryOfDescriptor(file.fd);
  return keptSource(
    {
      image: { file: memory, offsetBytes: 0, pageCount, pieces, zeros, label: file.label },
      memoryMap,
      areRangesTold: true,
      device: null,
      argv: null,
      timeMs,
      pauseMs: null,
      mode,
      source: path,
      mayLackPages: file.isShared && isSparse(file),
      ...(untold === null ? {} : { untold }),
      ...(watched === null ? {} : { mayHaveChanged: () => watched.mayHaveChanged() }),
    },
    () => file.close(),
    warningsOf(untold, leftOut?.why ?? ''),
  );
}

/** A format of dumps: what its files say of themselves is read from their bytes. */
export const openDump =
  (read: (file: DumpFile) => Dump) =>
  async (of: FormatFile): Promise<GuestSource> =>
    dumpSource(of, read(new DumpFile(of.file)));
