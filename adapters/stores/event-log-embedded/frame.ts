// An event in the log's files as the scanner finds it, whatever the format of the file.

/** What an event says beyond its place in its stream. */
export interface FrameEvent {
  readonly id: Uint8Array;
  readonly type: string;
  readonly data: Uint8Array;
}

/** Which events are handed out, and for how long. */
export interface EventsWanted {
  /** Frames before this place come without their events. */
  readonly eventsFrom: number;
  /**
   * Data of events may lie where the file was read into: valid until more of it is read. Absent: they
   * are their own.
   */
  readonly arePassing?: boolean;
}

/** An event that verified. Its arrays are its own, but for data of events that are passing. */
export interface Frame {
  readonly position: number;
  /** The place after it. */
  readonly end: number;
  /** Where the bytes that it was verified with begin: its frame (format 1), its append's record (2). */
  readonly recordPosition: number;
  /** Whether its record says where it stands, and is right (format 2). */
  readonly isPlaced: boolean;
  readonly stream: string;
  readonly revision: number;
  readonly timeMs: number;
  readonly schema: number;
  readonly index: number;
  readonly count: number;
  /** Up to where its writer had read the log. */
  readonly seen: number;
  /** Chain values: what it builds on, and its own. In format 2 those of its append. */
  readonly previous: Uint8Array;
  readonly hash: Uint8Array;
  /** Null where the scanner was told not to copy events. */
  readonly event: FrameEvent | null;
}

/** Revisions of the append that a frame is part of. */
export const firstRevision = (frame: Frame): number => frame.revision - frame.index;
export const lastRevision = (frame: Frame): number => firstRevision(frame) + frame.count - 1;

/** Whether the frames are a whole append. */
export const isWhole = (frames: readonly Frame[]): boolean =>
  frames[0]!.index === 0 && frames.length === frames[0]!.count;
