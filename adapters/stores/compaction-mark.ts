// The mark of a compaction, in a page store (docs/format.md, "Marks of compactions"): which event says
// what was deleted there, so that a log that is older than that is known by it. Its name says all; the
// text repeats it, so that a person and a later version know what it is.
//
//   pageledger compaction
//   format 1
//   position 4711
//   id 0b8c1e5de1b94bd2a54a0c2f7f1f3c55
//   crc 89abcdef

import type { EventMark } from '../../domain/ports/event-log.ts';
import { sealLines } from '../files/checksummed-text.ts';

/** Where marks lie: a folder, or the end of a prefix. */
export const MARKS_FOLDER = 'compacted';

const NAME = /^(?<position>0|[1-9]\d{0,38})-(?<id>[0-9a-f]{32})$/u;

/** The name of a mark. */
export const markName = ({ position, id }: EventMark): string => `${position}-${id}`;

/** The mark of a name; null: it is none. */
function markNamed(name: string): EventMark | null {
  const { position, id } = NAME.exec(name)?.groups ?? {};
  return position === undefined || id === undefined ? null : { position: BigInt(position), id };
}

/** The marks among names. */
export const marksNamed = (names: readonly string[]): readonly EventMark[] =>
  names.flatMap((name) => markNamed(name) ?? []);

/** The bytes of a mark. */
export const markBytes = ({ position, id }: EventMark): Uint8Array =>
  new TextEncoder().encode(
    sealLines(['pageledger compaction', 'format 1', `position ${position}`, `id ${id}`]),
  );
