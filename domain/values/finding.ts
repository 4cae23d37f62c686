// What a check found.

/** A finding of a check. */
export interface Finding {
  readonly kind: string;
  /** The file, object or event, with offset. */
  readonly where: string;
  /** What was found and what was expected. */
  readonly reason: string;
  /** The VMs and points that cannot be restored for it, as `vm@N` or `vm@N..M`; attachments as `vm@N (NAME)`. */
  readonly affects: readonly string[];
  /** The stream that events are missing from, where it is about that. */
  readonly stream?: string | null;
  /** It is worth knowing and no damage: what a pageledger reads is not touched by it. */
  readonly isNote?: boolean;
}
