// What the scanner must know of a file's format: where something may begin, how long it says it is,
// whether it is whole, and the events in it. Format 1 is one for all files; each segment of format 2
// has its own, by its marker.

import { EVENT_BYTES_MAX } from '../../../domain/values/page.ts';
import type { EventsWanted, Frame } from './frame.ts';
import {
  FRAME_MAGIC,
  FRAME_PARTS,
  HASH_BYTES,
  HEADER_BYTES,
  ID_BYTES,
  NAME_BYTES_MAX,
  hasSoundHash,
  readHeader,
  type FrameHeader,
} from './layout.ts';
import {
  MARK_BYTES,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  hasSoundRecordHash,
  readRecordFrames,
  readRecordHeader,
  type RecordHeader,
} from './record-layout.ts';
import { SEGMENT_HEADER_BYTES, isEnd } from './segment-header.ts';

/** What a sound header announces. */
export type Announced =
  | {
      readonly _tag: 'frames';
      readonly lengthBytes: number;
      readonly header: FrameHeader | RecordHeader;
    }
  /** The segment ends behind it. `isPlaced`: it says where it stands, and would have to be right. */
  | { readonly _tag: 'end'; readonly lengthBytes: number; readonly seen: number | null }
  | { readonly _tag: 'later'; readonly lengthBytes: number; readonly format: number };

/** A window of bytes, and where in it and in the log something begins. */
export interface Window {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
  readonly position: number;
}

export interface FrameFormat {
  readonly format: 1 | 2;
  /** Whatever may begin begins with these bytes. */
  readonly mark: Uint8Array;
  /** Bytes from a segment's start to where something may begin. */
  readonly startBytes: number;
  readonly headerBytes: number;
  readonly lengthBytesMax: number;
  announced(window: Window): Announced | null;
  /** The events, or null where the bytes are not what was announced. */
  frames(window: Window, announced: Announced, wanted: EventsWanted): readonly Frame[] | null;
  isSound(window: Window, lengthBytes: number): boolean;
}

function frameOf(window: Window, header: FrameHeader, { eventsFrom }: EventsWanted): Frame {
  const { bytes, offset, position } = window;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const names = offset + FRAME_PARTS.names;
  const type = names + header.streamBytes;
  const data = type + header.typeBytes;
  const end = offset + header.lengthBytes;
  const { revision, timeMs, schema, index, count, seen } = header;
  return {
    position,
    end: position + header.lengthBytes,
    recordPosition: position,
    isPlaced: false,
    stream: text.toString('utf8', names, type),
    revision,
    timeMs,
    schema,
    index,
    count,
    seen,
    previous: bytes.slice(
      offset + FRAME_PARTS.previous,
      offset + FRAME_PARTS.previous + HASH_BYTES,
    ),
    hash: bytes.slice(end - HASH_BYTES, end),
    event:
      position < eventsFrom
        ? null
        : {
            id: bytes.slice(offset + FRAME_PARTS.id, offset + FRAME_PARTS.id + ID_BYTES),
            type: text.toString('utf8', type, data),
            data: bytes.slice(data, data + header.dataBytes),
          },
  };
}

/** Files of format 1. */
export const FORMAT_1: FrameFormat = {
  format: 1,
  mark: FRAME_MAGIC,
  startBytes: 0,
  headerBytes: HEADER_BYTES,
  lengthBytesMax: HEADER_BYTES + 2 * NAME_BYTES_MAX + EVENT_BYTES_MAX + HASH_BYTES,
  announced({ view, offset }) {
    const header = readHeader(view, offset);
    if (header === null) return null;
    if (header !== 'later') return { _tag: 'frames', lengthBytes: header.lengthBytes, header };
    if (isEnd(view, offset)) return { _tag: 'end', lengthBytes: HEADER_BYTES, seen: null };
    const format = view.getUint16(offset + 8, true);
    return { _tag: 'later', lengthBytes: HEADER_BYTES, format };
  },
  isSound: ({ bytes, offset }, lengthBytes) => hasSoundHash(bytes, { offset, lengthBytes }),
  frames: (window, announced, wanted) =>
    announced._tag === 'frames' && 'typeBytes' in announced.header
      ? [frameOf(window, announced.header, wanted)]
      : null,
};

/** A segment of format 2 with this marker. */
export function format2(marker: Uint8Array): FrameFormat {
  return {
    format: 2,
    mark: marker.slice(0, MARK_BYTES),
    startBytes: SEGMENT_HEADER_BYTES,
    headerBytes: RECORD_HEADER_BYTES,
    lengthBytesMax: RECORD_BYTES_MAX,
    announced({ view, offset }) {
      const header = readRecordHeader(view, offset, marker);
      if (header === null) return null;
      const { lengthBytes, seen, count } = header;
      return count === 0
        ? { _tag: 'end', lengthBytes, seen }
        : { _tag: 'frames', lengthBytes, header };
    },
    isSound: ({ bytes, offset }, lengthBytes) => hasSoundRecordHash(bytes, { offset, lengthBytes }),
    frames: ({ bytes, offset, position }, announced, wanted) => {
      if (announced._tag !== 'frames' || 'typeBytes' in announced.header) return null;
      const { header } = announced;
      return readRecordFrames({ bytes, offset, position, wanted, header });
    },
  };
}
